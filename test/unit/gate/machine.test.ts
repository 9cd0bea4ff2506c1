/** When a gate opens, waits and closes, on a hand-wound clock. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PAIRED } from '../../../src/contract/carp-timers.ts';
import type { VhidKey } from '../../../src/contract/vhid-key.ts';
import { createGates, type GateEvent, gatesDeadline, openGates, stepGates } from '../../../src/gate/machine.ts';

const gate = suite('gate machine');
const MS = 1000;
const KEY: VhidKey = 'wan/1';

class Box {
  readonly state = createGates();
  now = 1_000_000;

  feed(event: GateEvent): string[] {
    return stepGates(this.state, event, this.now).map((action) =>
      action.type === 'beat'
        ? `beat ${[action.open, action.passing].join(' ').trim()}`
        : `${action.type} ${action.key}`,
    );
  }

  role(master: boolean): string[] {
    return this.feed({ type: 'role', key: KEY, master });
  }

  later(ms: number): this {
    this.now += ms * MS;
    return this;
  }
}

gate('MASTER opens it at once, anything else closes it', () => {
  const box = new Box();
  assert.equal(box.role(true), ['open wan/1']);
  assert.equal(openGates(box.state), [KEY]);
  assert.equal(box.role(false), ['close wan/1']);
  assert.equal(openGates(box.state), []);
  assert.equal(box.role(false), ['close wan/1'], 'once more costs nothing, and a lost frame leaves nothing open');
});

gate('open gates are renewed at each look, but not more often than needed; closed ones never', () => {
  const box = new Box();
  assert.equal(box.feed({ type: 'look' }), []);
  box.role(true);
  assert.equal(box.later(40).feed({ type: 'look' }), ['beat wan/1']);
  assert.equal(box.later(5).feed({ type: 'look' }), []);
  assert.equal(box.later(15).feed({ type: 'look' }), ['beat wan/1']);
  box.role(false);
  assert.equal(box.later(40).feed({ type: 'look' }), []);
});

gate("while the peer's gate is open the own one waits, and opens as soon as the peer says that it is closed", () => {
  const box = new Box();
  box.feed({ type: 'peer', open: [KEY] });
  assert.equal(box.later(1).role(true), ['pass wan/1'], 'what is forwarded passes meanwhile');
  assert.equal(box.later(40).feed({ type: 'look' }), ['beat wan/1']);
  assert.equal(openGates(box.state), []);
  assert.equal(box.feed({ type: 'peer', open: ['lan/2'] }), ['open wan/1']);
});

gate('a peer that falls silent meanwhile: opened when its kernel has closed, by the bound that both know', () => {
  const box = new Box();
  box.feed({ type: 'peer', open: [KEY] });
  box.later(10).role(true);
  assert.is(gatesDeadline(box.state), 1_000_000 + PAIRED.deadUs);
  assert.equal(box.later(PAIRED.deadUs / MS - 11).feed({ type: 'look' }), ['beat wan/1']);
  assert.equal(box.later(1).feed({ type: 'look' }), ['open wan/1']);
  assert.is(gatesDeadline(box.state), null);
});

gate('a peer that keeps saying that its gate is open is waited for; one that is dead is not', () => {
  const box = new Box();
  box.feed({ type: 'peer', open: [KEY] });
  box.role(true);
  for (let i = 0; i < 20; i++) assert.equal(box.later(50).feed({ type: 'peer', open: [KEY] }), []);
  assert.equal(box.feed({ type: 'peerDead' }), ['open wan/1']);
});

gate('an old report holds nobody back', () => {
  const box = new Box();
  box.feed({ type: 'peer', open: [KEY] });
  assert.equal(box.later(PAIRED.deadUs / MS).role(true), ['open wan/1']);
});

gate('who loses the role while it waits stays closed', () => {
  const box = new Box();
  box.feed({ type: 'peer', open: [KEY] });
  box.role(true);
  assert.equal(box.role(false), ['close wan/1']);
  assert.equal(box.later(1000).feed({ type: 'look' }), []);
});

gate('a vhid that is removed is closed and forgotten', () => {
  const box = new Box();
  box.role(true);
  assert.equal(box.feed({ type: 'drop', key: KEY }), ['close wan/1']);
  assert.equal(box.state.gates, {});
});

gate.run();
