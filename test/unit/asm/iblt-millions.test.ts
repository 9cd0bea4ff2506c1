/**
 * The rateless IBLT of the module and the plain reference, on random sets in random order: an operation is an id that
 * goes into a set, a symbol that is made and compared, or one that is taken in. CARPIO_OPERATIONS=20000000 for a long
 * run; by itself it ends after some seconds, whatever it has done by then.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { wasm } from '../../../scripts/reference/harness.ts';
import { ReferenceIblt, type Symbol64 } from '../../../scripts/reference/iblt.ts';
import { below, randomSource } from '../../../scripts/reference/state.ts';
import { CodedSymbols } from '../../../src/sync/repair/coded-symbols.ts';
import { ID_SIZE, SYMBOL_SIZE } from '../../../src/sync/wire/repair.ts';

const test = suite('iblt: millions of operations');
const module = new WebAssembly.Module(wasm);

const WANTED = Number(process.env.CARPIO_OPERATIONS ?? 1_000_000);
/** Milliseconds; only a run that somebody asked for takes longer. */
const ENOUGH = process.env.CARPIO_OPERATIONS === undefined ? 6000 : Number.POSITIVE_INFINITY;
const PIECE = 16_384;

/** Between 0 and `most`, each order of magnitude as often as any other. */
const magnitude = (random: () => number, most: number): number => Math.floor((most + 1) ** random()) - 1;

const bytesOf = (random: () => number, n: number): Buffer =>
  Buffer.from(Array.from({ length: n }, () => below(random, 256)));

interface Case {
  key: Buffer;
  mine: BigUint64Array;
  theirs: BigUint64Array;
  /** Symbols in all. */
  m: number;
}

function randomCase(random: () => number): Case {
  const [common, d] = [magnitude(random, 4000), magnitude(random, 600)];
  const words = Uint32Array.from({ length: 2 * (common + d) }, () => below(random, 0x1_0000_0000));
  const ids = new BigUint64Array(words.buffer);
  const left = below(random, d + 1);
  return {
    key: bytesOf(random, 16),
    mine: ids.subarray(0, common + left),
    theirs: ids.subarray(left),
    m: 1 + below(random, 2 * d + 20),
  };
}

/** In pieces of any size: where one ends must not matter. */
function inPieces(random: () => number, bytes: Uint8Array, unit: number, act: (piece: Uint8Array) => void): void {
  for (let at = 0; at < bytes.length; ) {
    const units = Math.min((bytes.length - at) / unit, 1 + magnitude(random, PIECE / unit - 1));
    act(bytes.subarray(at, at + units * unit));
    at += units * unit;
  }
}

function codedOf(random: () => number, key: Buffer, ids: BigUint64Array): CodedSymbols {
  const coded = new CodedSymbols(module, key, random() < 0.5 ? ids.length : 0);
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  inPieces(random, bytes, ID_SIZE, (piece) => assert.ok(coded.add(piece)));
  coded.seal();
  return coded;
}

/** All symbols of a set, made in steps of any size. */
function wireOf(random: () => number, owner: CodedSymbols, m: number): Buffer {
  for (let to = 0; to < m; ) {
    to = Math.min(m, to + 1 + magnitude(random, m));
    assert.ok(owner.pass(to));
    while (owner.step());
  }
  return owner.read(0, m);
}

/** The first symbol that is another one; -1: none. */
function firstOther(wire: Buffer, expected: readonly Symbol64[]): number {
  return expected.findIndex(
    ({ ids, checks }, i) =>
      wire.readBigUInt64BE(i * SYMBOL_SIZE) !== ids || wire.readBigUInt64BE(i * SYMBOL_SIZE + 8) !== checks,
  );
}

/** Takes the symbols in as they come and looks for differences in between. */
function solution(random: () => number, seeker: CodedSymbols, wire: Buffer): Set<bigint> | null {
  let result = 'dry';
  inPieces(random, wire, SYMBOL_SIZE, (piece) => {
    if (result === 'solved') return;
    assert.ok(seeker.take(piece));
    assert.ok(seeker.pass(seeker.taken));
    do result = seeker.solve();
    while (result === 'more');
    assert.is.not(result, 'damaged');
  });
  if (result !== 'solved') return null;
  const found = seeker.differences();
  return new Set(Array.from({ length: found.length / ID_SIZE }, (_, i) => found.readBigUInt64LE(i * ID_SIZE)));
}

/** One case on both. @returns the operations that it was */
function compare(random: () => number, { key, mine, theirs, m }: Case): { operations: number; solved: boolean } {
  const reference = new ReferenceIblt(key);
  const expected = reference.symbols(mine, m);
  const wire = wireOf(random, codedOf(random, key, mine), m);
  assert.is(firstOther(wire, expected), -1);
  const found = solution(random, codedOf(random, key, theirs), wire);
  const wanted = reference.solve(expected, reference.symbols(theirs, m));
  // The module may have ended with fewer symbols than all.
  if (wanted === null) assert.is(found, null);
  else assert.ok(found !== null && found.size === wanted.size && [...found].every((id) => wanted.has(id)));
  return { operations: mine.length + theirs.length + 2 * m, solved: wanted !== null };
}

test('random sets, random pieces: the same symbols and the same differences', () => {
  const random = randomSource(20_261_123);
  const begun = performance.now();
  const ends = { solved: 0, dry: 0 };
  let operations = 0;
  while (operations < WANTED && performance.now() - begun < ENOUGH) {
    const done = compare(random, randomCase(random));
    operations += done.operations;
    ends[done.solved ? 'solved' : 'dry'] += 1;
  }
  console.log(
    `${operations} operations in ${ends.solved + ends.dry} cases (${ends.solved} solved, ${ends.dry} with too few symbols)`,
  );
  assert.ok(ends.solved > 10 && ends.dry > 5, JSON.stringify(ends));
});

test('negative control: one bit of one symbol, one id too many', () => {
  const random = randomSource(2);
  const { key, mine } = { ...randomCase(random), mine: new BigUint64Array([1n, 2n, 3n]) };
  const reference = new ReferenceIblt(key);
  const wire = wireOf(random, codedOf(random, key, mine), 10);
  assert.is(firstOther(wire, reference.symbols(mine, 10)), -1);
  assert.is(firstOther(wire, reference.symbols([...mine, 4n], 10)), 0);
  wire[37]! ^= 1;
  assert.is(firstOther(wire, reference.symbols(mine, 10)), 2);
});

test.run();
