/** Labels, helper, sequence adjustment, zones for one direction: read, sent, written, dropped again. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import {
  type Attributes,
  attribute,
  errorMessage,
  kernelMessage,
  type Taken,
} from '../../../scripts/reference/ctmsg.ts';
import {
  destroy,
  event,
  FP_KEY,
  feed,
  kernelOutput,
  listAll,
  makeEngine,
  reply,
  syncOutput,
} from '../../../scripts/reference/harness.ts';
import {
  type Extra,
  fingerprint,
  inverse,
  randomSource,
  randomState,
  type State,
} from '../../../scripts/reference/state.ts';
import { decodeRecords, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import { readState } from '../../../src/sync/table/state-decode.ts';

const test = suite('engine: rare attributes');

function tcp(n: number, extra: Extra, zone = 0): State {
  const key = {
    ...{ family: 2 as const, proto: 6, zone },
    orig: { src: Uint8Array.of(10, 0, n >> 8, n & 255), dst: Uint8Array.of(198, 51, 100, 1), sport: 1024, dport: 21 },
  };
  return {
    ...{ ...key, reply: inverse(key), status: 14, mark: 0, l4: 3, wscale: [7, 7] as [number, number] },
    ...{ flags: [3, 3] as [number, number], vtags: null, timeout: 300, extra },
  };
}

const LABELS = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const SEQ = [1000, 0, 0xfffffffa, 2000, 5, 7];
const ALL: Extra = { labels: LABELS, helper: 'ftp', seq: SEQ };

/** What the peer's module writes into its kernel for this state. */
function mirrored(state: State): { create: Taken; engine: ReturnType<typeof makeEngine> } {
  const a = makeEngine();
  event(a, state);
  const b = makeEngine();
  for (const datagram of syncOutput(a)) assert.ok(b.applyUpdates(datagram, false) > 0);
  assert.equal(b.digest('mirrored'), a.digest('own'));
  const [create] = kernelOutput(b);
  assert.ok(create);
  return { create, engine: b };
}

const bytesOf = (from: Attributes, ...path: number[]): string =>
  Buffer.from(attribute(from, ...path) ?? []).toString('hex');

test('shown: label numbers, the helper, the zone of one direction', () => {
  const shown = (state: State): unknown => {
    const { engine } = mirrored(state);
    const { labels, helper, zone, zone_direction } = readState(engine, engine.next(0));
    return [labels, helper, zone, zone_direction];
  };
  const labels = new Uint8Array(16);
  labels[0] = 0x20;
  labels[9] = 0x20;
  labels[15] = 0x80;
  assert.equal(shown(tcp(1, { labels, helper: 'ftp' })), [[5, 77, 127], 'ftp', 0, null]);
  assert.equal(shown(tcp(2, {}, 9)), [[], null, 9, null]);
  assert.equal(shown(tcp(3, { zone: { direction: 2, zone: 7 } })), [[], null, 7, 'reply']);
});

test('from one kernel into the other: labels, helper, sequence adjustment', () => {
  const { create, engine } = mirrored(tcp(1, ALL));
  const from = create.attributes;
  assert.is(bytesOf(from, 22), Buffer.from(LABELS).toString('hex'));
  assert.is(bytesOf(from, 5, 1), Buffer.from('ftp\0').toString('hex'));
  const numbers = [15, 16].flatMap((type) => [1, 2, 3].map((at) => Number.parseInt(bytesOf(from, type, at), 16)));
  assert.equal(numbers, SEQ);
  assert.equal(listAll(engine)[0]?.extra, ALL);
  assert.is(listAll(engine)[0]?.fingerprint, fingerprint(tcp(1, ALL), FP_KEY));
});

