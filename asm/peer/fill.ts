/** Fills sync datagrams: first what changed, then, while a bulk is running, every own state. */

import { OWN, ownerOf } from '../state/counts';
import { flagsOf, isLive } from '../state/layout';
import { C_TX_BULK_UPDATES, C_TX_UPDATES, count, inside } from '../state/memory';
import { dropDirty, peekDirty } from '../state/queue';
import { ordinals, stateAt } from '../state/table';
import { encode, mostOf, WIRE_MAX } from './wire';

/** Slots one call looks at for the bulk, so that a call never takes long in a table with few own states. */
const BULK_LOOK: u32 = 16384;

let bulk: bool = false;
let bulkCursor: u32 = 0;
/** Updates in the datagram last filled. */
let updates: u32 = 0;

/** From now on txFill also sends all own states. O(1); begins anew when a bulk is running. */
export function bulkBegin(): void {
  bulk = true;
  bulkCursor = 0;
}

export function bulkActive(): u32 {
  return u32(bulk);
}

/** Ends the bulk without sending the rest. */
export function bulkStop(): void {
  bulk = false;
}

export function txUpdates(): u32 {
  return updates;
}

/**
 * Writes states to `off`, at most `cap` bytes, none cut. Returns the bytes written; 0 with bulkActive() = 1 means "call
 * again" (no own state among the slots looked at).
 */
export function txFill(off: u32, cap: u32): u32 {
  updates = 0;
  if (!inside(off, cap) || cap < WIRE_MAX) return 0;
  let p = off;
  const end = off + cap;
  for (;;) {
    const r = peekDirty();
    if (!r || end - p < mostOf(r)) break;
    p += encode(r, p);
    dropDirty();
    updates++;
    count(C_TX_UPDATES);
  }
  if (bulk) p = fillBulk(p, end);
  return p - off;
}

function fillBulk(at: u32, end: u32): u32 {
  let p = at;
  const total = ordinals();
  for (let look: u32 = 0; look < BULK_LOOK && bulkCursor < total; look++, bulkCursor++) {
    const r = stateAt(bulkCursor);
    if (!isLive(flagsOf(r)) || ownerOf(r) != OWN) continue;
    if (end - p < mostOf(r)) return p;
    p += encode(r, p);
    updates++;
    count(C_TX_BULK_UPDATES);
  }
  if (bulkCursor >= total) bulk = false;
  return p;
}
