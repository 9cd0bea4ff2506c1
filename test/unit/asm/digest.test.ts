/** "In step" is never said while one bit of one synced field differs; what is not synced never matters. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { event, FP_KEY, finish, listAll, makeEngine } from '../../../scripts/reference/harness.ts';
import {
  below,
  clone,
  coarse,
  fingerprint,
  randomSource,
  randomState,
  type State,
  TCP,
} from '../../../scripts/reference/state.ts';
import { encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('engine digest');

function digest(engine: Engine, owner: 'own' | 'mirrored' = 'mirrored'): string {
  const { count, sum } = engine.digest(owner);
  return `${count} ${sum.toString('hex')}`;
}

function mod16(value: number, bit: number): number {
  return value ^ (1 << (bit % 16));
}

const CLASS_STATES = [2, 3, 4, 7];

/** One bit (or the protocol class) of each synced field. The addresses are changed in place. */
const CHANGES: [string, (s: State, bit: number) => Partial<State>][] = [
  ['orig src', (s, bit) => flip(s, s.orig.src, bit)],
  ['orig dst', (s, bit) => flip(s, s.orig.dst, bit)],
  ['orig sport', (s, bit) => ({ orig: { ...s.orig, sport: mod16(s.orig.sport, bit) } })],
  ['orig dport', (s, bit) => ({ orig: { ...s.orig, dport: mod16(s.orig.dport, bit) } })],
  ['reply src', (s, bit) => flip(s, s.reply.src, bit)],
  ['reply dst', (s, bit) => flip(s, s.reply.dst, bit)],
  ['reply sport', (s, bit) => ({ reply: { ...s.reply, sport: mod16(s.reply.sport, bit) } })],
  ['reply dport', (s, bit) => ({ reply: { ...s.reply, dport: mod16(s.reply.dport, bit) } })],
  ['mark', (s, bit) => ({ mark: (s.mark ^ (1 << (bit % 32))) >>> 0 })],
  ['zone', (s, bit) => ({ zone: mod16(s.zone, bit) })],
  ['status', (s, bit) => ({ status: s.status ^ (bit % 2 ? 2 : 4) })],
  ['class', (s, bit) => ({ l4: CLASS_STATES.filter((l4) => coarse({ ...s, l4 }) !== coarse(s))[bit % 3] ?? 3 })],
];

function flip(state: State, bytes: Uint8Array, bit: number): Partial<State> {
  const at = (bit >> 3) % bytes.length;
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
  return state;
}

/** A copy that owns its address buffers. */
function deep(state: State): State {
  const own = clone(state);
  for (const tuple of [own.orig, own.reply]) {
    tuple.src = tuple.src.slice();
    tuple.dst = tuple.dst.slice();
  }
  return own;
}

function tcpState(random: () => number): State {
  for (;;) {
    const state = randomState(random, 60_000);
    if (state.proto !== TCP) continue;
    return deep(state);
  }
}

test('100,000 changes of one bit of a synced field: the digest differs every time', () => {
  const random = randomSource(10);
  const states = Array.from({ length: 40 }, () => tcpState(random));
  const original = makeEngine();
  for (const state of states) original.applyUpdates(encodeUpdate(state), false);
  const truth = digest(original);
  const copies = 500;
  const seen = new Set<string>();
  for (let round = 0; round < 100_000 / copies; round++) {
    // one engine, one state after the other changed and put back: the sums must come back too
    const engine = makeEngine();
    for (const state of states) engine.applyUpdates(encodeUpdate(state), false);
    for (let i = 0; i < copies; i++) {
      const at = below(random, states.length);
      const state = states[at]!;
      const [name, change] = CHANGES[below(random, CHANGES.length)]!;
      const copy = deep(state);
      const changed = { ...copy, ...change(copy, below(random, 256)) };
      replace(engine, state, changed);
      assert.is.not(digest(engine), truth, `${name}: not noticed`);
      seen.add(digest(engine));
      replace(engine, changed, state);
      assert.is(digest(engine), truth, `${name}: not undone`);
    }
  }
  assert.ok(seen.size > 5000, `${seen.size} different digests`);
});

function replace(engine: Engine, from: State, to: State): void {
  const bytes = encodeUpdate(from);
  bytes[0] = ((bytes[0] ?? 0) & 0x46) | 1;
  const keyEnd = 2 + (from.zone ? 2 : 0) + from.orig.src.length * 2 + 4;
  engine.applyUpdates(bytes.subarray(0, keyEnd), false);
  engine.applyUpdates(encodeUpdate(to), false);
}

