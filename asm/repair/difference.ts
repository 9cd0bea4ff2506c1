/**
 * What a repair by difference (src/sync/repair/) asks of the table: the first words of the fingerprints of the
 * states in some buckets, and, when the differing ones are known, what follows from them. All walks go over up to `n`
 * slots from a cursor that the host keeps; they return where to go on, or WALK_END. Slots never move, so what lives
 * through a walk is seen by it.
 *
 * The host writes a mask of 256 bits (bit b = bucket b) to OUT before each call. The set PICK is one for both
 * directions: the host lets one walk use it at a time.
 */

import { moveTag } from '../state/content';
import { MIRRORED, OWN, ownerOf, UNCLAIMED } from '../state/counts';
import { drop } from '../state/drop';
import { bulkGen, bulkOpen } from '../state/generations';
import { F_DWANT, F_INK, F_KCONT, F_MIRROR, flagsOf, isLive, S_BULKGEN, S_FP_LO, S_TOUCH } from '../state/layout';
import {
  C_REPAIR_CLAIMED,
  C_REPAIR_DROPPED,
  C_REPAIR_WANTED,
  count,
  OUT,
  OUT_SIZE,
  PICK,
  PICK_SEEN,
} from '../state/memory';
import { tagMirrored } from '../state/owner';
import { kernelWanted, markDirty, wantKernel } from '../state/queue';
import { ordinals, stateAt } from '../state/table';

export const WALK_END: u32 = 0xffffffff;
/** Where ids stand in OUT, behind the mask; and how many fit. */
const IDS: u32 = OUT + 64;
const IDS_MAX: u32 = (OUT_SIZE - 64) >> 3;
const PICK_SLOTS: u32 = 32768;
/** The set is never filled further, so that a search stays short. */
const PICK_MOST: u32 = 20000;
/** Kernel operations after which a slice ends: the host must give them to the kernel. */
const KERNEL_MOST: u32 = 512;

let copied: u32 = 0;
let picks: u32 = 0;

function inMask(id: u64): bool {
  const bucket = u32(id) & 0xff;
  return ((load<u8>(OUT + (bucket >> 3)) >> (bucket & 7)) & 1) != 0;
}

/** How many ids the last call has left in OUT. */
export function idsCopied(): u32 {
  return copied;
}

/** Copies the ids of live states whose owner is in the set `owners` (bit = owner) and whose bucket is in the mask. */
export function idsCopy(from: u32, n: u32, owners: u32): u32 {
  const total = ordinals();
  let at = from;
  copied = 0;
  for (; n && at < total && copied < IDS_MAX; n--) {
    const r = stateAt(at++);
    if (!isLive(flagsOf(r)) || !((owners >> ownerOf(r)) & 1)) continue;
    const id = load<u64>(r, S_FP_LO);
    if (inMask(id)) store<u64>(IDS + (copied++ << 3), id);
  }
  return at < total ? at : WALK_END;
}

/** Empties the set PICK. */
export function pickClear(): void {
  memory.fill(PICK, 0, PICK_SLOTS << 3);
  memory.fill(PICK_SEEN, 0, PICK_SLOTS >> 3);
  picks = 0;
}

/** The slot of the set where this id is, or where it would be. */
function pickSlot(id: u64): u32 {
  // The low byte is the bucket, and often one of few.
  let slot: u32 = u32(id >>> 8) & (PICK_SLOTS - 1);
  let there = load<u64>(PICK + (slot << 3));
  while (there != id && there != 0) {
    slot = (slot + 1) & (PICK_SLOTS - 1);
    there = load<u64>(PICK + (slot << 3));
  }
  return slot;
}

/** Adds `n` ids that stand in OUT behind the mask. Returns how many were taken: fewer when the set is full. */
export function pickAdd(n: u32): u32 {
  for (let i: u32 = 0; i < n; i++) {
    const id = load<u64>(IDS + (i << 3));
    if (id == 0) continue;
    const slot = pickSlot(id);
    if (load<u64>(PICK + (slot << 3)) == id) continue;
    if (picks == PICK_MOST) return i;
    store<u64>(PICK + (slot << 3), id);
    picks++;
  }
  return n;
}

/** True when the id is in the set; it is marked as seen. */
function picked(id: u64): bool {
  const slot = pickSlot(id);
  if (load<u64>(PICK + (slot << 3)) != id || id == 0) return false;
  const at = PICK_SEEN + (slot >> 3);
  store<u8>(at, u32(load<u8>(at)) | (1 << (slot & 7)));
  return true;
}

/** The owner's part: own states in the set are sent to the peer once more. */
export function pickSend(from: u32, n: u32): u32 {
  const total = ordinals();
  let at = from;
  for (; n && at < total; n--) {
    const r = stateAt(at++);
    if (!isLive(flagsOf(r)) || ownerOf(r) != OWN || !picked(load<u64>(r, S_FP_LO))) continue;
    count(C_REPAIR_WANTED);
    markDirty(r);
  }
  return at < total ? at : WALK_END;
}

/**
 * The mirror's part: the set holds every id in the masked buckets that only one node has. The peer's states in it are
 * dropped here, unless they were told anew since the snapshot (peerBulkBegin) or wait to be told to the peer; unclaimed
 * states that are not in it are the peer's.
 */
export function pickApply(from: u32, n: u32): u32 {
  const total = ordinals();
  let at = from;
  for (; n && at < total && kernelWanted < KERNEL_MOST; n--) {
    const r = stateAt(at++);
    const f = flagsOf(r);
    if (!isLive(f)) continue;
    const id = load<u64>(r, S_FP_LO);
    if (!inMask(id)) continue;
    const owner = ownerOf(r);
    if (owner == MIRRORED) {
      if (picked(id) && !(f & F_DWANT) && !isFresh(r)) {
        count(C_REPAIR_DROPPED);
        drop(r, false);
      }
    } else if (owner == UNCLAIMED && !picked(id)) {
      claim(r);
    }
  }
  return at < total ? at : WALK_END;
}

function isFresh(r: u32): bool {
  return bulkOpen && load<u8>(r, S_BULKGEN) == bulkGen;
}

/** The peer has this very state: it is the peer's, and nothing needs to travel. */
function claim(r: u32): void {
  count(C_REPAIR_CLAIMED);
  moveTag(r, tagMirrored);
  store<u16>(r, 0, S_TOUCH);
  const f = flagsOf(r);
  if (!(f & F_INK)) wantKernel(r, 0);
  else if (!(f & F_MIRROR)) wantKernel(r, F_KCONT);
}

/** Copies ids of the set that no walk has seen to OUT, from slot `from` of the set on; returns where to go on. */
export function pickUnseen(from: u32): u32 {
  copied = 0;
  let slot = from;
  for (; slot < PICK_SLOTS && copied < IDS_MAX; slot++) {
    const id = load<u64>(PICK + (slot << 3));
    if (id == 0 || (load<u8>(PICK_SEEN + (slot >> 3)) >> (slot & 7)) & 1) continue;
    store<u64>(IDS + (copied++ << 3), id);
  }
  return slot < PICK_SLOTS ? slot : WALK_END;
}
