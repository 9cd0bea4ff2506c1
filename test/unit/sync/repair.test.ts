/** Repair by difference, the pure part and its messages: who decides what, and what a peer gone mad can't do. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { firstSymbols, mostSymbols, REPAIR, worthwhile } from '../../../src/sync/repair/cost.ts';
import type { RepairEvent } from '../../../src/sync/repair/state.ts';
import { inStep } from '../../../src/sync/session/in-step.ts';
import { nextSyncDeadline, stepSync } from '../../../src/sync/session/machine.ts';
import type { Context, Counts, SyncAction, SyncEvent, SyncState } from '../../../src/sync/session/state.ts';
import { createSync } from '../../../src/sync/session/state.ts';
import { MESSAGE_HEADER, MSG } from '../../../src/sync/wire/datagram.ts';
import type { RepairMessage } from '../../../src/sync/wire/repair.ts';
import { decodeRepair, encodeRepair, idsIn, REFUSAL, symbolsIn } from '../../../src/sync/wire/repair.ts';

const test = suite('repair');

const COUNTS: Counts = { own: 0, mirrored: 1000, unclaimed: 0, dirty: 0, missing: 0, unsure: false };

/** A machine in the middle of a session, and what it did. */
const expectedBy = ({ state }: Box): number => (state.repairIn?.phase === 'reading' ? state.repairIn.expected : 0);

class Box {
  readonly state: SyncState;
  now = 1000;
  counts: Counts;
  actions: SyncAction[] = [];

  constructor(counts: Partial<Counts> = {}) {
    this.counts = { ...COUNTS, ...counts };
    this.state = createSync('0'.repeat(32));
    Object.assign(this.state, { open: true, alive: true, heardAt: 1000, peerNonce: '1'.repeat(32), digestNow: false });
    this.state.digestAt = 1e9;
    this.state.beatAt = 1e9;
  }

  context(): Context {
    return { now: this.now, nonce: '2'.repeat(32), counts: this.counts };
  }

  step(event: SyncEvent): string[] {
    this.state.heardAt = this.now;
    this.actions = stepSync(this.state, event, this.context());
    return this.actions.map((action) => action.type);
  }

  hear(message: RepairMessage): string[] {
    return this.step({ type: 'repairMessage', message, adoptSeen: this.state.adoptId });
  }

  digest(equal: boolean, count = 1000): string[] {
    const digest = { count: BigInt(count), sum: Buffer.alloc(16), adoptId: 0, applied: 0, unclaimed: 0 };
    return this.step({ type: 'digest', digest, seq: 1, adoptSeen: this.state.adoptId, equal });
  }

  do(...types: RepairEvent['type'][]): string[] {
    let last: string[] = [];
    for (const type of types) last = this.step({ type, differences: 3, symbols: 30 } as RepairEvent);
    return last;
  }
}

function begin(id: number, over: Partial<Extract<RepairMessage, { type: 'begin' }>> = {}): RepairMessage {
  return { type: 'begin', id, total: 1000, symbols: 40, applied: 0, mask: Buffer.alloc(32, 1), ...over };
}

function symbols(id: number, first: number, n: number): RepairMessage {
  return { type: 'symbols', id, first, symbols: Buffer.alloc(n * 16) };
}

const ask: RepairMessage = { type: 'ask', id: 9, count: 1000, buckets: new Uint32Array(256) };

test('the mirror: ask, snapshot, symbols, more, apply, proof', () => {
  const box = new Box();
  assert.ok(box.digest(false).includes('askRepair'));
  const found = inStep(box.state, box.now, { unsure: false, unclaimed: 0, missing: 0 });
  assert.is(found.inStep, false);
  assert.equal(found.cause, { type: 'repairing' });
  assert.ok(box.hear(begin(1)).includes('snapshot'));
  assert.ok(box.hear(symbols(1, 0, 40)).includes('takeSymbols'));
  assert.ok(box.do('repairDry').includes('askMore'));
  assert.is(expectedBy(box), 88);
  box.hear(symbols(1, 40, 48));
  assert.ok(box.do('repairSolved').includes('applyRepair'));
  assert.not(box.digest(false).includes('sendVerdict'), 'no digest counts until what is missing was asked for');
  box.do('repairApplied');
  assert.ok(box.digest(true).includes('repaired'));
  assert.is(box.state.repairIn, null);
  assert.is(box.state.repairFails, 0);
  assert.is(box.state.repairs, 1);
});

test('two repairs without success, then everything', () => {
  const box = new Box();
  const seen: string[] = [];
  for (let round = 0; round < 3; round++) {
    box.now += 20_000;
    const actions = box.digest(false);
    seen.push(actions.includes('askRepair') ? 'repair' : actions.includes('sendResync') ? 'bulk' : 'nothing');
    const id = box.state.repairIn?.id ?? 0;
    box.hear(begin(id));
    box.hear(symbols(id, 0, 40));
    box.do('repairSolved', 'repairApplied');
  }
  box.now += 20_000;
  seen.push(box.digest(false).includes('sendResync') ? 'bulk' : 'repair');
  assert.equal(seen, ['repair', 'repair', 'bulk', 'repair']);
});