test('what differs by nature does not change the digest', () => {
  const random = randomSource(11);
  const engine = makeEngine();
  const state = { ...tcpState(random), l4: 4 };
  event(engine, state);
  const truth = digest(engine, 'own');
  for (const other of [
    { ...state, timeout: 9 },
    { ...state, l4: 5 },
    { ...state, wscale: [1, 2] as [number, number] },
    { ...state, flags: [1, 7] as [number, number] },
    { ...state, status: state.status | 0x190 },
  ]) {
    event(engine, other);
    assert.is(digest(engine, 'own'), truth);
  }
  assert.is(listAll(engine).length, 1);
});

test('a state that is there twice does not cancel: sums, not XOR', () => {
  const random = randomSource(12);
  const state = tcpState(random);
  const one = fingerprint(state, FP_KEY);
  assert.is.not((one + one) & ((1n << 128n) - 1n), 0n);
  const engine = makeEngine();
  event(engine, state);
  assert.is(BigInt(`0x${engine.digest('own').sum.toString('hex')}`), one);
});

test('buckets: 256 sums and counts, bucket = low byte of the fingerprint', () => {
  const random = randomSource(13);
  const engine = makeEngine();
  for (let i = 0; i < 2000; i++) event(engine, randomState(random, 60_000));
  const expected = Array.from({ length: 256 }, () => ({ count: 0n, sum: 0n }));
  for (const one of listAll(engine)) {
    const bucket = expected[Number(one.fingerprint & 255n)]!;
    bucket.count++;
    bucket.sum = (bucket.sum + one.fingerprint) & ((1n << 128n) - 1n);
  }
  assert.equal(engine.buckets('own'), expected);
  assert.ok(
    expected.every((bucket) => bucket.count < 40n),
    'evenly spread',
  );
  engine.yieldOwn();
  assert.equal(engine.buckets('mirrored'), expected);
});

test('a new key changes every fingerprint, in slices, while states come and go', () => {
  const random = randomSource(14);
  const engine = makeEngine();
  for (let i = 0; i < 2000; i++) event(engine, randomState(random, 60_000));
  const before = new Set(listAll(engine).map((s) => s.fingerprint));
  const key = Uint8Array.from({ length: 16 }, () => random() * 256);
  engine.view().set(key, engine.areas.datagrams.offset);
  engine.x.setFingerprintKey(engine.areas.datagrams.offset);
  assert.is(bench(engine).rekeyActive(), 1);
  while (engine.x.rekeyStep(37) !== 0) {
    event(engine, randomState(random, 60_000));
    const some = listAll(engine)[below(random, 1000)]!;
    const dirty = engine.dirtyCount();
    event(engine, some, { withoutInfo: true });
    assert.is(engine.dirtyCount(), dirty, 'an unchanged state does not become dirty by the new key');
    assert.is(bench(engine).selfCheck(), 0);
  }
  assert.is(bench(engine).rekeyActive(), 0);
  let sum = 0n;
  for (const one of listAll(engine)) {
    assert.is(one.fingerprint, fingerprint(one, key));
    assert.not(before.has(one.fingerprint));
    sum = (sum + one.fingerprint) & ((1n << 128n) - 1n);
  }
  assert.is(BigInt(`0x${engine.digest('own').sum.toString('hex')}`), sum);
});

test('avalanche: one bit of the input turns about half of the fingerprint', () => {
  const random = randomSource(15);
  let turned = 0;
  const trials = 2000;
  for (let i = 0; i < trials; i++) {
    const state = tcpState(random);
    const before = fingerprint(state, FP_KEY);
    flip(state, state.orig.src, below(random, 32));
    const x = before ^ fingerprint(state, FP_KEY);
    turned += x.toString(2).replaceAll('0', '').length;
  }
  const mean = turned / trials;
  assert.ok(mean > 63 && mean < 65, `${mean} of 128 bits`);
});

test('adopting moves the digest to the new owner at once, the sweep does not change it', () => {
  const random = randomSource(16);
  const engine = makeEngine();
  for (let i = 0; i < 500; i++) engine.applyUpdates(encodeUpdate(randomState(random, 60_000)), false);
  const truth = digest(engine);
  engine.adoptPeer();
  assert.is(digest(engine, 'own'), truth);
  assert.is(digest(engine), `0 ${'0'.repeat(32)}`);
  for (let more = 1; more !== 0; ) {
    more = engine.sweep(13);
    assert.is(digest(engine, 'own'), truth);
  }
  finish((n) => engine.sweep(n));
});

test.run();
