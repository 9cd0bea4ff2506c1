/**
 * The limit on states. At the limit the oldest state that is not ASSURED goes first, found by a clock hand that looks
 * at a bounded number of slots, so an insert never costs a walk.
 */

import { entomb } from './content';
import { live, MIRRORED, OWN, ownerOf } from './counts';
import { now } from './generations';
import { flagsOf, IPS_ASSURED, isLive, S_AGE, S_STATUS } from './layout';
import { C_EVICTED, C_TABLE_FULL, count } from './memory';
import { markDirty, release } from './queue';
import { allocated, HARD_LIMIT, ordinals, stateAt } from './table';

/** How many slots one search for a victim looks at. */
const LOOK: u32 = 64;
/** Tombstones that wait for the link may exceed the limit by a quarter and this many. */
const SLACK: u32 = 1024;
/** Largest limit that can be set: leaves the directory room for the tombstones. */
const MAX_STATES: u32 = 16777216;

let maxStates: u32 = 1000000;
let hand: u32 = 0;

export function setMaxStates(n: u32): void {
  maxStates = n > MAX_STATES ? MAX_STATES : n;
}

/** True when one more state may be added; makes room if it must. */
export function hasRoom(): bool {
  if (live < maxStates && allocated < maxStates + maxStates / 4 + SLACK && allocated < HARD_LIMIT) return true;
  count(C_TABLE_FULL);
  return evict() && allocated < maxStates + maxStates / 4 + SLACK;
}

/**
 * Of the next LOOK slots the oldest state of ours (or unclaimed) without ASSURED goes; mirrored ones are the peer's to
 * end.
 */
function evict(): bool {
  const total = ordinals();
  const end = total < LOOK ? total : LOOK;
  let victim: u32 = 0;
  let oldest: u32 = 0;
  for (let i: u32 = 0; i < end; i++) {
    if (hand >= total) hand = 0;
    const r = stateAt(hand++);
    if (!isLive(flagsOf(r)) || load<u16>(r, S_STATUS) & IPS_ASSURED || ownerOf(r) == MIRRORED) continue;
    const age = now - load<u32>(r, S_AGE);
    if (!victim || age > oldest) {
      victim = r;
      oldest = age;
    }
  }
  if (!victim) return false;
  count(C_EVICTED);
  const own = ownerOf(victim) == OWN;
  entomb(victim);
  if (own) markDirty(victim);
  else release(victim);
  return true;
}
