/**
 * Walks over the whole table, in slices that the caller sizes: each function goes over up to `n` slots and returns 1
 * while there is more to do. Slots never move, so what lives through a walk is seen by it.
 */

import { ensureKey, flipKeyGen } from './content';
import { MIRRORED, ownerOf, UNCLAIMED } from './counts';
import { drop } from './drop';
import { bulkGen, bulkOpen, closeBulk, openBulk } from './generations';
import { loadFingerprintKey } from './hash';
import { flagsOf, isLive, S_BULKGEN } from './layout';
import { C_BULK_DROPPED, C_UNCLAIMED_DROPPED, count } from './memory';
import { ordinalAfter, ordinals, stateAt } from './table';

let bulkCursor: u32 = 0;
let unclaimedCursor: u32 = 0;
let rekeyCursor: u32 = 0;
let rekeying: bool = false;

/** The peer begins to send all it owns. */
export function peerBulkBegin(): void {
  openBulk();
  bulkCursor = 0;
}

/** The peer has sent all it owns: its states that were not refreshed since peerBulkBegin are dropped. */
export function peerBulkEnd(n: u32): u32 {
  if (!bulkOpen) return 0;
  const total = ordinals();
  for (; n && bulkCursor < total; n--) {
    const r = stateAt(bulkCursor++);
    if (!isLive(flagsOf(r)) || ownerOf(r) != MIRRORED || load<u8>(r, S_BULKGEN) == bulkGen) continue;
    count(C_BULK_DROPPED);
    drop(r, false);
  }
  if (bulkCursor < total) return 1;
  closeBulk();
  return 0;
}

/** Drops what is still unclaimed, from the table and from the kernel. */
export function unclaimedDrop(n: u32): u32 {
  const total = ordinals();
  for (; n && unclaimedCursor < total; n--) {
    const r = stateAt(unclaimedCursor++);
    if (!isLive(flagsOf(r)) || ownerOf(r) != UNCLAIMED) continue;
    count(C_UNCLAIMED_DROPPED);
    drop(r, false);
  }
  if (unclaimedCursor < total) return 1;
  unclaimedCursor = 0;
  return 0;
}

/**
 * Takes 16 bytes at `off` as the new fingerprint key. Until rekeyStep has gone over the table the digests mix both keys
 * and must not be compared (rekeyActive).
 */
export function setFingerprintKey(off: u32): void {
  while (rekeyStep(65536)) {}
  loadFingerprintKey(off);
  flipKeyGen();
  rekeying = true;
  rekeyCursor = 0;
}

export function rekeyStep(n: u32): u32 {
  if (!rekeying) return 0;
  const total = ordinals();
  for (; n && rekeyCursor < total; n--) {
    const r = stateAt(rekeyCursor++);
    if (isLive(flagsOf(r))) ensureKey(r);
  }
  if (rekeyCursor < total) return 1;
  rekeying = false;
  return 0;
}

export function rekeyActive(): u32 {
  return u32(rekeying);
}

/**
 * The live state after the one at offset `r` (0: the first), or 0 at the end. `r` need not live any more: a listing may
 * be spread over any time, and what lives all through it is listed once.
 */
export function next(r: u32): u32 {
  const total = ordinals();
  for (let at = ordinalAfter(r); at < total; at++) {
    const found = stateAt(at);
    if (isLive(flagsOf(found))) return found;
  }
  return 0;
}
