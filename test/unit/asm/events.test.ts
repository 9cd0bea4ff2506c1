/** What kernel events and dumps do to the table: each cell of the table in asm/kernel/event.ts. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { kernelMessage, netlink } from '../../../scripts/reference/ctmsg.ts';
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
import { inverse, randomSource, type State, TCP, UDP } from '../../../scripts/reference/state.ts';
import { decodeRecords, encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('engine events');

function make(port: number, change: Partial<State> = {}): State {
  const orig = { src: Uint8Array.of(10, 0, 0, 5), dst: Uint8Array.of(198, 51, 100, 80), sport: port, dport: 443 };
  const reply = { ...inverse({ family: 2, proto: TCP, orig }), dst: Uint8Array.of(203, 0, 113, 2) };
  return {
    ...{ family: 2, proto: TCP, zone: 0, orig, reply, status: 0xe, mark: 0, l4: 3 },
    ...{ wscale: [0, 0], flags: [0, 0], vtags: null, timeout: 100 },
    ...change,
  };
}

function make6(src: string, dst: string): State {
  const end = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.padStart(32, '0'), 'hex'));
  const orig = { src: end(src), dst: end(dst), sport: 1, dport: 2 };
  return { ...make(1), family: 10, proto: UDP, l4: 0, orig, reply: inverse({ family: 10, proto: UDP, orig }) };
}

/** A mirrored state that the kernel holds. */
function mirrored(engine: Engine, state: State): void {
  engine.applyUpdates(encodeUpdate(state), false);
  kernelOutput(engine);
}

function sent(engine: Engine): { delete: boolean; yours: boolean; state: State }[] {
  return syncOutput(engine).flatMap(decodeRecords);
}

function owners(engine: Engine): string {
  assert.is(bench(engine).selfCheck(), 0);
  return `${engine.countOf('unclaimed')} ${engine.countOf('own')} ${engine.countOf('mirrored')}`;
}

function dump(engine: Engine, lines: State[], unclaimed: boolean, during: () => void = () => {}): void {
  engine.dumpBegin(unclaimed);
  for (const line of lines) feed(engine, kernelMessage(line, { pid: 77 }), 'dump');
  during();
  finish((n) => engine.dumpEnd(n));
}

test('not answered, SYN_SENT: not stored; sync_when decides', () => {
  for (const [when, stored] of [
    ['all', 2],
    ['answered', 1],
    ['assured', 0],
  ] as const) {
    const engine = makeEngine({ syncWhen: when });
    event(engine, make(1, { status: 8, l4: 1 }));
    event(engine, make(2, { status: 8, l4: 2 }));
    event(engine, make(3, { status: 0xa, l4: 2 }));
    assert.is(engine.countOf('own'), stored, when);
    assert.is(engine.counter('not_eligible'), 3 - stored);
    event(engine, make(3));
    assert.is(engine.countOf('own'), Math.max(stored, 1), when);
  }
});

test('a state of mine changes: told when something both must agree on changed', () => {
  const engine = makeEngine();
  event(engine, make(1, { l4: 2, status: 0xa }));
  assert.is(sent(engine).length, 1);
  event(engine, make(1, { l4: 2, status: 0xa, timeout: 7 }));
  assert.is(sent(engine).length, 0, 'a timeout is no change');
  event(engine, make(1));
  assert.is(sent(engine)[0]?.state.l4, 3);
  event(engine, make(1, { l4: 4 }));
  assert.is(sent(engine).length, 1);
  event(engine, make(1, { l4: 5 }));
  assert.is(sent(engine).length, 0, 'the same coarse class');
  event(engine, make(1, { l4: 5, mark: 9 }));
  assert.is(sent(engine)[0]?.state.mark, 9);
  event(engine, make(1, { status: 0xe, mark: 9 }), { withoutInfo: true });
  assert.is(listAll(engine)[0]?.l4, 5, 'what the event leaves out has not changed');
});

test('a reopened connection ends the old one until it is answered', () => {
  const engine = makeEngine();
  event(engine, make(1, { l4: 7 }));
  sent(engine);
  event(engine, make(1, { l4: 1, status: 8 }));
  assert.is(sent(engine)[0]?.delete, true);
  assert.is(owners(engine), '0 0 0');
  event(engine, make(1));
  assert.is(sent(engine)[0]?.delete, false);
});

