/** The rateless IBLT: equal to the plain reference, as cheap as published, harmless when damaged. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { wasm } from '../../../scripts/reference/harness.ts';
import { ReferenceIblt } from '../../../scripts/reference/iblt.ts';
import { below, randomSource } from '../../../scripts/reference/state.ts';
import { CodedSymbols } from '../../../src/sync/repair/coded-symbols.ts';
import { ID_SIZE, SYMBOL_SIZE } from '../../../src/sync/wire/repair.ts';

const test = suite('iblt');
const module = new WebAssembly.Module(wasm);

function keyOf(random: () => number): Buffer {
  return Buffer.from(Array.from({ length: 16 }, () => below(random, 256)));
}

function randomIds(random: () => number, n: number): BigUint64Array {
  const words = new Uint32Array(n * 2);
  for (let i = 0; i < words.length; i++) words[i] = below(random, 0x1_0000_0000);
  return new BigUint64Array(words.buffer);
}

function codedOf(key: Uint8Array, ids: BigUint64Array): CodedSymbols {
  const coded = new CodedSymbols(module, key);
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  for (let at = 0; at < bytes.length; at += 16384) assert.ok(coded.add(bytes.subarray(at, at + 16384)));
  coded.seal();
  return coded;
}

/** Symbols below `to`, made in one go. */
function make(coded: CodedSymbols, to: number): void {
  assert.ok(coded.pass(to));
  while (coded.step());
}

function give(seeker: CodedSymbols, symbols: Buffer): void {
  for (let at = 0; at < symbols.length; at += 16384) assert.ok(seeker.take(symbols.subarray(at, at + 16384)));
}

function work(seeker: CodedSymbols): 'dry' | 'solved' | 'damaged' {
  assert.ok(seeker.pass(seeker.taken));
  for (;;) {
    const result = seeker.solve();
    if (result !== 'more') return result;
  }
}

