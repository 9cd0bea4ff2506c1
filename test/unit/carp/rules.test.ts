/** Carpio's own decision table, row by row, and the numbers that go on the wire. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decide, type Situation } from '../../../src/carp/rules.ts';
import { advertIntervalUs, demoteByte, effectiveSkew, masterDownUs } from '../../../src/contract/carp-timers.ts';

type Row = [
  state: 'MASTER' | 'BACKUP',
  preempt: boolean,
  own: [advbase: number, advskew: number, demotion: number],
  heard: [advbase: number, advskew: number, demote: number],
  tie: Situation['tie'],
  expected: string,
];

const rows: Row[] = [
  // MASTER 1: a less demoted master
  ['MASTER', false, [1, 0, 240], [1, 100, 0], 'own', 'stepDown demotion'],
  ['MASTER', false, [1, 0, 1], [1, 254, 0], 'own', 'stepDown demotion'],
  // MASTER 2: equally demoted, faster
  ['MASTER', false, [1, 100, 0], [1, 0, 0], 'own', 'stepDown timers'],
  ['MASTER', false, [2, 0, 0], [1, 254, 0], 'own', 'stepDown timers'],
  ['MASTER', true, [1, 100, 32], [1, 100, 32], 'own', 'stepDown timers'],
  // MASTER 3: equal in everything
  ['MASTER', true, [1, 50, 0], [1, 50, 0], 'peer', 'stepDown tie'],
  ['MASTER', true, [1, 50, 0], [1, 50, 0], null, 'stepDown tie'],
  ['MASTER', true, [1, 0, 240], [1, 240, 240], 'peer', 'stepDown tie'],
  // MASTER 4: stay
  ['MASTER', true, [1, 50, 0], [1, 50, 0], 'own', 'stay tie'],
  ['MASTER', true, [1, 0, 0], [1, 100, 0], 'peer', 'stay timers'],
  ['MASTER', true, [1, 100, 0], [1, 0, 1], 'peer', 'stay demotion'],
  ['MASTER', true, [1, 0, 0], [255, 255, 0], 'peer', 'stay timers'],
  // BACKUP 1: bow-out, whatever else is said
  ['BACKUP', false, [1, 0, 0], [255, 255, 0], null, 'takeOver bowOut'],
  ['BACKUP', false, [0, 100, 240], [255, 255, 0], null, 'takeOver bowOut'],
  ['BACKUP', false, [254, 254, 0], [255, 255, 0], null, 'takeOver bowOut'],
  // BACKUP 2: a more demoted master, even with preempt off
  ['BACKUP', false, [1, 100, 0], [1, 0, 1], null, 'takeOver demotion'],
  ['BACKUP', false, [1, 100, 32], [1, 0, 240], null, 'takeOver demotion'],
  // BACKUP 3: preempt, equally demoted, faster
  ['BACKUP', true, [1, 0, 0], [1, 100, 0], null, 'takeOver timers'],
  ['BACKUP', false, [1, 0, 0], [1, 100, 0], null, 'restart none'],
  ['BACKUP', true, [1, 50, 0], [1, 50, 0], null, 'restart none'],
  ['BACKUP', true, [1, 0, 240], [1, 100, 0], null, 'restart none'],
  ['BACKUP', true, [1, 0, 1], [1, 240, 0], null, 'restart none'],
  // BACKUP 4: advertises more slowly than we are patient
  ['BACKUP', false, [1, 0, 0], [3, 1, 0], null, 'takeOver slow'],
  ['BACKUP', false, [1, 0, 0], [3, 0, 0], null, 'restart none'],
  ['BACKUP', false, [0, 10, 0], [1, 0, 0], null, 'restart none'],
  // A demoted FreeBSD or UCarp host shows it in the skew only
  ['BACKUP', true, [1, 100, 0], [1, 240, 0], null, 'takeOver timers'],
  ['BACKUP', false, [1, 100, 0], [1, 240, 0], null, 'restart none'],
];

const rules = suite('CARP decision, own rule');

for (const [state, preempt, own, heard, tie, expected] of rows) {
  const name = `${state} preempt ${preempt ? 'on' : 'off'} own ${own.join('/')} heard ${heard.join('/')}: ${expected}`;
  rules(name, () => {
    const [advbase, advskew, demotion] = own;
    const [peerBase, peerSkew, demote] = heard;
    const heardAdvert = { advbase: peerBase, advskew: peerSkew, demote };
    const found = decide({ state, preempt, own: { advbase, advskew, demotion }, heard: heardAdvert, tie });
    assert.is(`${found.act} ${found.why}`, expected);
  });
}

rules('no pair of masters that hear each other can both stay or both go', () => {
  const values = [-5, 0, 1, 32, 240, 255, 300];
  const skews = [0, 1, 100, 239, 240, 241, 254];
  let pairs = 0;
  for (const da of values)
    for (const db of values)
      for (const sa of skews)
        for (const sb of skews) {
          const a = { advbase: 1, advskew: sa, demotion: da };
          const b = { advbase: 1, advskew: sb, demotion: db };
          const wire = (o: typeof a) => ({
            advbase: o.advbase,
            advskew: effectiveSkew(o.advskew, o.demotion),
            demote: demoteByte(o.demotion),
          });
          const first = decide({ state: 'MASTER', preempt: true, own: a, heard: wire(b), tie: 'own' });
          const second = decide({ state: 'MASTER', preempt: true, own: b, heard: wire(a), tie: 'peer' });
          assert.is.not(first.act, second.act, `${sa}+${da} and ${sb}+${db}`);
          pairs++;
        }
  assert.is(pairs, 49 * 49);
});

rules('whoever takes over is not sent back by the one it took over from', () => {
  const values = [0, 1, 240, 300];
  const skews = [0, 100, 240, 254];
  for (const preempt of [true, false])
    for (const db of values)
      for (const dm of values)
        for (const sb of skews)
          for (const sm of skews) {
            const backup = { advbase: 1, advskew: sb, demotion: db };
            const heard = { advbase: 1, advskew: effectiveSkew(sm, dm), demote: demoteByte(dm) };
            const found = decide({ state: 'BACKUP', preempt, own: backup, heard, tie: null });
            if (found.act !== 'takeOver') continue;
            const after = decide({ state: 'MASTER', preempt, own: backup, heard, tie: 'peer' });
            assert.is(after.act, 'stay', JSON.stringify({ backup, heard }));
          }
});

rules('negative demotion is harmless (FreeBSD bug 259528)', () => {
  for (const advskew of [0, 1, 100, 240, 254]) {
    for (const demotion of [-1, -100, -240, -100_000]) {
      assert.is(effectiveSkew(advskew, demotion), advskew);
      assert.is(demoteByte(demotion), 0);
    }
  }
});

rules('demotion on the wire: clamped, never below the configured skew', () => {
  assert.equal(
    [0, 1, 240, 480].map((d) => effectiveSkew(100, d)),
    [100, 101, 240, 240],
  );
  assert.equal(
    [0, 1, 240].map((d) => effectiveSkew(250, d)),
    [250, 250, 250],
  );
  assert.equal([0, 32, 255, 256, 960].map(demoteByte), [0, 32, 255, 255, 255]);
});

rules('own timers: a master-down time always leaves room for two lost adverts of an equal master', () => {
  for (const advbase of [0, 1, 2, 254]) {
    for (const advskew of [0, 1, 20, 100, 254]) {
      const down = masterDownUs(advbase, advskew);
      assert.ok(Number.isInteger(down));
      assert.ok(down >= 2 * advertIntervalUs(advbase, advskew), `${advbase}/${advskew}`);
    }
  }
  assert.equal([masterDownUs(0, 0), masterDownUs(1, 0), masterDownUs(1, 100)], [11_718, 3_000_000, 3_390_625]);
});

rules.run();
