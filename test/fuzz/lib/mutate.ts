/** Mutations of bytes, in place and without garbage: this is the inner loop of some hundred million inputs. */
import type { Random } from '../../../scripts/lib/random.ts';

/** Values that lengths, types and counts break on. */
const EDGES = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 20, 31, 32, 63, 64, 0x7f, 0x80, 0xfe, 0xff];
const WIDE = [0, 1, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

export interface Work {
  /** Mutated input stands in `bytes` from 0 to `length`. */
  bytes: Buffer;
  length: number;
}

export function makeWork(most: number): Work {
  return { bytes: Buffer.alloc(most), length: 0 };
}

/** Takes a good input and does one to four things to it; or none, once in a while. */
export function mutate(work: Work, random: Random, corpus: readonly Uint8Array[], words: readonly Uint8Array[]): void {
  const good = corpus[Math.floor(random.next() * corpus.length)]!;
  const room = work.bytes.length;
  work.length = Math.min(good.length, room);
  work.bytes.set(good.length <= room ? good : good.subarray(0, room));
  for (let n = Math.floor(random.next() * 5); n > 0; n--) once(work, random, corpus, words, room);
}

function once(work: Work, random: Random, corpus: readonly Uint8Array[], words: readonly Uint8Array[], room: number) {
  const { bytes, length } = work;
  const at = Math.floor(random.next() * (length + 1));
  switch (Math.floor(random.next() * 10)) {
    case 0:
      if (at < length) bytes[at] = bytes[at]! ^ (1 << Math.floor(random.next() * 8));
      return;
    case 1:
      if (at < length) bytes[at] = EDGES[Math.floor(random.next() * EDGES.length)]!;
      return;
    case 2:
      if (at < length) bytes[at] = Math.floor(random.next() * 256);
      return;
    case 3:
      work.length = at;
      return;
    case 4:
      wide(bytes, at, length, random);
      return;
    case 5:
      remove(work, at, 1 + Math.floor(random.next() * 8));
      return;
    case 6:
      repeat(work, at, Math.floor(random.next() * 32), room);
      return;
    case 7:
      insert(work, at, words[Math.floor(random.next() * words.length)], room);
      return;
    case 8:
      splice(work, at, corpus[Math.floor(random.next() * corpus.length)]!, random, room);
      return;
    default:
      for (let i = at; i < Math.min(length, at + 4); i++) bytes[i] = Math.floor(random.next() * 256);
  }
}

/** A whole number of two or four bytes, either order. */
function wide(bytes: Buffer, at: number, length: number, random: Random): void {
  const value = WIDE[Math.floor(random.next() * WIDE.length)]!;
  const size = random.next() < 0.5 ? 2 : 4;
  if (at + size > length) return;
  const little = random.next() < 0.5;
  for (let i = 0; i < size; i++) bytes[at + (little ? i : size - 1 - i)] = (value >>> (8 * i)) & 0xff;
}

function remove(work: Work, at: number, count: number): void {
  const end = Math.min(work.length, at + count);
  work.bytes.copyWithin(at, end, work.length);
  work.length -= end - at;
}

function repeat(work: Work, at: number, count: number, room: number): void {
  const size = Math.min(count, work.length - at, room - work.length);
  if (size <= 0) return;
  work.bytes.copyWithin(at + size, at, work.length);
  work.length += size;
}

function insert(work: Work, at: number, word: Uint8Array | undefined, room: number): void {
  if (word === undefined || work.length + word.length > room) return;
  work.bytes.copyWithin(at + word.length, at, work.length);
  work.bytes.set(word, at);
  work.length += word.length;
}

/** Goes on as another good input does. */
function splice(work: Work, at: number, other: Uint8Array, random: Random, room: number): void {
  const from = Math.floor(random.next() * (other.length + 1));
  const size = Math.min(other.length - from, room - at);
  for (let i = 0; i < size; i++) work.bytes[at + i] = other[from + i]!;
  work.length = at + size;
}
