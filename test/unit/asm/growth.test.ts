/** The table grows to 300,000 states one bucket at a time, stays findable, and its memory per state is told. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { makeEngine } from '../../../scripts/reference/harness.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('engine growth');

const N = 300_000;
const SIZE = 144;

/** Images of `n` different UDP states from `first` on, in the area for datagrams; returns where. */
function images(engine: Engine, first: number, n: number): number {
  const at = engine.areas.sync.offset;
  const bytes = Buffer.alloc(n * SIZE);
  for (let i = 0; i < n; i++) {
    const o = i * SIZE;
    const id = first + i;
    bytes.writeUInt8(17, o + 10);
    bytes.writeUInt8(2, o + 11);
    bytes.writeUInt16LE(1024 + (id % 60_000), o + 12);
    bytes.writeUInt16LE(53, o + 14);
    bytes.writeUInt32BE(0x0a000000 + Math.floor(id / 60_000), o + 16);
    bytes.writeUInt32BE(0x08080808, o + 32);
    bytes.writeUInt32BE(0x08080808, o + 48);
    bytes.writeUInt32BE(0xcb007101, o + 64);
    bytes.writeUInt16LE(53, o + 80);
    bytes.writeUInt16LE(1024 + (id % 60_000), o + 82);
    bytes.writeUInt16LE(0xe, o + 88);
  }
  engine.view().set(bytes, at);
  return at;
}

const STEP = 2000;

test('300,000 states', () => {
  const engine = makeEngine();
  const empty = engine.x.memoryUsed();
  let worst = 0;
  for (let first = 0; first < N; first += STEP) {
    const at = images(engine, first, STEP);
    const before = performance.now();
    assert.is(bench(engine).benchUpdate(at, STEP), STEP);
    worst = Math.max(worst, performance.now() - before);
  }
  assert.is(bench(engine).liveCount(), N);
  assert.is(bench(engine).bucketCount(), N, 'a bucket an insert');
  assert.ok(bench(engine).longestChain() <= 12, `${bench(engine).longestChain()}`);
  const used = (engine.x.memoryUsed() - empty) / N;
  console.log(`  memory: ${used.toFixed(1)} B a state; slowest ${STEP} inserts: ${worst.toFixed(1)} ms`);
  assert.ok(engine.x.memoryUsed() / N <= 160, 'all in');
  assert.ok(engine.memory.buffer.byteLength - engine.x.memoryUsed() <= 8 << 20, 'one growth ahead at most');
  assert.is(bench(engine).selfCheck(), 0);
  for (let first = 0; first < N; first += STEP) {
    assert.is(bench(engine).benchFind(images(engine, first, STEP), STEP), STEP);
  }
  assert.is(bench(engine).benchFind(images(engine, N, STEP), STEP), 0);
});

test('slots of ended states are used again, a listing sees all that stay', () => {
  const engine = makeEngine();
  for (let first = 0; first < 20_000; first += STEP) bench(engine).benchUpdate(images(engine, first, STEP), STEP);
  const size = engine.x.memoryUsed();
  const seen = new Set<number>();
  let at = 0;
  let fresh = 20_000;
  for (let i = 0; ; i++) {
    at = engine.next(at);
    if (at === 0) break;
    assert.not(seen.has(at), 'twice');
    seen.add(at);
    if (i % 2000 !== 1999) continue;
    // every tenth goes away in the middle of the listing, others come
    bench(engine).benchDelete(images(engine, i - 199, 200), 200);
    bench(engine).benchUpdate(images(engine, fresh, 200), 200);
    fresh += 200;
  }
  assert.ok(seen.size >= 18_000, `${seen.size}`);
  assert.is(bench(engine).liveCount(), 20_000);
  assert.is(engine.x.memoryUsed(), size, 'no new page');
  assert.is(bench(engine).selfCheck(), 0);
  for (let first = 0; first < fresh; first += STEP) bench(engine).benchDelete(images(engine, first, STEP), STEP);
  assert.is(bench(engine).liveCount(), 0);
  assert.is(engine.next(0), 0);
  assert.equal(engine.digest('own'), { count: 0n, sum: Buffer.alloc(16) });
});

test('without the index key chains can’t be built: hashes of neighbouring keys are spread', () => {
  const engine = makeEngine({ indexKey: Uint8Array.from({ length: 16 }, () => 0xff) });
  for (let first = 0; first < 16_000; first += STEP) bench(engine).benchUpdate(images(engine, first, STEP), STEP);
  assert.ok(bench(engine).longestChain() <= 9, `${bench(engine).longestChain()}`);
});

test.run();
