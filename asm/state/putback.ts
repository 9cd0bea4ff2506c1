/**
 * How often a mirrored entry that has left the kernel is put back at once. In a full kernel each one that is put back
 * may push out another one, so that some would go round as fast as the loop turns, and be missing while they are
 * believed to be there. So there are 1000 put-backs at hand and 20 more a second; whatever is beyond that waits,
 * counted as missing, for the sweep that tries again what the kernel has refused (after 1 to 30 s,
 * src/sync/worker/dataplane.ts).
 */

import { now } from './generations';

const MOST: u32 = 1000;
/** Milliseconds of host time for one more. */
const EACH: u32 = 50;

let left: u32 = MOST;
let filledAt: u32 = 0;

export function mayPutBack(): bool {
  const gained = (now - filledAt) / EACH;
  filledAt += gained * EACH;
  left = gained >= MOST - left ? MOST : left + gained;
  if (!left) return false;
  left--;
  return true;
}