test('loopback, ignored networks and own connections are not synced', () => {
  const engine = makeEngine({
    ignore: ['10.99.0.0/24', '2001:db8:99::/48', '192.0.2.7'],
    local: ['203.0.113.9', '2001:db8::9'],
  });
  const ends = (src: number[], dst: number[], replySrc = dst): State => {
    const base = make(1);
    const orig = { ...base.orig, src: Uint8Array.from(src), dst: Uint8Array.from(dst) };
    return { ...base, orig, reply: { ...inverse({ ...base, orig }), src: Uint8Array.from(replySrc) } };
  };
  const refused = [
    ends([127, 0, 0, 1], [10, 0, 0, 1]),
    ends([10, 0, 0, 1], [127, 9, 9, 9]),
    ends([10, 99, 0, 255], [10, 0, 0, 1]),
    ends([10, 0, 0, 1], [10, 99, 0, 1]),
    ends([192, 0, 2, 7], [10, 0, 0, 1]),
    ends([203, 0, 113, 9], [10, 0, 0, 1]),
    ends([10, 0, 0, 1], [203, 0, 113, 9]),
    make6('01', '20010db8000000000000000000000005'),
    make6('20010db8009900010000000000000005', '20010db8000000000000000000000005'),
    make6('20010db8000000000000000000000009', '20010db8000000000000000000000005'),
    make6('20010db8000000000000000000000005', '20010db8000000000000000000000009'),
  ];
  for (const state of refused) event(engine, state);
  assert.is(engine.counter('ignored'), refused.length);
  assert.is(engine.countOf('own'), 0);
  const kept = [
    ends([10, 99, 1, 0], [10, 0, 0, 1]),
    ends([192, 0, 2, 8], [10, 0, 0, 1]),
    // destination NAT on an own address: forwarded
    ends([10, 0, 0, 1], [203, 0, 113, 9], [10, 7, 7, 7]),
    make6('20010db8009800010000000000000005', '20010db8000000000000000000000005'),
  ];
  for (const state of kept) event(engine, state);
  assert.is(engine.countOf('own'), kept.length);
  assert.throws(() => engine.setLists(['10.0.0.0/33'], []), /not a network/);
});

test('traffic for a state of the peer claims it', () => {
  const engine = makeEngine();
  mirrored(engine, make(1));
  event(engine, make(1, { l4: 4 }));
  assert.is(owners(engine), '0 1 0');
  assert.is(engine.counter('claims'), 1);
  assert.is(sent(engine)[0]?.yours, false);
  assert.is(engine.kernelPending(), 0, 'nothing of ours is written over it');
});

test('while handing over, traffic for a state given away is told as "yours"', () => {
  const engine = makeEngine();
  event(engine, make(1));
  sent(engine);
  engine.yieldOwn();
  engine.setClaimEvents(false);
  event(engine, make(1, { l4: 4 }));
  assert.is(owners(engine), '0 0 1');
  assert.is(sent(engine)[0]?.yours, true);
});

test('what was waiting when it was given away is told as "yours", its end too', () => {
  const engine = makeEngine();
  event(engine, make(1));
  event(engine, make(2));
  sent(engine);
  event(engine, make(1, { l4: 4 }));
  destroy(engine, make(2));
  engine.yieldOwn();
  assert.equal(
    sent(engine).map((r) => [r.delete, r.yours]),
    [
      [false, true],
      [true, true],
    ],
  );
});

test('the end of a mirrored entry in this kernel: it is put back', () => {
  const engine = makeEngine();
  mirrored(engine, make(1));
  destroy(engine, make(1));
  assert.is(engine.counter('mirror_lost'), 1);
  assert.is(engine.kernelMissing(), 1);
  assert.is(kernelOutput(engine)[0]?.flags, 0x601);
  assert.is(engine.kernelMissing(), 0);
  assert.is(sent(engine).length, 0);
  assert.is(owners(engine), '0 0 1');
});

