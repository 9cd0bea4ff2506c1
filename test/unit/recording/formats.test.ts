/**
 * Recordings of earlier versions are read under today's names. The golden recordings (test/vectors) are of format 1.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Line, RECORD_FORMAT, upgraded } from '../../../src/recording/formats.ts';
import { Replay } from '../../../src/recording/replay.ts';

const formats = suite('formats of recordings');
const step = (part: Partial<Line>): Line => ({ m: 'sync', i: 1, at: 0, ...part });

formats('states, events and actions of format 1 get their present names', () => {
  const compared = { equal: true, missing: 0, at: 1, unclaimed: 0 };
  const head = { id: 3, phase: 'proving', since: 1, progressAt: 2 };
  const repairIn = { ...head, received: 88, expected: 88, most: 512, differences: 5 };
  assert.equal(
    upgraded(step({ state: { txSeq: 1, mine: compared, theirs: null, repairIn, repairOut: null } })),
    step({
      state: {
        txSeq: 1,
        ownCompared: compared,
        mirroredCompared: null,
        repairIn: { ...head, differences: 5 },
        repairOut: null,
      },
    }),
  );
  const context = { now: 1 };
  assert.equal(
    upgraded(step({ in: { event: { type: 'recon', adoptSeen: 1 }, context }, out: [{ type: 'yieldOwn' }] })),
    step({ in: { event: { type: 'repairMessage', adoptSeen: 1 }, context }, out: [{ type: 'yieldOwn' }] }),
  );
});

formats('reasons in words become causes; words that no cause has stay, so that a replay finds them', () => {
  const said = (reason: string): unknown =>
    upgraded(step({ in: {}, out: [{ type: 'event', kind: 'sync.adopt', fields: { states: 3, reason } }] })).out;
  const event = (cause: string): unknown => [{ type: 'event', event: { kind: 'sync.adopt', states: 3, cause } }];
  assert.equal(said('master, and the peer is gone'), event('peerGone'));
  assert.equal(said('another reason'), event('another reason'));
  const reason = 'nothing heard on the sync link for 1004 ms';
  const silence = { type: 'event', kind: 'sync.peer', fields: { alive: false, reason } };
  assert.equal(upgraded(step({ in: {}, out: [silence] })).out, [
    { type: 'event', event: { kind: 'sync.peer', alive: false, silentMs: 1004 } },
  ]);
});

formats('what has its present names, and what is of another machine, stays as it is', () => {
  const today = upgraded(step({ in: { event: { type: 'recon' } }, out: [{ type: 'yieldOwn' }, null] }));
  assert.equal(upgraded(today), today);
  const other: Line = { m: 'group', i: 1, at: 0, state: { mine: 1 } };
  assert.is(upgraded(other), other);
});

formats('a format that is not known is refused', () => {
  const replay = new Replay();
  replay.take(`{"carpio":"9","record":${RECORD_FORMAT + 1},"node":"x","at":0}`);
  assert.match(replay.report.damaged[0]?.reason ?? '', 'format');
});

formats.run();