test('a zone for one direction stands in the tuple of that direction', () => {
  const original = mirrored(tcp(1, { zone: { direction: 1, zone: 0 } }, 7)).create.attributes;
  assert.is(bytesOf(original, 1, 3), '0007');
  assert.is(bytesOf(original, 2, 3), '');
  assert.is(bytesOf(original, 18), '');
  const back = mirrored(tcp(1, { zone: { direction: 2, zone: 9 } })).create.attributes;
  assert.is(bytesOf(back, 1, 3), '');
  assert.is(bytesOf(back, 2, 3), '0009');
  assert.is(bytesOf(back, 18), '');
  const both = mirrored(tcp(1, { labels: LABELS }, 7)).create.attributes;
  assert.is(bytesOf(both, 1, 3), '');
  assert.is(bytesOf(both, 18), '0007');
});

test('each part is in the fingerprint, and a change of it travels', () => {
  const changes: Extra[] = [
    { ...ALL, labels: Uint8Array.from(LABELS, (byte, i) => (i === 15 ? byte ^ 1 : byte)) },
    { ...ALL, helper: 'sip' },
    ...SEQ.map((_, i) => ({ ...ALL, seq: SEQ.map((value, at) => (at === i ? (value ^ 1) >>> 0 : value)) })),
    { ...ALL, zone: { direction: 2, zone: 9 } },
  ];
  for (const extra of changes) {
    const a = makeEngine();
    event(a, tcp(1, ALL));
    syncOutput(a);
    const before = a.digest('own').sum.toString('hex');
    event(a, tcp(1, extra));
    assert.is.not(a.digest('own').sum.toString('hex'), before);
    const [record] = syncOutput(a).flatMap((datagram) => decodeRecords(datagram));
    assert.equal(record?.state.extra, extra);
  }
});

test('an event that does not name labels and sequence numbers leaves them; one without the helper has none', () => {
  const a = makeEngine();
  event(a, tcp(1, ALL));
  syncOutput(a);
  event(a, tcp(1, { helper: 'ftp' }));
  assert.equal(listAll(a)[0]?.extra, ALL);
  assert.is(a.dirtyCount(), 0);
  event(a, tcp(1, {}));
  assert.equal(listAll(a)[0]?.extra, { labels: LABELS, seq: SEQ });
  assert.is(a.dirtyCount(), 1);
});

test('labels that came before the answer are there when the connection is stored', () => {
  const a = makeEngine();
  event(a, { ...tcp(1, { labels: LABELS }), status: 8, l4: 1 });
  event(a, { ...tcp(2, {}), status: 8, l4: 1 });
  assert.is(bench(a).liveCount(), 0);
  event(a, tcp(1, {}));
  event(a, tcp(2, {}));
  assert.equal(
    listAll(a).map((one) => one.extra),
    [{ labels: LABELS }, undefined],
  );
});

test('a line of a dump is whole: what it does not name is gone', () => {
  const a = makeEngine();
  event(a, tcp(1, ALL));
  syncOutput(a);
  a.dumpBegin(false);
  feed(a, kernelMessage(tcp(1, { helper: 'ftp' })), 'dump');
  while (a.dumpEnd(100) !== 0);
  assert.equal(listAll(a)[0]?.extra, { helper: 'ftp' });
  assert.is(a.dirtyCount(), 1);
});

test('another helper needs a new entry; labels and sequence numbers an update', () => {
  const { engine } = mirrored(tcp(1, ALL));
  engine.applyUpdates(encodeUpdate(tcp(1, { ...ALL, seq: SEQ.map((n) => n + 1) })), false);
  const [update, ...none] = kernelOutput(engine);
  assert.is(none.length, 0);
  assert.is(update?.flags, 1);
  assert.is(bytesOf(update!.attributes, 15, 1), '000003e9');
  assert.is(bytesOf(update!.attributes, 22), Buffer.from(LABELS).toString('hex'));
  assert.is(bytesOf(update!.attributes, 5, 1), '', 'the kernel refuses a helper for an entry that is there');
  engine.applyUpdates(encodeUpdate(tcp(1, { ...ALL, helper: 'sip' })), false);
  assert.equal(
    kernelOutput(engine).map((m) => m.type),
    [0x102, 0x100],
  );
});