test('a new attempt on the key of a mirrored entry is not killed by putting the old one back', () => {
  const engine = makeEngine();
  mirrored(engine, make(1, { l4: 7 }));
  destroy(engine, make(1));
  event(engine, make(1, { l4: 1, status: 8 }));
  assert.is(kernelOutput(engine).length, 0);
  assert.is(owners(engine), '0 0 1');
  destroy(engine, make(1));
  assert.is(kernelOutput(engine).length, 1, 'when the attempt ends the old one comes back');
});

test('start-up: what the dump shows is nobody’s until traffic, the peer, or adoption', () => {
  const engine = makeEngine();
  dump(engine, [make(1), make(2), make(3), make(4)], true);
  assert.is(owners(engine), '4 0 0');
  assert.is(sent(engine).length, 0);
  event(engine, make(1));
  assert.is(owners(engine), '3 1 0');
  engine.applyUpdates(encodeUpdate(make(2)), false);
  assert.is(owners(engine), '2 1 1');
  assert.is(kernelOutput(engine)[0]?.flags, 1, 'equal content: only an update to mirrored mode');
  destroy(engine, make(4));
  engine.adoptUnclaimed();
  assert.is(owners(engine), '0 2 1');
  finish((n) => engine.sweep(n));
  sent(engine);
  engine.bulkBegin();
  assert.is(sent(engine).length, 2);
});

test('start-up: what nobody wants is dropped from table and kernel', () => {
  const engine = makeEngine();
  dump(engine, [make(1), make(2)], true);
  event(engine, make(2));
  finish((n) => engine.unclaimedDrop(n));
  const out = kernelOutput(engine);
  assert.equal(
    out.map((m) => m.type),
    [0x102],
  );
  assert.is(owners(engine), '0 1 0');
});

test('an entry that an earlier run left with a long timeout gets its normal one when it is adopted', () => {
  const engine = makeEngine();
  dump(engine, [make(1, { proto: UDP, l4: 0, timeout: 80_000 }), make(2, { proto: UDP, l4: 0 })], true);
  engine.adoptUnclaimed();
  finish((n) => engine.sweep(n));
  assert.is(kernelOutput(engine).length, 1);
});

test('overrun: the dump brings what was lost, takes what has gone, and counts it', () => {
  const engine = makeEngine();
  event(engine, make(1));
  event(engine, make(2));
  event(engine, make(3));
  mirrored(engine, make(10));
  mirrored(engine, make(11));
  sent(engine);
  dump(engine, [make(1), make(2, { l4: 4 }), make(4), make(10)], false);
  assert.is(owners(engine), '0 3 2');
  const told = sent(engine).map((r) => `${r.delete ? '-' : '+'}${r.state.orig.sport}`);
  assert.equal(told.sort(), ['+2', '+4', '-3']);
  const put = kernelOutput(engine);
  assert.is(put.length, 1, 'the mirrored entry that had gone');
  assert.is(put[0]?.flags, 0x601);
  assert.is(engine.counter('corrections'), 4);
  dump(engine, [make(1), make(2, { l4: 4 }), make(4), make(10), make(11)], false);
  assert.is(engine.counter('corrections'), 4, 'nothing more to correct');
});

test('a difference whose event was only late is no correction', () => {
  const engine = makeEngine();
  event(engine, make(1));
  engine.dumpBegin(false);
  for (const line of [make(1, { l4: 4 }), make(2)]) feed(engine, kernelMessage(line), 'dump');
  assert.is(engine.counter('corrections'), 2);
  event(engine, make(1, { l4: 4 }));
  assert.is(engine.dumpEnd(100), 1, 'one round for events that wait');
  event(engine, make(2));
  finish((n) => engine.dumpEnd(n));
  assert.is(engine.counter('corrections'), 0);
});

test('a dump line never undoes what an event did since the dump began', () => {
  const engine = makeEngine();
  event(engine, make(1));
  event(engine, make(2));
  event(engine, make(3));
  mirrored(engine, make(10));
  sent(engine);
  engine.dumpBegin(false);
  event(engine, make(1, { l4: 4 }));
  destroy(engine, make(2));
  sent(engine);
  engine.applyUpdates(encodeDelete(make(10)), false);
  kernelOutput(engine);
  engine.applyUpdates(encodeUpdate(make(11)), false);
  kernelOutput(engine);
  event(engine, make(5));
  // lines made before all that
  for (const line of [make(1), make(2), make(3), make(10)]) feed(engine, kernelMessage(line), 'dump');
  finish((n) => engine.dumpEnd(n));
  assert.equal(
    listAll(engine)
      .map((s) => `${s.orig.sport}:${s.l4}:${s.owner}`)
      .sort(),
    ['11:3:mirrored', '1:4:own', '3:3:own', '5:3:own'],
  );
  assert.is(bench(engine).tombCount(), 0);
  assert.is(engine.counter('corrections'), 0);
  assert.is(kernelOutput(engine).length, 0);
});

