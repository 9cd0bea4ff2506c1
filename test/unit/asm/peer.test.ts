/** What records from the peer do to the table: each cell of the table in asm/peer/rules.ts, bulks, and bad records. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { kernelMessage } from '../../../scripts/reference/ctmsg.ts';
import {
  destroy,
  event,
  feed,
  finish,
  kernelOutput,
  listAll,
  makeEngine,
  syncOutput,
} from '../../../scripts/reference/harness.ts';
import {
  GRE,
  ICMP,
  inverse,
  randomSource,
  randomState,
  SCTP,
  type State,
  tcpState,
} from '../../../scripts/reference/state.ts';
import { decodeRecords, encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('engine and peer');

/** After each step: who owns the only state, its mark, and whether the kernel and the peer are to hear of it. */
function now(engine: Engine): string {
  assert.is(bench(engine).selfCheck(), 0);
  const [one] = listAll(engine);
  const kernel = engine.kernelPending() > 0 ? ' kernel' : '';
  const dirty = engine.dirtyCount() > 0 ? ' dirty' : '';
  return `${one === undefined ? 'absent' : `${one.owner} ${one.mark}`}${kernel}${dirty}`;
}

type Start = 'absent' | 'mirrored' | 'unclaimed' | 'mine untouched' | 'mine touched' | 'ended';

/** An engine with one state (mark 1) in the given situation, everything told. */
function start(how: Start): Engine {
  const engine = makeEngine();
  const state = tcpState(1, { mark: 1 });
  if (how === 'mirrored' || how === 'mine untouched') engine.applyUpdates(encodeUpdate(state), false);
  if (how === 'unclaimed') {
    engine.dumpBegin(true);
    feed(engine, kernelMessage(state), 'dump');
    finish((n) => engine.dumpEnd(n));
  }
  kernelOutput(engine);
  if (how === 'mine untouched') engine.adoptPeer();
  if (how === 'mine touched' || how === 'ended') event(engine, state);
  finish((n) => engine.sweep(n));
  kernelOutput(engine);
  syncOutput(engine);
  if (how === 'ended') destroy(engine, state);
  return engine;
}

type Kind = 'fresh' | 'late' | 'yours';

function update(engine: Engine, kind: Kind): void {
  engine.applyUpdates(encodeUpdate(tcpState(1, { mark: 2 }), kind === 'yours'), kind === 'late');
}

function remove(engine: Engine, kind: Kind): void {
  engine.applyUpdates(encodeDelete(tcpState(1), kind === 'yours'), kind === 'late');
}

const UPSERTS: [Start, Kind, string][] = [
  ['absent', 'fresh', 'mirrored 2 kernel'],
  ['absent', 'late', 'own 2 kernel dirty'],
  ['absent', 'yours', 'own 2 kernel dirty'],
  ['mirrored', 'fresh', 'mirrored 2 kernel'],
  ['mirrored', 'late', 'mirrored 2 kernel'],
  ['mirrored', 'yours', 'own 2 kernel dirty'],
  ['unclaimed', 'fresh', 'mirrored 2 kernel'],
  ['unclaimed', 'late', 'own 2 kernel dirty'],
  ['mine untouched', 'late', 'own 2 kernel dirty'],
  ['mine untouched', 'yours', 'own 2 kernel dirty'],
  ['mine untouched', 'fresh', 'own 1 dirty'],
  ['mine touched', 'fresh', 'own 1 dirty'],
  ['mine touched', 'late', 'own 1 dirty'],
  ['mine touched', 'yours', 'own 1 dirty'],
  ['ended', 'fresh', 'mirrored 2 kernel'],
  ['ended', 'late', 'absent dirty'],
  ['ended', 'yours', 'absent dirty'],
];

for (const [how, kind, expected] of UPSERTS) {
  test(`update ${kind}, ${how}: ${expected}`, () => {
    const engine = start(how);
    update(engine, kind);
    assert.is(now(engine), expected);
  });
}

