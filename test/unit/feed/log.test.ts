import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ToldEvent } from '../../../src/contract/events.ts';
import { EventLog } from '../../../src/feed/log.ts';

const log = suite('feed: event log');
const TIME = '2026-01-01T00:00:00.000Z';
const seqs = (events: { seq: number }[] | null): number[] | undefined => events?.map(({ seq }) => seq);

log('numbers events without a gap and gives them back after a number', () => {
  const events = new EventLog({ firstSeq: 100 });
  assert.is(events.seq, 99);
  assert.equal(seqs(events.since(99)), []);
  for (const kind of ['a', 'b', 'c']) events.append({ kind }, TIME);
  assert.is(events.seq, 102);
  assert.equal(seqs(events.since(99)), [100, 101, 102]);
  assert.equal(seqs(events.since(101)), [102]);
  assert.equal(seqs(events.since(102)), []);
  assert.equal(seqs(events.latest(2)), [101, 102]);
  assert.equal(seqs(events.latest(0)), []);
  assert.equal(seqs(events.latest(99)), [100, 101, 102]);
});

log('says null for a number that is too old, not yet given, or no number', () => {
  const events = new EventLog({ firstSeq: 10, maxEvents: 3 });
  for (let n = 0; n < 5; n++) events.append({ kind: `k${n}` }, TIME); // 10..14, of which 12..14 are kept
  assert.equal(seqs(events.since(11)), [12, 13, 14]);
  for (const seq of [10, 9, 0, -1, 15, 1e300, Number.NaN, 11.5]) assert.is(events.since(seq), null, String(seq));
  assert.is(events.size.events, 3);
});

log('is bounded in bytes as well as in number', () => {
  const events = new EventLog({ maxBytes: 10_000, maxEvents: 1000 });
  for (let n = 0; n < 500; n++) events.append({ kind: 'k', text: 'x'.repeat(n) }, TIME);
  const { bytes, events: count } = events.size;
  assert.ok(bytes <= 10_000 && bytes > 5000, `${bytes}`);
  const kept = events.since(events.seq - count)!;
  assert.is(kept.length, count);
  assert.is(
    kept.reduce((sum, { frame }) => sum + frame.length, 0),
    bytes,
  );
  assert.is(events.since(events.seq - count - 1), null);
});

log('keeps the head fields its own and in front', () => {
  const events = new EventLog({ firstSeq: 7 });
  const { frame } = events.append({ kind: 'x', seq: 1, type: 'snapshot', time: 'never', vhid: 3 }, TIME);
  assert.is(String(frame), `{"type":"event","seq":7,"time":"${TIME}","kind":"x","vhid":3}`);
});

log('takes a number for an event that is too large or cannot be written', () => {
  const events = new EventLog({ firstSeq: 1, maxFrame: 200 });
  const large = JSON.parse(String(events.append({ kind: 'big', text: 'x'.repeat(500) }, TIME).frame));
  assert.is(large.seq, 1);
  assert.is(large.kind, 'big');
  assert.ok(large.oversize > 500);
  const circle: Record<string, unknown> = { kind: 'round' };
  circle.self = circle;
  const round = JSON.parse(String(events.append(circle as ToldEvent, TIME).frame));
  assert.equal([round.seq, round.kind], [2, 'feed.unwritable']);
});

log.run();
