/**
 * Look-ahead for batches. In a large table nearly all time of a look-up is spent waiting for memory, once for the
 * bucket and once for each state of its chain. The waits of different states do not depend on each other, so for a
 * group of states each step is done for all of them before the next one begins, and the processor waits for all at
 * once. Nothing is decided here and nothing of the table changed: what is found comes with find(), which looks again,
 * at lines that are near now.
 *
 * A message or datagram is parsed into a ring of images first, each is applied from SCRATCH after that:
 *
 *   AHEAD   16 x 256 B: image 144 B | 144 two words of the parser's | 160 as XSCRATCH 64 B
 */

import { indexHash } from './hash';
import { S_HNEXT, S_ID, S_IHASH, S_KEPTOUT, S_KEYWORD } from './layout';
import { AHEAD, AHEAD_LINES, SCRATCH, XSCRATCH } from './memory';
import { headOf, nextSplit } from './table';

/** States whose look-ups run side by side: more do not fit into what a core can ask of memory at once. */
export const GROUP: u32 = 16;
const SLOT: u32 = 256;
const EXTRA: u32 = 160;

/** What touch() has read: only so that no compiler leaves it out. */
let read: u32 = 0;

/** Reads one word of each cache line of the state (16-byte aligned, 144 bytes). */
function touch(r: u32): u32 {
  return load<u32>(r) ^ load<u32>(r, 64) ^ load<u32>(r, 128);
}

/**
 * Sets the index hash of `n` images (at most GROUP) at `s`, `stride` bytes apart, and brings near what looking them up,
 * changing or inserting them will read.
 */
export function lookAhead(s: u32, stride: u32, n: u32): void {
  for (let i: u32 = 0, p = s; i < n; i++, p += stride) store<u32>(p, indexHash(p), S_IHASH);
  for (let i: u32 = 0, p = s; i < n; i++, p += stride) {
    store<u32>(AHEAD_LINES + (i << 2), load<u32>(headOf(load<u32>(p, S_IHASH))));
  }
  let sum = read;
  for (let i: u32 = 0; i < n; i++) sum ^= load<u32>(load<u32>(AHEAD_LINES + (i << 2)), S_IHASH);
  // No branch may hang on what is still on its way: a wrong guess would wait for it. Offset 0 reads as zeros.
  for (let i: u32 = 0, p = s; i < n; i++, p += stride) {
    const at = AHEAD_LINES + (i << 2);
    const first = load<u32>(at);
    const other = load<u32>(first, S_IHASH) != load<u32>(p, S_IHASH);
    const r = select<u32>(load<u32>(first, S_HNEXT), first, other);
    store<u32>(at, r);
    sum ^= touch(r);
  }
  // What is not there yet will be new, and splits a bucket each.
  let fresh: u32 = 0;
  for (let i: u32 = 0, p = s; i < n; i++, p += stride) {
    fresh += u32(load<u32>(load<u32>(AHEAD_LINES + (i << 2)), S_IHASH) != load<u32>(p, S_IHASH));
  }
  for (let i: u32 = 0; i < fresh; i++) sum ^= load<u32>(load<u32>(nextSplit(i)));
  read = sum;
}

/** Keeps SCRATCH as image `i` of the ring, with two words besides. */
export function keepImage(i: u32, a: u32, b: u32): void {
  const to = AHEAD + i * SLOT;
  copyImage(to, SCRATCH);
  store<u32>(to, a, 144);
  store<u32>(to, b, 148);
  copyRare(to + EXTRA, XSCRATCH);
}

/** Image `i` becomes SCRATCH again, with its index hash; returns where its two words stand. */
export function takeImage(i: u32): u32 {
  const from = AHEAD + i * SLOT;
  copyImage(SCRATCH, from);
  store<u32>(SCRATCH, load<u32>(from, S_IHASH), S_IHASH);
  copyRare(XSCRATCH, from + EXTRA);
  return from + 144;
}

/** Looks ahead for the first `n` images of the ring. */
export function lookAheadRing(n: u32): void {
  lookAhead(AHEAD, SLOT, n);
}

/** What a parser writes of an image: key to own flags, tags, timeout. Everything else of SCRATCH is zero. */
function copyImage(to: u32, from: u32): void {
  for (let at: u32 = u32(S_KEYWORD); at < 96; at += 8) store<u64>(to + at, load<u64>(from + at));
  store<u64>(to, load<u64>(from, S_ID), S_ID);
  store<u64>(to, load<u64>(from, S_KEPTOUT), S_KEPTOUT);
}

/** Few states have rare attributes: without any only the zero is copied. */
function copyRare(to: u32, from: u32): void {
  store<u64>(to, load<u64>(from));
  if (load<u8>(from)) memory.copy(to, from, 56);
}