test('the plain list at once: nothing here, few states there, or too far apart', () => {
  assert.ok(new Box({ mirrored: 0 }).digest(false).includes('sendResync'));
  assert.ok(new Box({ mirrored: 150 }).digest(false, 150).includes('sendResync'));
  assert.ok(new Box({ mirrored: 100 }).digest(false, 1000).includes('sendResync'));
  assert.ok(
    new Box({ mirrored: 0, unclaimed: 900 }).digest(false).includes('askRepair'),
    'stale states are candidates',
  );
});

test('a dump of the own kernel is waited for, but not for ever', () => {
  const box = new Box({ mirrored: 0, unclaimed: 500, unsure: true });
  assert.not(box.digest(false).includes('askRepair'));
  box.now += 1000;
  box.counts = { ...box.counts, unclaimed: 1000, unsure: false };
  assert.ok(box.digest(false).includes('askRepair'));
  const other = new Box({ unsure: true });
  other.digest(false);
  other.now += 6000;
  assert.ok(other.digest(false).includes('sendResync'));
});

test('the mirror refuses what can not be: wrong order, too much, too many, another repair', () => {
  for (const bad of [
    [begin(1, { total: 1_000_000 })],
    [begin(1, { total: 10 })],
    [begin(1, { symbols: 1e6 })],
    [symbols(1, 0, 1)],
    [begin(1), symbols(1, 1, 1)],
    [begin(1), symbols(1, 0, 41)],
    [begin(1), symbols(1, 0, 40), symbols(1, 40, 1)],
    [begin(1), begin(1)],
  ]) {
    const box = new Box();
    box.digest(false);
    const last = bad.map((message) => box.hear(message)).at(-1) ?? [];
    assert.ok(last.includes('refuse') && last.includes('endRepair') && last.includes('closeMirror'));
    assert.is(box.state.repairIn, null);
  }
  const box = new Box();
  box.digest(false);
  assert.equal(box.hear(begin(2)), [], 'a repair that was given up long ago');
  assert.equal(box.hear({ type: 'want', id: 1, last: true, ids: Buffer.alloc(8) }), []);
  assert.is(box.state.repairIn?.phase, 'asked');
});

test('symbols beyond what the plain list costs: everything is sent', () => {
  const box = new Box();
  box.digest(false);
  box.hear(begin(1));
  let received = 0;
  for (let i = 0; i < 100; i++) {
    const expected = expectedBy(box);
    box.hear(symbols(1, received, expected - received));
    received = expected;
    const actions = box.do('repairDry');
    if (actions.includes('sendResync')) break;
    assert.ok(actions.includes('askMore'));
  }
  assert.is(box.state.repairIn, null);
  assert.is(received, mostSymbols(1000));
  assert.ok(received * 16 < 1000 * REPAIR.stateCost);
});

test('a change of ownership on its way, or in the middle, ends the repair', () => {
  const box = new Box();
  box.digest(false);
  box.state.lateSeq = 5;
  assert.ok(box.hear(begin(1, { applied: 4 })).includes('endRepair'));
  const other = new Box();
  other.digest(false);
  other.hear(begin(1));
  const actions = other.step({ type: 'adopt', id: 1, crossed: false });
  assert.ok(actions.indexOf('closeMirror') >= 0 && actions.indexOf('closeMirror') < actions.indexOf('yieldOwn'));
});

test('BEGIN waits until nothing waits to be sent and no datagram is being applied; no digest meanwhile', () => {
  const box = new Box({ own: 1000, mirrored: 0, dirty: 3 });
  box.state.digestNow = true;
  assert.not(box.hear(ask).includes('beginRepair'));
  assert.not(box.step({ type: 'tick' }).includes('beginRepair'));
  box.counts = { ...box.counts, dirty: 0, unsure: true };
  assert.not(box.step({ type: 'tick' }).includes('beginRepair'));
  box.counts = { ...box.counts, unsure: false };
  assert.is(nextSyncDeadline(box.state, box.context()), box.now);
  const actions = box.step({ type: 'tick' });
  assert.ok(actions.includes('beginRepair') && !actions.includes('sendDigest'));
  box.do('repairBegun');
  assert.ok(box.hear({ type: 'more', id: 9, symbols: 100 }).includes('makeSymbols'));
  box.hear({ type: 'want', id: 9, last: false, ids: Buffer.alloc(80) });
  assert.ok(box.hear({ type: 'want', id: 9, last: true, ids: Buffer.alloc(8) }).includes('markWants'));
  assert.not(box.step({ type: 'tick' }).includes('sendDigest'));
  assert.ok(box.do('repairMarked').includes('sendDigest'), 'the proof follows at once');
});

