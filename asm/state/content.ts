/**
 * The life of a record: it comes, its content changes, it changes hands, it ends. Every step keeps the digests and the
 * counts of its tag exact. What *should* happen is decided in event.ts, peer.ts and owner.ts.
 */

import { digestAdd, digestSub, T_MISSING, T_OWNER, T_TOMBS, tagAt } from './digest';
import { clearScratchExtra, copyExtra, extraOf } from './extra';
import { stampAge, stampDump } from './generations';
import { fingerprint, stateWord } from './hash';
import {
  F_INK,
  F_KEYGEN,
  F_TOMB,
  F_USED,
  F_VTAGS,
  flagsOf,
  isLive,
  R_FP_HI,
  R_FP_LO,
  R_ID,
  R_RDST,
  R_RPORTS,
  R_RSRC,
  R_STATUS,
  R_TAG,
  R_TIMEOUT,
  RECORD_SIZE,
  setFlags,
  setTag,
  tagOf,
} from './layout';
import { C_DELETES, C_INSERTS, copyWords, count, SCRATCH } from './memory';
import { cancelDirty, cancelKernel } from './queue';
import { hasRoom } from './room';
import { addRecord } from './table';

export const OWNER_NONE: u32 = 0;
export const OWNER_ME: u32 = 1;
export const OWNER_PEER: u32 = 2;
/** The tag is not in use. */
export const OWNER_FREE: u32 = 3;

/** Live records and tombstones. */
export let live: u32 = 0;
export let tombs: u32 = 0;
/** F_KEYGEN or 0: the mark of records hashed with the current fingerprint key. */
export let keyGen: u32 = 0;

export function flipKeyGen(): void {
  keyGen ^= F_KEYGEN;
}

export function ownerOf(r: u32): u32 {
  return load<u32>(tagAt(tagOf(r)), T_OWNER);
}

function bumpMissing(tag: u32, by: i32): void {
  const t = tagAt(tag);
  store<u32>(t, load<u32>(t, T_MISSING) + by, T_MISSING);
}

function bumpTombs(tag: u32, by: i32): void {
  const t = tagAt(tag);
  store<u32>(t, load<u32>(t, T_TOMBS) + by, T_TOMBS);
}

/** Re-hashes the record if its fingerprint was made with the previous key. */
export function ensureKey(r: u32): void {
  const f = flagsOf(r);
  if ((f & F_KEYGEN) == keyGen) return;
  if (isLive(f)) {
    digestSub(r);
    fingerprint(r);
    digestAdd(r);
  }
  setFlags(r, f ^ F_KEYGEN);
}

/** The image `s` becomes a live record with this tag; 0 when there is no room (counted). find(s) returned 0 before. */
export function insertLive(s: u32, tag: u32, inKernel: bool): u32 {
  if (!hasRoom()) return 0;
  const vtags = flagsOf(s) & F_VTAGS;
  const r = addRecord(s);
  if (!r) return 0;
  setFlags(r, F_USED | vtags | keyGen | (inKernel ? F_INK : 0));
  store<u8>(r, tag, R_TAG); // and no answers yet
  copyExtra(r, s);
  begin(r);
  return r;
}

/** The image `s` becomes the content of the tombstone `r`, which lives again; whether the kernel holds it is kept. */
export function revive(r: u32, s: u32, tag: u32): void {
  bumpTombs(tagOf(r), -1);
  tombs--;
  cancelDirty(r);
  cancelKernel(r);
  copyContent(r, s);
  setFlags(r, (flagsOf(r) & ~(F_TOMB | F_KEYGEN)) | keyGen);
  setTag(r, tag);
  begin(r);
}

function begin(r: u32): void {
  count(C_INSERTS);
  live++;
  fingerprint(r);
  digestAdd(r);
  if (!(flagsOf(r) & F_INK)) bumpMissing(tagOf(r), 1);
  stampAge(r);
  stampDump(r);
}

