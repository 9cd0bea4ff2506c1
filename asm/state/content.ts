/**
 * The life of a state: it comes, its content changes, it changes hands, it ends. Every step keeps the digests and the
 * counts of its tag exact. What *should* happen is decided in event.ts, peer.ts and owner.ts.
 */

import { bumpMissing, bumpTombs, countLive, countTombs } from './counts';
import { digestAdd, digestSub } from './digest';
import { clearScratchExtra, copyExtra, extraOf } from './extra';
import { stampAge, stampDump } from './generations';
import { fingerprint, stateWord } from './hash';
import {
  F_INK,
  F_KEYGEN,
  F_TOMB,
  F_VTAGS,
  flagsOf,
  isLive,
  isMissing,
  S_FP_HI,
  S_FP_LO,
  S_ID,
  S_KEPTOUT,
  S_RDST,
  S_RPORTS,
  S_RSRC,
  S_STATUS,
  S_TIMEOUT,
  STATE_SIZE,
  setFlags,
  setTag,
  tagOf,
} from './layout';
import { C_DELETES, C_INSERTS, copyWords, count, SCRATCH } from './memory';
import { cancelDirty, cancelKernel } from './queue';

/** F_KEYGEN or 0: the mark of states hashed with the current fingerprint key. */
export let keyGen: u32 = 0;

export function flipKeyGen(): void {
  keyGen ^= F_KEYGEN;
}

/** Re-hashes the state if its fingerprint was made with the previous key. */
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

/** The image `s` becomes the content of the tombstone `r`, which lives again; whether the kernel holds it is kept. */
export function revive(r: u32, s: u32, tag: u32): void {
  bumpTombs(tagOf(r), -1);
  countTombs(-1);
  cancelDirty(r);
  cancelKernel(r);
  copyContent(r, s);
  setFlags(r, (flagsOf(r) & ~(F_TOMB | F_KEYGEN)) | keyGen);
  setTag(r, tag);
  begin(r);
}

/** The life of a state begins: fingerprint, digests and counts. */
export function begin(r: u32): void {
  count(C_INSERTS);
  countLive(1);
  fingerprint(r);
  digestAdd(r);
  if (isMissing(r)) bumpMissing(tagOf(r), 1);
  stampAge(r);
  stampDump(r);
}

/** The live state ends. Queued changes and kernel operations are forgotten; the caller says what follows. */
export function entomb(r: u32): void {
  count(C_DELETES);
  cancelDirty(r);
  cancelKernel(r);
  digestSub(r);
  countLive(-1);
  countTombs(1);
  const tag = tagOf(r);
  const f = flagsOf(r);
  if (isMissing(r)) bumpMissing(tag, -1);
  bumpTombs(tag, 1);
  setFlags(r, f | F_TOMB);
  stampDump(r);
}

function copyContent(r: u32, s: u32): void {
  copyWords(r + <u32>S_RSRC, s + <u32>S_RSRC, 32);
  store<u64>(r, load<u64>(s, S_RPORTS), S_RPORTS);
  // status, protocol state, wscale, TCP flags; the byte after them is the tag
  store<u32>(r, load<u32>(s, S_STATUS), S_STATUS);
  store<u8>(r, load<u8>(s, S_STATUS + 4), S_STATUS + 4);
  store<u32>(r, load<u32>(s, S_TIMEOUT), S_TIMEOUT);
  const vtags = flagsOf(s) & F_VTAGS;
  if (vtags) store<u64>(r, load<u64>(s, S_ID), S_ID);
  setFlags(r, (flagsOf(r) & ~F_VTAGS) | vtags);
  copyExtra(r, s);
}

/**
 * True when the fingerprints must be the same, told without making one: most of the kernel's updates only change the
 * timeout.
 */
function sameContent(r: u32, s: u32): bool {
  return (
    load<u64>(r, S_RPORTS) == load<u64>(s, S_RPORTS) && // the mark too
    sameReply(r, s) &&
    stateWord(r) == stateWord(s) &&
    !extraOf(r) &&
    !extraOf(s)
  );
}

/**
 * The live state takes the content of the image `s` (same key). Returns whether what both nodes must agree on changed.
 */
export function setContent(r: u32, s: u32): bool {
  ensureKey(r);
  stampAge(r);
  stampDump(r);
  if (sameContent(r, s)) {
    copyContent(r, s);
    return false;
  }
  const lo = load<u64>(r, S_FP_LO);
  const hi = load<u64>(r, S_FP_HI);
  digestSub(r);
  copyContent(r, s);
  fingerprint(r);
  digestAdd(r);
  return lo != load<u64>(r, S_FP_LO) || hi != load<u64>(r, S_FP_HI);
}

/** Gives the state (live or tombstone) another tag. */
export function moveTag(r: u32, tag: u32): void {
  const old: u32 = tagOf(r);
  if (old == tag) return;
  const f = flagsOf(r);
  if (isLive(f)) {
    digestSub(r);
    setTag(r, tag);
    digestAdd(r);
    if (isMissing(r)) {
      bumpMissing(old, -1);
      bumpMissing(tag, 1);
    }
  } else {
    setTag(r, tag);
    bumpTombs(old, -1);
    bumpTombs(tag, 1);
  }
}

/** Notes whether the kernel holds the entry of this state. */
export function setInKernel(r: u32, yes: bool): void {
  const f = flagsOf(r);
  if (yes == ((f & F_INK) != 0)) return;
  const before = isMissing(r);
  setFlags(r, f ^ F_INK);
  if (yes) store<u8>(r, 0, S_KEPTOUT);
  recountMissing(r, before);
}

/** The state stays out of the kernel, and that is no loss. Returns whether it is news. */
export function keepOut(r: u32): bool {
  if (load<u8>(r, S_KEPTOUT)) return false;
  const before = isMissing(r);
  store<u8>(r, 1, S_KEPTOUT);
  recountMissing(r, before);
  return true;
}

function recountMissing(r: u32, before: bool): void {
  const after = isMissing(r);
  if (isLive(flagsOf(r)) && before != after) bumpMissing(tagOf(r), after ? 1 : -1);
}

/** True when both states (or images) have the same reply tuple, that is the same NAT. */
export function sameReply(a: u32, b: u32): bool {
  return (
    load<u32>(a, S_RPORTS) == load<u32>(b, S_RPORTS) &&
    load<u64>(a, S_RSRC) == load<u64>(b, S_RSRC) &&
    load<u64>(a, S_RSRC + 8) == load<u64>(b, S_RSRC + 8) &&
    load<u64>(a, S_RDST) == load<u64>(b, S_RDST) &&
    load<u64>(a, S_RDST + 8) == load<u64>(b, S_RDST + 8)
  );
}

/** An image ready to be filled: all zero. */
export function clearImage(s: u32): void {
  for (let i: u32 = 0; i < STATE_SIZE; i += 16) {
    store<u64>(s + i, 0);
    store<u64>(s + i, 0, 8);
  }
  if (s == SCRATCH) clearScratchExtra();
}