function sortedIds(bytes: Buffer): bigint[] {
  const ids = Array.from({ length: bytes.length / ID_SIZE }, (_, i) => bytes.readBigUInt64LE(i * ID_SIZE));
  return ids.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** How many symbols `d` differences took, asked for in steps of `step`. */
function symbolsFor(random: () => number, common: number, d: number, grow: (have: number) => number): number {
  const key = keyOf(random);
  const all = randomIds(random, common + d);
  const half = common + (d >> 1);
  const owner = codedOf(key, all.subarray(0, half));
  const other = new BigUint64Array(common + d - (d >> 1));
  other.set(all.subarray(0, common));
  other.set(all.subarray(half), common);
  const seeker = codedOf(key, other);
  for (let have = 0; have < 4 * d + 200; ) {
    const to = grow(have);
    make(owner, to);
    give(seeker, owner.read(have, to - have));
    have = to;
    const result = work(seeker);
    assert.is.not(result, 'damaged');
    if (result === 'dry') continue;
    assert.is(seeker.found, d);
    assert.equal(sortedIds(seeker.differences()), sortedIds(Buffer.from(all.slice(common).buffer)));
    return have;
  }
  throw new Error(`no end for ${d} differences`);
}

test('symbols, indices and solution are those of the plain reference', () => {
  const random = randomSource(1);
  for (let round = 0; round < 60; round++) {
    const key = keyOf(random);
    const reference = new ReferenceIblt(key);
    const n = below(random, 200);
    const d = below(random, 40);
    const ids = randomIds(random, n + d);
    const [mine, theirs] = [ids.subarray(0, n + (d >> 1)), ids.subarray(d >> 1)];
    const m = 1 + below(random, 3 * d + 20);
    const owner = codedOf(key, mine);
    // In uneven steps: where a pass ends must not matter.
    for (let to = 0; to < m; ) {
      to = Math.min(m, to + 1 + below(random, 30));
      make(owner, to);
    }
    const wire = owner.read(0, m);
    const expected = reference.symbols(mine, m);
    expected.forEach((symbol, i) => {
      assert.is(wire.readBigUInt64BE(i * SYMBOL_SIZE), symbol.ids);
      assert.is(wire.readBigUInt64BE(i * SYMBOL_SIZE + 8), symbol.checks);
    });
    const seeker = codedOf(key, theirs);
    give(seeker, wire);
    const solution = reference.solve(expected, reference.symbols(theirs, m));
    assert.is(work(seeker), solution === null ? 'dry' : 'solved');
    if (solution !== null) {
      const found = sortedIds(seeker.differences());
      assert.is(found.length, solution.size);
      assert.ok(found.every((id) => solution.has(id)));
    }
  }
});

test('equal sets are known as equal from the first symbol; one difference from the first', () => {
  const random = randomSource(2);
  assert.is(
    symbolsFor(random, 1000, 0, () => 1),
    1,
  );
  assert.is(
    symbolsFor(random, 1000, 1, (have) => have + 1),
    1,
  );
});

test('1.35 to 1.72 coded symbols for each difference, from 100 to 100,000', () => {
  const random = randomSource(3);
  console.log('\n  differences  symbols for each (mean of seeds, least, most)');
  for (const [d, seeds] of [
    [100, 40],
    [300, 20],
    [1000, 10],
    [3000, 6],
    [10_000, 3],
    [30_000, 2],
    [100_000, 1],
  ] as const) {
    const overheads = Array.from({ length: seeds }, () => {
      const step = Math.max(1, d >> 8);
      return symbolsFor(random, 2000, d, (have) => (have === 0 ? d : have + step)) / d;
    });
    const mean = overheads.reduce((sum, x) => sum + x, 0) / seeds;
    const range = [Math.min(...overheads), Math.max(...overheads)].map((x) => x.toFixed(2));
    console.log(`  ${String(d).padStart(11)}  ${mean.toFixed(3)} (${seeds} seeds, ${range.join(' to ')})`);
    // The published figures are means; asking in steps adds half a step.
    assert.ok(mean > 1.3 && mean < 1.74, `${d} differences: ${mean} symbols each`);
  }
});

test('damaged symbols end in bounded work: damaged, dry, or wrong ids, never more ids than symbols', () => {
  const random = randomSource(4);
  const ends = { dry: 0, solved: 0, damaged: 0 };
  for (let round = 0; round < 400; round++) {
    const key = keyOf(random);
    const ids = randomIds(random, 300);
    const owner = codedOf(key, ids.subarray(0, 250));
    make(owner, 250);
    const wire = owner.read(0, 250);
    const kind = round % 4;
    if (kind === 0) wire[below(random, wire.length)]! ^= 1 << below(random, 8);
    else if (kind === 1) for (let i = 0; i < wire.length; i++) wire[i] = below(random, 256);
    else if (kind === 2) wire.copyWithin(SYMBOL_SIZE * below(random, 100), SYMBOL_SIZE * below(random, 100));
    else {
      // Every symbol the same valid single id: it is found again and again.
      const single = codedOf(key, ids.subarray(299));
      make(single, 1);
      for (let i = 0; i < 250; i++) single.read(0, 1).copy(wire, i * SYMBOL_SIZE);
    }
    const seeker = codedOf(key, ids.subarray(100));
    const before = seeker.bytes;
    give(seeker, wire);
    assert.ok(seeker.pass(seeker.taken));
    let slices = 0;
    let result = seeker.solve();
    while (result === 'more' && ++slices < 100) result = seeker.solve();
    assert.is.not(result, 'more');
    ends[result as keyof typeof ends] += 1;
    assert.ok(seeker.found <= 250);
    assert.ok(seeker.bytes <= before + (1 << 20));
  }
  assert.ok(ends.damaged > 0 && ends.dry > 0, JSON.stringify(ends));
});

test('another key: no solution (negative control)', () => {
  const random = randomSource(5);
  const ids = randomIds(random, 100);
  const owner = codedOf(keyOf(random), ids.subarray(0, 90));
  make(owner, 100);
  const seeker = codedOf(keyOf(random), ids.subarray(10));
  give(seeker, owner.read(0, 100));
  assert.is.not(work(seeker), 'solved');
});

test.run();