const DELETES: [Start, Kind, string][] = [
  ['absent', 'fresh', 'absent'],
  ['mirrored', 'fresh', 'absent kernel'],
  ['unclaimed', 'fresh', 'absent kernel'],
  ['mine untouched', 'fresh', 'own 1 dirty'],
  ['mine untouched', 'late', 'absent kernel dirty'],
  ['mine untouched', 'yours', 'absent kernel dirty'],
  ['mine touched', 'fresh', 'own 1 dirty'],
  ['mine touched', 'late', 'own 1 dirty'],
  ['mine touched', 'yours', 'own 1 dirty'],
  ['ended', 'fresh', 'absent'],
];

for (const [how, kind, expected] of DELETES) {
  test(`delete ${kind}, ${how}: ${expected}`, () => {
    const engine = start(how);
    remove(engine, kind);
    assert.is(now(engine), expected);
  });
}

test('a conflict that I lose: the peer’s version, mirrored in the kernel', () => {
  for (const how of ['mine untouched', 'mine touched'] as const) {
    const engine = start(how);
    engine.setPreferPeer(true);
    update(engine, 'fresh');
    assert.is(now(engine), 'mirrored 2 kernel');
    assert.is(engine.counter('conflicts'), 1);
  }
});

test('a conflict ends: the one that prefers takes, the other has told', () => {
  const a = makeEngine();
  const b = makeEngine();
  b.setPreferPeer(true);
  event(a, tcpState(1, { mark: 1 }));
  event(b, tcpState(1, { mark: 2 }));
  for (let i = 0; i < 3; i++) {
    for (const datagram of syncOutput(a)) b.applyUpdates(datagram, false);
    for (const datagram of syncOutput(b)) a.applyUpdates(datagram, false);
  }
  assert.is(a.dirtyCount() + b.dirtyCount(), 0);
  assert.equal(a.digest('own'), b.digest('mirrored'));
  assert.is(listAll(b)[0]?.mark, 1);
});

test('an equal record that comes again costs the kernel nothing', () => {
  const engine = start('mirrored');
  engine.applyUpdates(encodeUpdate(tcpState(1, { mark: 1 })), false);
  assert.is(now(engine), 'mirrored 1');
});

test('a bulk: what the peer does not own any more goes, here and in the kernel', () => {
  const a = makeEngine();
  const b = makeEngine();
  for (let i = 0; i < 100; i++) event(a, tcpState(i));
  for (const datagram of syncOutput(a)) b.applyUpdates(datagram, false);
  kernelOutput(b);
  for (let i = 0; i < 10; i++) destroy(a, tcpState(i));
  syncOutput(a); // lost
  event(a, tcpState(500));
  syncOutput(a); // lost
  event(b, tcpState(900));
  assert.is.not(b.digest('mirrored').count, a.digest('own').count);
  a.bulkBegin();
  b.peerBulkBegin();
  const bulk = syncOutput(a);
  assert.is(a.bulkActive(), 0);
  assert.is(a.counter('tx_bulk_records'), 91);
  for (const datagram of bulk) b.applyUpdates(datagram, false);
  finish((n) => b.peerBulkEnd(n), 7);
  assert.equal(b.digest('mirrored'), a.digest('own'));
  assert.is(b.countOf('own'), 1, 'its own stays');
  assert.is(b.counter('bulk_dropped'), 10);
  const types = kernelOutput(b).map((m) => m.type);
  assert.is(types.filter((t) => t === 0x102).length, 10);
  assert.is(types.filter((t) => t === 0x100).length, 1);
});

test('changes during a bulk: ended states do not come back, new ones are not missed', () => {
  const a = makeEngine();
  const b = makeEngine();
  for (let i = 0; i < 1000; i++) event(a, tcpState(i));
  syncOutput(a);
  a.bulkBegin();
  b.peerBulkBegin();
  let round = 0;
  for (let records = a.takeUpdates(300); records !== null; records = a.takeUpdates(300)) {
    b.applyUpdates(Buffer.from(records), false);
    if (a.bulkActive() === 0) continue;
    destroy(a, tcpState(999 - round * 3));
    destroy(a, tcpState(round * 2));
    event(a, tcpState(2000 + round));
    round++;
  }
  finish((n) => b.peerBulkEnd(n));
  assert.ok(round > 50, `${round}`);
  assert.equal(b.digest('mirrored'), a.digest('own'));
});

