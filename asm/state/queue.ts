/**
 * Two FIFO queues that run through the states: changes to send to the peer, and operations to send to the kernel.
 * Both are level-triggered: the entry says only "look at me"; what is sent is decided from the state's state when its
 * turn comes. A cancelled entry stays linked until it is reached (F_DWANT, F_KWANT say whether it counts), so
 * cancelling is O(1).
 */

import { forgetTomb, tombs } from './counts';
import { dumpListing } from './generations';
import {
  ANSWER_OWED,
  F_DIRTY,
  F_DWANT,
  F_KCONT,
  F_KQ,
  F_KREC,
  F_KRETRY,
  F_KSTAT,
  F_KWANT,
  F_REFUSED,
  F_TOMB,
  flagsOf,
  S_DNEXT,
  S_KNEXT,
  S_TAG,
  setFlags,
} from './layout';
import { C_DIRTY_FORGOTTEN, count } from './memory';
import { removeState } from './table';

/** Ended states that may wait to be told. */
const MAX_TOMBS: u32 = 65536;
/** Changes forgotten at once, so that no event ever costs much. */
const FORGET: u32 = 16;

let dirtyHead: u32 = 0;
let dirtyTail: u32 = 0;
let kernelHead: u32 = 0;
let kernelTail: u32 = 0;
/** Changes to send. */
export let dirtyWanted: u32 = 0;
/** Kernel operations to send. */
export let kernelWanted: u32 = 0;

/** Frees a tombstone that nothing needs any more. */
export function release(r: u32): void {
  const f = flagsOf(r);
  if ((f & (F_TOMB | F_DIRTY | F_KQ)) != F_TOMB || dumpListing) return;
  forgetTomb(r);
  removeState(r);
}

/** The peer must hear of this state (a tombstone: of its end). */
export function markDirty(r: u32): void {
  const f = flagsOf(r);
  if (!(f & F_DWANT)) dirtyWanted++;
  setFlags(r, f | F_DIRTY | F_DWANT);
  if (f & F_DIRTY) return;
  store<u32>(r, 0, S_DNEXT);
  if (dirtyTail) store<u32>(dirtyTail, r, S_DNEXT);
  else dirtyHead = r;
  dirtyTail = r;
  if (tombs > MAX_TOMBS) forgetOldest();
}

/**
 * Without a peer, or with a link slower than the changes, ended states must not pile up: the oldest changes are
 * forgotten. The digests tell, and a full resend is cheaper than such a backlog.
 */
function forgetOldest(): void {
  for (let i: u32 = 0; i < FORGET && tombs > MAX_TOMBS && dirtyHead != dirtyTail; i++) {
    if (flagsOf(dirtyHead) & F_DWANT) count(C_DIRTY_FORGOTTEN);
    cancelDirty(dirtyHead);
    release(unlinkDirtyHead());
  }
}

/** What was to be sent is no longer so; nor is an answer owed. */
export function cancelDirty(r: u32): void {
  const f = flagsOf(r);
  store<u8>(r, load<u8>(r, S_TAG) & ~ANSWER_OWED, S_TAG);
  if (!(f & F_DWANT)) return;
  dirtyWanted--;
  setFlags(r, f & ~F_DWANT);
}

function unlinkDirtyHead(): u32 {
  const r = dirtyHead;
  dirtyHead = load<u32>(r, S_DNEXT);
  if (!dirtyHead) dirtyTail = 0;
  setFlags(r, flagsOf(r) & ~F_DIRTY);
  return r;
}

/** The next state to send, still queued; 0 when there is none. Drops cancelled entries on the way. */
export function peekDirty(): u32 {
  while (dirtyHead) {
    if (flagsOf(dirtyHead) & F_DWANT) return dirtyHead;
    release(unlinkDirtyHead());
  }
  return 0;
}

/** Takes the state that peekDirty returned out of the queue and frees it if it was a tombstone. */
export function dropDirty(): void {
  const r = unlinkDirtyHead();
  dirtyWanted--;
  setFlags(r, flagsOf(r) & ~F_DWANT);
  release(r);
}

/** Asks for a kernel operation for a fresh cause; `extra` = F_KREC, F_KSTAT, F_KCONT. */
export function wantKernel(r: u32, extra: u32): void {
  setFlags(r, flagsOf(r) & ~(F_REFUSED | F_KRETRY));
  againKernel(r, extra);
}

/** Asks for a kernel operation without forgetting that one was refused already. */
export function againKernel(r: u32, extra: u32): void {
  const f = flagsOf(r);
  if (!(f & F_KWANT)) kernelWanted++;
  setFlags(r, f | F_KQ | F_KWANT | extra);
  if (f & F_KQ) return;
  store<u32>(r, 0, S_KNEXT);
  if (kernelTail) store<u32>(kernelTail, r, S_KNEXT);
  else kernelHead = r;
  kernelTail = r;
}

export function cancelKernel(r: u32): void {
  const f = flagsOf(r);
  if (f & F_KWANT) kernelWanted--;
  setFlags(r, f & ~(F_KWANT | F_KREC | F_KSTAT | F_KCONT));
}

/** Takes the next state with a kernel operation out of the queue, its F_KWANT cleared; 0 when there is none. */
export function popKernel(): u32 {
  while (kernelHead) {
    const r = kernelHead;
    kernelHead = load<u32>(r, S_KNEXT);
    if (!kernelHead) kernelTail = 0;
    const f = flagsOf(r);
    setFlags(r, f & ~(F_KQ | F_KWANT));
    if (f & F_KWANT) {
      kernelWanted--;
      return r;
    }
    release(r);
  }
  return 0;
}

/** Number of linked dirty entries, or -1 if the queue is damaged: for selfCheck. */
export function dirtyLinked(limit: u32): i32 {
  let n: u32 = 0;
  let last: u32 = 0;
  for (let r = dirtyHead; r; r = load<u32>(r, S_DNEXT)) {
    if (!(flagsOf(r) & F_DIRTY) || ++n > limit) return -1;
    last = r;
  }
  return last == dirtyTail ? i32(n) : -1;
}

/** Number of linked kernel entries, or -1 if the queue is damaged: for selfCheck. */
export function kernelLinked(limit: u32): i32 {
  let n: u32 = 0;
  let last: u32 = 0;
  for (let r = kernelHead; r; r = load<u32>(r, S_KNEXT)) {
    if (!(flagsOf(r) & F_KQ) || ++n > limit) return -1;
    last = r;
  }
  return last == kernelTail ? i32(n) : -1;
}