/** The live record ends. Queued changes and kernel operations are forgotten; the caller says what follows. */
export function entomb(r: u32): void {
  count(C_DELETES);
  cancelDirty(r);
  cancelKernel(r);
  digestSub(r);
  live--;
  tombs++;
  const tag = tagOf(r);
  const f = flagsOf(r);
  if (!(f & F_INK)) bumpMissing(tag, -1);
  bumpTombs(tag, 1);
  setFlags(r, f | F_TOMB);
  stampDump(r);
}

/** A freed tombstone is no longer counted. */
export function forgetTomb(r: u32): void {
  bumpTombs(tagOf(r), -1);
  tombs--;
}

function copyContent(r: u32, s: u32): void {
  copyWords(r + <u32>R_RSRC, s + <u32>R_RSRC, 32);
  store<u64>(r, load<u64>(s, R_RPORTS), R_RPORTS);
  // status, protocol state, wscale, TCP flags; the byte after them is the tag
  store<u32>(r, load<u32>(s, R_STATUS), R_STATUS);
  store<u8>(r, load<u8>(s, R_STATUS + 4), R_STATUS + 4);
  store<u32>(r, load<u32>(s, R_TIMEOUT), R_TIMEOUT);
  const vtags = flagsOf(s) & F_VTAGS;
  if (vtags) store<u64>(r, load<u64>(s, R_ID), R_ID);
  setFlags(r, (flagsOf(r) & ~F_VTAGS) | vtags);
  copyExtra(r, s);
}

/** True when the fingerprints must be the same, told without making one: most of the kernel's updates only change the timeout. */
function sameContent(r: u32, s: u32): bool {
  return (
    load<u64>(r, R_RPORTS) == load<u64>(s, R_RPORTS) && // the mark too
    sameReply(r, s) &&
    stateWord(r) == stateWord(s) &&
    !extraOf(r) &&
    !extraOf(s)
  );
}

/** The live record takes the content of the image `s` (same key). Returns whether what both nodes must agree on changed. */
export function setContent(r: u32, s: u32): bool {
  ensureKey(r);
  stampAge(r);
  stampDump(r);
  if (sameContent(r, s)) {
    copyContent(r, s);
    return false;
  }
  const lo = load<u64>(r, R_FP_LO);
  const hi = load<u64>(r, R_FP_HI);
  digestSub(r);
  copyContent(r, s);
  fingerprint(r);
  digestAdd(r);
  return lo != load<u64>(r, R_FP_LO) || hi != load<u64>(r, R_FP_HI);
}

/** Gives the record (live or tombstone) another tag. */
export function moveTag(r: u32, tag: u32): void {
  const old: u32 = tagOf(r);
  if (old == tag) return;
  const f = flagsOf(r);
  if (isLive(f)) {
    digestSub(r);
    setTag(r, tag);
    digestAdd(r);
    if (!(f & F_INK)) {
      bumpMissing(old, -1);
      bumpMissing(tag, 1);
    }
  } else {
    setTag(r, tag);
    bumpTombs(old, -1);
    bumpTombs(tag, 1);
  }
}

/** Notes whether the kernel holds the entry of this record. */
export function setInKernel(r: u32, yes: bool): void {
  const f = flagsOf(r);
  if (yes == ((f & F_INK) != 0)) return;
  setFlags(r, f ^ F_INK);
  if (isLive(f)) bumpMissing(tagOf(r), yes ? -1 : 1);
}

/** True when both records (or images) have the same reply tuple, that is the same NAT. */
export function sameReply(a: u32, b: u32): bool {
  return (
    load<u32>(a, R_RPORTS) == load<u32>(b, R_RPORTS) &&
    load<u64>(a, R_RSRC) == load<u64>(b, R_RSRC) &&
    load<u64>(a, R_RSRC + 8) == load<u64>(b, R_RSRC + 8) &&
    load<u64>(a, R_RDST) == load<u64>(b, R_RDST) &&
    load<u64>(a, R_RDST + 8) == load<u64>(b, R_RDST + 8)
  );
}

/** An image ready to be filled: all zero. */
export function clearImage(s: u32): void {
  for (let i: u32 = 0; i < RECORD_SIZE; i += 16) {
    store<u64>(s + i, 0);
    store<u64>(s + i, 0, 8);
  }
  if (s == SCRATCH) clearScratchExtra();
}
