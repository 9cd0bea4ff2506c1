/**
 * Ownership by tags. Every state carries a tag; the tag has an owner. Taking everything over means changing the owner
 * of a tag - O(1), whatever the number of states - and the sweep rewrites the tags of the states afterwards, in slices,
 * together with the kernel's timeouts.
 */

import { payAnswer, recountOwed } from './answers';
import { moveTag } from './content';
import { MIRRORED, OWN, OWNER_FREE, ownerOf, UNCLAIMED } from './counts';
import { T_LIVE, T_MISSING, T_OWNER, T_TOMBS, TAG_COUNT, tagAt } from './digest';
import { epoch, isTouched, nextEpoch } from './generations';
import { F_INK, F_KWANT, F_MIRROR, F_REFUSED, F_TOMB, F_USED, flagsOf, S_KEPTOUT, setFlags } from './layout';
import { C_ADOPTIONS, C_GIVES, C_SWEEP_FORCED, count } from './memory';
import { wantKernel } from './queue';
import { ordinals, stateAt } from './table';

/** The tags that new states get, one for each owner. */
export let tagUnclaimed: u32 = 0;
export let tagOwn: u32 = 1;
export let tagMirrored: u32 = 2;

let sweeping: bool = false;
let sweepCursor: u32 = 0;

export function initTags(): void {
  for (let tag: u32 = 0; tag < TAG_COUNT; tag++) setOwner(tag, OWNER_FREE);
  setOwner(tagUnclaimed, UNCLAIMED);
  setOwner(tagOwn, OWN);
  setOwner(tagMirrored, MIRRORED);
}

function setOwner(tag: u32, owner: u32): void {
  store<u32>(tagAt(tag), owner, T_OWNER);
}

function isEmpty(tag: u32): bool {
  const t = tagAt(tag);
  return load<u32>(t, T_LIVE) == 0 && load<u32>(t, T_TOMBS) == 0;
}

/**
 * An empty tag that is not in use. Five changes of ownership fit between two complete sweeps; after that the sweep is
 * done at once (counted), which is the only case in which a change of ownership costs more than O(1).
 */
function freshTag(): u32 {
  for (let round: u32 = 0; round < 2; round++) {
    for (let tag: u32 = 0; tag < TAG_COUNT; tag++) {
      if (tag != tagUnclaimed && tag != tagOwn && tag != tagMirrored && isEmpty(tag)) return tag;
    }
    count(C_SWEEP_FORCED);
    sweepBegin();
    while (sweep(65536)) {}
  }
  return tagOwn; // not reached: after a full sweep only the three canonical tags hold states
}

function changeHands(from: u32, to: u32): void {
  for (let tag: u32 = 0; tag < TAG_COUNT; tag++) {
    if (load<u32>(tagAt(tag), T_OWNER) == from) setOwner(tag, to);
  }
  nextEpoch();
  sweepBegin();
}

/** Everything the peer owned belongs to this node now. */
export function adoptPeer(): void {
  const fresh = freshTag();
  changeHands(MIRRORED, OWN);
  tagMirrored = fresh;
  setOwner(fresh, MIRRORED);
  count(C_ADOPTIONS);
}

/** The peer that owned them is gone, and nobody has taken over yet: its states wait for whoever will forward them. */
export function disownPeer(): void {
  const fresh = freshTag();
  changeHands(MIRRORED, UNCLAIMED);
  tagMirrored = fresh;
  setOwner(fresh, MIRRORED);
}

/** Everything I owned is the peer's now. */
export function yieldOwn(): void {
  const fresh = freshTag();
  changeHands(OWN, MIRRORED);
  tagOwn = fresh;
  setOwner(fresh, OWN);
  count(C_GIVES);
}

/**
 * Everything nobody owned (found in the kernel at start) belongs to this node now. The peer does not know it: send a
 * bulk.
 */
export function adoptUnclaimed(): void {
  const fresh = freshTag();
  changeHands(UNCLAIMED, OWN);
  tagUnclaimed = fresh;
  setOwner(fresh, UNCLAIMED);
  count(C_ADOPTIONS);
}

/** Starts another sweep, which also tries what the kernel refused once more, and says what is owed to the peer. */
export function sweepBegin(): void {
  recountOwed();
  sweeping = true;
  sweepCursor = 0;
}

function canonical(owner: u32): u32 {
  return owner == OWN ? tagOwn : owner == MIRRORED ? tagMirrored : tagUnclaimed;
}

function sweepState(r: u32): void {
  let f = flagsOf(r);
  if (!(f & F_USED)) return;
  const owner = ownerOf(r);
  moveTag(r, canonical(owner));
  payAnswer(r);
  if (f & F_TOMB) return;
  f = flagsOf(r);
  if (!(f & F_INK)) {
    if ((f & F_REFUSED || load<u8>(r, S_KEPTOUT)) && !(f & F_KWANT)) wantKernel(r, 0);
  } else if (owner == OWN && f & F_MIRROR) {
    // Traffic that passed since the adoption gave the entry the kernel's own timeout already.
    if (isTouched(r)) setFlags(r, f & ~F_MIRROR);
    else wantKernel(r, 0);
  } else if (owner == MIRRORED && !(f & F_MIRROR)) {
    wantKernel(r, 0);
  }
}

/** Goes over up to `n` slots after a change of ownership; returns 1 while there is more to do. */
export function sweep(n: u32): u32 {
  if (!sweeping) return 0;
  const total = ordinals();
  for (; n && sweepCursor < total; n--) sweepState(stateAt(sweepCursor++));
  if (sweepCursor < total) return 1;
  sweeping = false;
  for (let tag: u32 = 0; tag < TAG_COUNT; tag++) {
    if (tag != tagUnclaimed && tag != tagOwn && tag != tagMirrored && isEmpty(tag)) setOwner(tag, OWNER_FREE);
  }
  return 0;
}

export function sweepActive(): u32 {
  return u32(sweeping);
}

export function adoptEpoch(): u32 {
  return epoch;
}

function sumField(owner: u32, field: u32): u32 {
  let sum: u32 = 0;
  for (let tag: u32 = 0; tag < TAG_COUNT; tag++) {
    const t = tagAt(tag);
    if (load<u32>(t, T_OWNER) == owner) sum += load<u32>(t + field);
  }
  return sum;
}

/** Live states of this owner. */
export function countOwner(owner: u32): u32 {
  return sumField(owner, <u32>T_LIVE);
}

/** Live states of this owner that are not in the kernel (waiting or refused). */
export function kernelMissing(owner: u32): u32 {
  return sumField(owner, <u32>T_MISSING);
}