test('255 dumps in vain: a stamp of the first is not taken for one of the last', () => {
  const engine = makeEngine();
  event(engine, make(1));
  dump(engine, [make(1)], false);
  for (let i = 0; i < 254; i++) engine.dumpBegin(false);
  dump(engine, [], false);
  assert.is(owners(engine), '0 0 0', 'what no dump shows is gone');
});

test('a mirrored entry that differs in the kernel is written again', () => {
  const engine = makeEngine();
  mirrored(engine, make(1));
  mirrored(engine, make(2));
  mirrored(engine, make(3));
  const unnatted = make(3);
  dump(engine, [make(1), make(2, { l4: 4 }), { ...unnatted, reply: inverse(unnatted) }], false);
  assert.is(engine.counter('mirror_drift'), 2);
  assert.equal(
    kernelOutput(engine).map((m) => m.type),
    [0x100, 0x102, 0x100],
  );
  assert.is(owners(engine), '0 0 3');
});

test('an interrupted or failed dump is reported', () => {
  const engine = makeEngine();
  engine.dumpBegin(false);
  assert.is(feed(engine, kernelMessage(make(1), { flags: 0x10 }), 'dump'), 4);
  assert.is(feed(engine, netlink(3, {}, [Buffer.alloc(4)]), 'dump'), 1);
  const failed = Buffer.alloc(20);
  failed.writeInt32LE(-4, 0);
  assert.is(feed(engine, netlink(2, {}, [failed]), 'dump'), 2);
  assert.is(engine.x.ctError(), 4);
});

test('at the limit the oldest unassured state of mine goes, and the peer hears of it', () => {
  const engine = makeEngine({ maxStates: 20 });
  for (let i = 0; i < 10; i++) {
    engine.setNow(1000 + i);
    event(engine, make(100 + i));
  }
  for (let i = 0; i < 10; i++) {
    engine.setNow(2000 + i);
    event(engine, make(200 + i, { status: 0xa }));
  }
  sent(engine);
  engine.setNow(3000);
  event(engine, make(300));
  assert.is(bench(engine).liveCount(), 20);
  assert.is(engine.counter('table_full'), 1);
  assert.equal(
    sent(engine).map((r) => `${r.delete ? '-' : '+'}${r.state.orig.sport}`),
    ['-200', '+300'],
  );
  for (let i = 0; i < 30; i++) event(engine, make(400 + i));
  assert.is(bench(engine).liveCount(), 20, 'all assured: nothing more comes in');
  assert.is(owners(engine), '0 20 0');
});

test('without a peer ended states do not pile up', () => {
  const engine = makeEngine();
  const random = randomSource(1);
  let size = 0;
  for (let i = 0; i < 150_000; i++) {
    const state = make(i & 0xffff, { zone: i >> 16 });
    event(engine, state);
    if (i >= 1000) destroy(engine, make((i - 1000) & 0xffff, { zone: (i - 1000) >> 16 }));
    if (i === 100_000) size = engine.x.memoryUsed();
    if (random() < 0.0001) assert.is(bench(engine).selfCheck(), 0);
  }
  assert.ok(bench(engine).tombCount() <= 65_600, `${bench(engine).tombCount()}`);
  assert.ok(engine.counter('dirty_forgotten') > 50_000);
  assert.is(engine.x.memoryUsed(), size, 'memory does not grow');
  assert.is(bench(engine).liveCount(), 1000);
  assert.is(bench(engine).selfCheck(), 0);
  const told = sent(engine);
  assert.ok(told.length > 1000 && told.length < 70_000);
  assert.is(bench(engine).tombCount(), 0);
});

test.run();
