/**
 * Digests: for each ownership tag a count and the sum of the fingerprints modulo 2^128, and the same for each of 256
 * buckets (bucket = low byte of the fingerprint). One change costs two additions, whatever the size of the table.
 * Addition and not XOR: a state that is there twice must not cancel.
 *
 *   TAGS     32 B a tag: sum lo u64, sum hi u64, live u32, tombstones u32, live but not in the kernel u32, owner u32
 *   BUCKETS  24 B a bucket: sum lo u64, sum hi u64, count u64
 */

import { S_FP_HI, S_FP_LO, tagOf } from './layout';
import { BUCKETS, TAGS } from './memory';

export const T_LO: usize = 0;
export const T_HI: usize = 8;
export const T_LIVE: usize = 16;
export const T_TOMBS: usize = 20;
export const T_MISSING: usize = 24;
export const T_OWNER: usize = 28;

export const TAG_COUNT: u32 = 8;
const BUCKET_COUNT: u32 = 256;
export const BUCKET_SIZE: u32 = 24;

export function tagAt(tag: u32): u32 {
  return TAGS + (tag << 5);
}

function bucketOf(tag: u32, lo: u64): u32 {
  return BUCKETS + ((tag << 8) | (u32(lo) & 0xff)) * BUCKET_SIZE;
}

function addTo(p: u32, lo: u64, hi: u64): void {
  const old = load<u64>(p);
  const sum = old + lo;
  store<u64>(p, sum);
  store<u64>(p, load<u64>(p, 8) + hi + u64(sum < old), 8);
}

function subFrom(p: u32, lo: u64, hi: u64): void {
  const old = load<u64>(p);
  store<u64>(p, old - lo);
  store<u64>(p, load<u64>(p, 8) - hi - u64(old < lo), 8);
}

/** Adds the state's fingerprint to the sums of its tag. */
export function digestAdd(r: u32): void {
  const tag: u32 = tagOf(r);
  const lo = load<u64>(r, S_FP_LO);
  const hi = load<u64>(r, S_FP_HI);
  const t = tagAt(tag);
  addTo(t, lo, hi);
  store<u32>(t, load<u32>(t, T_LIVE) + 1, T_LIVE);
  const b = bucketOf(tag, lo);
  addTo(b, lo, hi);
  store<u64>(b, load<u64>(b, 16) + 1, 16);
}

/** Takes the state's fingerprint out of the sums of its tag. */
export function digestSub(r: u32): void {
  const tag: u32 = tagOf(r);
  const lo = load<u64>(r, S_FP_LO);
  const hi = load<u64>(r, S_FP_HI);
  const t = tagAt(tag);
  subFrom(t, lo, hi);
  store<u32>(t, load<u32>(t, T_LIVE) - 1, T_LIVE);
  const b = bucketOf(tag, lo);
  subFrom(b, lo, hi);
  store<u64>(b, load<u64>(b, 16) - 1, 16);
}

/** Writes count u64, sum lo u64, sum hi u64 of all tags of this owner to `off`. */
export function digestWrite(owner: u32, off: u32): void {
  store<u64>(off, 0);
  store<u64>(off, 0, 8);
  store<u64>(off, 0, 16);
  for (let tag: u32 = 0; tag < TAG_COUNT; tag++) {
    const t = tagAt(tag);
    if (load<u32>(t, T_OWNER) != owner) continue;
    store<u64>(off, load<u64>(off) + u64(load<u32>(t, T_LIVE)));
    addTo(off + 8, load<u64>(t, T_LO), load<u64>(t, T_HI));
  }
}

/** Writes 256 x (sum lo u64, sum hi u64, count u64) of all tags of this owner to `off` (6144 bytes). */
export function bucketsWrite(owner: u32, off: u32): void {
  memory.fill(off, 0, BUCKET_COUNT * BUCKET_SIZE);
  for (let tag: u32 = 0; tag < TAG_COUNT; tag++) {
    if (load<u32>(tagAt(tag), T_OWNER) != owner) continue;
    for (let i: u32 = 0; i < BUCKET_COUNT; i++) {
      const from = BUCKETS + ((tag << 8) | i) * BUCKET_SIZE;
      const to = off + i * BUCKET_SIZE;
      addTo(to, load<u64>(from), load<u64>(from, 8));
      store<u64>(to, load<u64>(to, 16) + load<u64>(from, 16), 16);
    }
  }
}