test('the owner refuses: few states, a bulk that runs, more than there is', () => {
  const few = new Box({ own: 100 });
  few.hear(ask);
  assert.equal(few.actions[0], { type: 'refuseRepair', id: 9, reason: REFUSAL.few });
  const bulk = new Box({ own: 1000 });
  bulk.state.bulkOut = 'running';
  bulk.hear(ask);
  assert.equal(bulk.actions[0], { type: 'refuseRepair', id: 9, reason: REFUSAL.bulk });
  for (const bad of [
    { type: 'more', id: 9, symbols: 1e7 },
    { type: 'more', id: 9, symbols: 1 },
    { type: 'want', id: 9, last: false, ids: Buffer.alloc(8 * 10_000) },
  ] as RepairMessage[]) {
    const box = new Box({ own: 1000 });
    box.hear(ask);
    box.step({ type: 'tick' });
    box.do('repairBegun');
    const actions = box.hear(bad);
    assert.ok(actions.includes('refuse') && actions.includes('refuseRepair') && actions.includes('closeOwner'));
    assert.is(box.state.repairOut, null);
  }
});

test('the mirror takes a refusal as it is meant', () => {
  for (const [reason, bulk] of [
    [REFUSAL.few, true],
    [REFUSAL.costly, true],
    [REFUSAL.bulk, false],
  ] as const) {
    const box = new Box();
    box.digest(false);
    const actions = box.hear({ type: 'refuse', id: 1, reason });
    assert.is(actions.includes('sendResync'), bulk);
    assert.is(box.state.repairIn, null);
  }
});

test('no progress: given up after the patience; silence of the link does not count', () => {
  const box = new Box({ own: 1000 });
  box.digest(false);
  box.hear(ask);
  box.state.alive = false;
  for (let i = 0; i < 10; i++) {
    box.now += 1000;
    box.step({ type: 'tick' });
  }
  assert.ok(box.state.repairIn !== null && box.state.repairOut !== null);
  box.state.alive = true;
  box.now += REPAIR.patience;
  const actions = box.step({ type: 'tick' });
  assert.ok(actions.includes('closeMirror') && actions.includes('closeOwner'));
  assert.is(box.state.repairFails, 1);
});

test('the cost model: what is worth while, how many symbols first and at most', () => {
  assert.ok(worthwhile(100_000, 99_000));
  assert.not(worthwhile(100_000, 0));
  assert.not(worthwhile(199, 199));
  assert.not(worthwhile(100_000, 40_000));
  assert.ok(firstSymbols(1, 100_000, 100_000) < 40);
  const guess = firstSymbols(200, 100_000, 100_000);
  // 200 of 256 buckets: 389 differences are the most likely number.
  assert.ok(guess > 1.35 * 389 && guess < 1.72 * 389);
  assert.ok(firstSymbols(256, 100_000, 90_000) > 13_500);
  for (const n of [200, 1000, 100_000])
    assert.ok(mostSymbols(n) * REPAIR.symbolCost < Math.max(n, 350) * REPAIR.stateCost);
});

test('messages: there and back, cut short, of impossible lengths, random bytes', () => {
  const all: [number, RepairMessage][] = [
    [MSG.REPAIR_ASK, { ...ask, buckets: Uint32Array.from({ length: 256 }, (_, i) => i * 16_777_259) } as RepairMessage],
    [MSG.REPAIR_BEGIN, begin(0xffffffff, { applied: 7 })],
    [MSG.REPAIR_SYMBOLS, symbols(1, 5, 3)],
    [MSG.REPAIR_MORE, { type: 'more', id: 3, symbols: 99 }],
    [MSG.REPAIR_WANT, { type: 'want', id: 3, last: true, ids: Buffer.alloc(24, 9) }],
    [MSG.REPAIR_REFUSE, { type: 'refuse', id: 3, reason: 2 }],
    [MSG.REPAIR_END, { type: 'end', id: 3 }],
  ];
  for (const [type, repair] of all) {
    const bytes = encodeRepair(repair);
    assert.is(bytes.readUInt8(0), type);
    const content = bytes.subarray(MESSAGE_HEADER);
    assert.is(content.length, bytes.readUInt16BE(1));
    assert.equal(decodeRepair(type, content), repair);
    const least = type === MSG.REPAIR_SYMBOLS ? 8 : type === MSG.REPAIR_WANT ? 5 : content.length;
    for (let length = 0; length < least; length++) assert.is(decodeRepair(type, content.subarray(0, length)), null);
    assert.not.throws(() => decodeRepair(type, Buffer.from(content.map((byte, i) => byte ^ (i * 37)))));
  }
  assert.is(decodeRepair(MSG.REPAIR_SYMBOLS, Buffer.alloc(8 + 17)), null);
  assert.is(decodeRepair(MSG.REPAIR_WANT, Buffer.alloc(5 + 9)), null);
  assert.ok(encodeRepair(symbols(1, 0, symbolsIn(1433))).length - MESSAGE_HEADER <= 1433);
  assert.ok(idsIn(1433) * 8 + 5 <= 1433);
});

test.run();