test('a kernel without the helper keeps the connection without it, counted, and reads no difference', () => {
  const { create, engine } = mirrored(tcp(1, { helper: 'ftp' }));
  reply(engine, errorMessage(create.seq, 95));
  assert.is(engine.counter('helper_refused'), 1);
  assert.is(engine.kernelMissing('mirrored'), 1);
  const [again] = kernelOutput(engine);
  assert.is(bytesOf(again!.attributes, 5, 1), '');
  assert.is(engine.kernelMissing('mirrored'), 0);
  engine.dumpBegin(false);
  feed(engine, kernelMessage(tcp(1, {})), 'dump');
  while (engine.dumpEnd(100) !== 0);
  assert.is(engine.counter('mirror_drift'), 0);
  // with labels lost there is one
  const other = mirrored(tcp(2, { labels: LABELS })).engine;
  other.dumpBegin(false);
  feed(other, kernelMessage(tcp(2, {})), 'dump');
  while (other.dumpEnd(100) !== 0);
  assert.is(other.counter('mirror_drift'), 1);
});

test('the end of an offloaded flow waits a minute; if the connection shows up again it was none', () => {
  const engine = makeEngine();
  const offloaded = (n: number): State => ({ ...tcp(n, {}), status: 0x400e });
  engine.setNow(1000);
  for (const n of [1, 2, 3]) event(engine, offloaded(n));
  syncOutput(engine);
  for (const n of [1, 2]) destroy(engine, offloaded(n));
  destroy(engine, { ...tcp(3, {}), status: 0xe });
  assert.is(engine.counter('offload_held'), 2);
  assert.is(bench(engine).liveCount(), 2, 'a flow that is not offloaded any more ends at once');
  assert.is(syncOutput(engine).length, 1);
  // A dump in between shows neither of them.
  engine.dumpBegin(false);
  while (engine.dumpEnd(100) !== 0);
  assert.is(bench(engine).liveCount(), 2);
  event(engine, tcp(2, {}));
  engine.setNow(60_999);
  assert.is(bench(engine).liveCount(), 2);
  engine.setNow(61_001);
  assert.is(bench(engine).liveCount(), 1);
  assert.is(engine.counter('offload_back'), 1);
  const ended = syncOutput(engine).flatMap((datagram) => decodeRecords(datagram));
  assert.equal(
    ended.map((record) => [record.delete, record.state.orig.src[3]]),
    [[true, 1]],
  );
  assert.is(bench(engine).selfCheck(), 0);
});

test('damaged records are refused whole', () => {
  const good = encodeUpdate(tcp(1, ALL));
  for (let length = good.length - 1; length > good.length - 58; length--) {
    const engine = makeEngine();
    assert.is(engine.applyUpdates(good.subarray(0, length), false), -1, `cut to ${length}`);
    assert.is(bench(engine).liveCount(), 0);
  }
  for (const part of [0x00, 0x10, 0xff]) {
    const engine = makeEngine();
    const bad = Buffer.from(good);
    bad[bad.length - 1 - 16 - 4 - 24] = part;
    assert.is(engine.applyUpdates(bad, false), -1, `parts ${part}`);
  }
});

test('blocks are used again: no memory is lost over many lives, and the checks hold', () => {
  const engine = makeEngine();
  const random = randomSource(7);
  let settled = 0;
  for (let round = 0; round < 30; round++) {
    const states = Array.from({ length: 400 }, () => randomState(random));
    for (const state of states) event(engine, state);
    assert.is(bench(engine).selfCheck(), 0);
    for (const state of states) destroy(engine, state);
    syncOutput(engine);
    assert.is(bench(engine).liveCount() + bench(engine).tombCount(), 0);
    if (round === 10) settled = engine.x.memoryUsed();
  }
  assert.is(engine.x.memoryUsed(), settled);
  assert.is(engine.counter('extra_lost'), 0);
});

test('more names of helpers than the table has room for are left out, counted', () => {
  const engine = makeEngine();
  for (let n = 0; n < 40; n++) event(engine, tcp(n, { helper: `helper-${n}` }));
  assert.is(engine.counter('extra_lost'), 8);
  assert.is(engine.countOf('own'), 40);
});

test.run();
