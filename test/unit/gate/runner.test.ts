/** A gate that waits is opened by a look at the election's clock, never by a timer alone (invariant 7). */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PAIRED } from '../../../src/contract/carp-timers.ts';
import type { VhidKey } from '../../../src/contract/vhid-key.ts';
import { type GateOrder, Gates } from '../../../src/gate/runner.ts';

const gates = suite('gate runner');
const KEY: VhidKey = 'wan/1';

/** @param onLook what the election does when it is asked to look at its clock */
function box(onLook: (gates: Gates) => void) {
  const sent: string[] = [];
  const timers: { atUs: number; call: () => void }[] = [];
  const clock = {
    now: 1_000_000,
    nowUs: () => clock.now,
    later: (ms: number, call: () => void) => {
      const timer = { atUs: clock.now + ms * 1000, call };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
  };
  const runner: Gates = new Gates(
    {
      send: (order: GateOrder, keys) => sent.push(...keys.map((key) => `${order} ${key}`)),
      opened: () => {},
      closed: () => {},
      look: () => onLook(runner),
      warn: (message) => sent.push(message),
    },
    clock,
  );
  /** Time passes at once, as for a process that was stopped; then what is due runs. */
  const wake = (us: number): void => {
    clock.now += us;
    for (const timer of timers.filter(({ atUs }) => atUs <= clock.now)) timer.call();
  };
  runner.feed({ type: 'peer', open: [KEY] });
  runner.feed({ type: 'role', key: KEY, master: true });
  assert.equal(sent, [`pass ${KEY}`]);
  return { runner, sent, wake };
}

gates('the bound has passed and the election is still MASTER: it opens', () => {
  const { runner, wake } = box((runner) => runner.feed({ type: 'look' }));
  wake(PAIRED.deadUs);
  assert.ok(runner.isOpen(KEY));
});

gates('a node that slept in between steps down at its look, and the gate stays closed', () => {
  const { runner, sent, wake } = box((runner) => {
    runner.feed({ type: 'role', key: KEY, master: false });
    runner.feed({ type: 'look' });
  });
  wake(10_000_000);
  assert.not.ok(runner.isOpen(KEY));
  assert.not.ok(sent.includes(`open ${KEY}`), sent.join());
});

gates('a table that was made anew is given what each gate is, one that waits included', () => {
  const { runner, sent } = box(() => {});
  runner.feed({ type: 'role', key: 'lan/2', master: false });
  runner.feed({ type: 'role', key: 'lan/3', master: true });
  sent.length = 0;
  runner.renew();
  assert.equal(sent, ['close lan/2', 'open lan/3', `pass ${KEY}`]);
});

gates.run();
