/** The BSD names of CARP's settings, on the real election: what is read, what writing does, what is refused. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { oidNames, type Settings, sysctl } from '../../../src/node/control/oids.ts';
import { adverts, Box, vip } from '../carp/box.ts';

const oids = suite('net.inet.carp');

function master(): { box: Box; ask: (word: string, value?: number) => unknown; log: () => number } {
  const box = Box.master({ vips: [vip('wan')] });
  let log = 1;
  const settings = (): Settings => ({
    group: box.state,
    log,
    setLog: (level) => {
      log = level;
    },
    feed: (event) => void box.feed(event),
  });
  // `feed` makes the state anew, so what is read after a write has to look again.
  const live = new Proxy({} as Settings, { get: (_target, name) => settings()[name as keyof Settings] });
  return { box, ask: (word, value) => sysctl(live, `net.inet.carp.${word}`, value ?? null), log: () => log };
}

oids('every name can be read; only those with a meaning here can be written', () => {
  const { ask } = master();
  const all = Object.fromEntries(oidNames().map((name) => [name, ask(name.slice('net.inet.carp.'.length))]));
  const values = { allow: 1, preempt: 1, log: 1, suppress_preempt: 0, demotion: 0, arpbalance: 0 };
  assert.equal(
    all,
    Object.fromEntries(Object.entries(values).map(([word, value]) => [`net.inet.carp.${word}`, { value }])),
  );
  for (const word of ['suppress_preempt', 'arpbalance'])
    assert.throws(() => ask(word, 1), `oid 'net.inet.carp.${word}' is read only`);
  for (const [word, value] of [
    ['allow', 2],
    ['preempt', -1],
    ['log', 3],
    ['demotion', 256],
  ] as const)
    assert.throws(() => ask(word, value), /found -?\d+, allowed /);
  for (const word of ['stats', '__proto__', 'toString']) assert.throws(() => ask(word), /unknown oid/);
});

oids('demotion: writing adds, as on FreeBSD; the sum is advertised, at most 240; a negative sum does no harm', () => {
  const { box, ask } = master();
  assert.equal(ask('demotion', 100), { old: 0, value: 100 });
  assert.equal(adverts(box.take()), ['wan/1 1/100 100']);
  assert.equal(ask('demotion', 200), { old: 100, value: 300 });
  assert.equal(adverts(box.take()), ['wan/1 1/240 255']);
  assert.equal(ask('suppress_preempt'), { value: 1 });
  ask('demotion', -255);
  assert.equal(ask('demotion', -46), { old: 45, value: -1 });
  assert.equal(adverts(box.take()).at(-1), 'wan/1 1/0 0');
  assert.equal(ask('demotion', 1), { old: -1, value: 0 });
  assert.equal(box.state.demotions, {});
});

oids('demotion: what is written stands beside other reasons and leaves them alone', () => {
  const { box, ask } = master();
  box.feed({ type: 'demote', reason: 'upgrade', weight: 30 });
  assert.equal(ask('demotion', 10), { old: 30, value: 40 });
  assert.equal(box.state.demotions, { upgrade: 30, sysctl: 10 });
  assert.equal(ask('demotion', -10), { old: 40, value: 30 });
  assert.equal(box.state.demotions, { upgrade: 30 });
});

oids('allow 0 says goodbye and gives up; preempt and log are taken over', () => {
  const { box, ask, log } = master();
  assert.equal(ask('allow', 0), { old: 1, value: 0 });
  assert.equal([box.of('wan/1'), adverts(box.take())], ['INIT', ['wan/1 255/255 0 bow-out']]);
  assert.equal(ask('allow', 1), { old: 0, value: 1 });
  assert.is(box.of('wan/1'), 'BACKUP');
  assert.equal(ask('preempt', 0), { old: 1, value: 0 });
  box.advert('wan/1', 1, 200);
  assert.is(box.of('wan/1'), 'BACKUP', 'a worse master may stay');
  ask('log', 2);
  assert.is(log(), 2);
});

oids.run();