test('every kind of state survives the wire, both codecs agree', () => {
  const random = randomSource(9);
  for (let i = 0; i < 3000; i++) {
    const state = randomState(random);
    const a = encodeUpdate(state);
    const engine = i % 100 === 0 ? makeEngine() : shared;
    assert.is(engine.applyUpdates(a, false), 1);
    engine.adoptPeer();
    finish((n) => engine.sweep(n), 1000);
    kernelOutput(engine);
    engine.bulkBegin();
    const [out] = syncOutput(engine);
    assert.is(out?.toString('hex'), a.toString('hex'));
    assert.is(decodeRecords(a).length, 1);
    engine.yieldOwn();
    assert.is(engine.applyUpdates(encodeDelete(state), false), 1);
    kernelOutput(engine);
    assert.is(bench(engine).liveCount(), 0);
  }
});
const shared = makeEngine();

test('sizes on the wire', () => {
  const size = (state: State): number => encodeUpdate(state).length;
  const udp = tcpState(1, { proto: 17, l4: 0 });
  assert.is(size(udp), 21);
  assert.is(size(tcpState(1, { wscale: [7, 7], flags: [3, 3] })), 24);
  assert.is(encodeDelete(udp).length, 14);
});

test('a record with a bit that has no meaning, or cut short, is refused with the rest of its datagram', () => {
  const good = encodeUpdate(tcpState(1));
  const next = encodeUpdate(tcpState(2));
  const icmp = tcpState(1, { proto: ICMP, l4: 0, orig: { ...tcpState(1).orig, dport: 8 << 8 } });
  const patch = (bytes: Buffer, at: number, value: number): Buffer => {
    const out = Buffer.from(bytes);
    out[at] = value;
    return out;
  };
  const l4At = good.length - 1;
  const bad: [string, Buffer][] = [
    ['status bit 0x08', patch(good, 14, 8)],
    ['status bit 0x01', patch(good, 14, 1)],
    ['TCP part 0x40', patch(good, l4At, 0x43)],
    ['TCP part 0x80', patch(good, l4At, 0x83)],
    ['TCP state 10', patch(good, l4At, 10)],
    ['wscale that is not there', patch(good, l4At, 0x13)],
    ['protocol part of UDP', patch(good, 1, 17)],
    ['a delete with NAT', patch(good, 0, 0x81)],
    ['ICMP type that is not tracked', patch(encodeUpdate({ ...icmp, reply: inverse(icmp) }), 12, 5)],
    ['wscale 15', patch(encodeUpdate(tcpState(1, { wscale: [7, 7] })), good.length, 0xf0)],
    ['TCP flag 0x08', patch(encodeUpdate(tcpState(1, { flags: [7, 7] })), good.length, 0x08)],
    ['SCTP part 0x20', patch(encodeUpdate(tcpState(1, { proto: SCTP, l4: 4 })), l4At, 0x24)],
    ['one byte', Buffer.from([0])],
    ...Array.from({ length: good.length - 1 }, (_, i): [string, Buffer] => [`first ${i + 1}`, good.subarray(0, i + 1)]),
  ];
  for (const [what, bytes] of bad) {
    const engine = makeEngine();
    const datagram = Buffer.concat([next, bytes]);
    assert.is(engine.applyUpdates(datagram, false), -2, what);
    assert.is(engine.counter('bad_record'), 1, what);
    assert.is(engine.countOf('mirrored'), 1, what);
  }
  const engine = makeEngine();
  assert.is(engine.applyUpdates(Buffer.concat([next, good]), false), 2);
  assert.is(engine.applyUpdates(encodeUpdate(tcpState(3, { proto: GRE, l4: 0 })), false), 1);
  assert.is(engine.applyUpdates(Buffer.alloc(0), false), 0);
  assert.is(engine.applyUpdates(Buffer.alloc(20_000), false), -1, 'more than the area takes');
});

test.run();
