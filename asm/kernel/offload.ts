/**
 * Ends of offloaded flows. A flow that a flowtable or a network card forwards is not seen by connection tracking: its
 * entry may be ended by a timeout, or by the flowtable giving it up, while packets go on. So the end of an entry that
 * says it is offloaded waits; if the connection shows up in the kernel again it was none, else it is told when the time
 * is over.
 *
 *   one page of 4096 places, a ring: state u32, index hash u32, due u32 (ms, host time), 0 u32
 */

import { entomb } from '../state/content';
import { OWN, ownerOf } from '../state/counts';
import { now } from '../state/generations';
import { F_INK, flagsOf, IPS_OFFLOADED, isLive, S_IHASH, S_STATUS } from '../state/layout';
import { allocPage, C_OFFLOAD_BACK, C_OFFLOAD_HELD, count } from '../state/memory';
import { markDirty } from '../state/queue';

const PLACES: u32 = 4096;
/** Milliseconds. */
const WAIT: u32 = 60000;
/** Ends that one call looks at. */
const MOST: u32 = 64;

let page: u32 = 0;
let head: u32 = 0;
let tail: u32 = 0;

function placeOf(n: u32): u32 {
  return page + ((n & (PLACES - 1)) << 4);
}

/** An own live state has left the kernel while it was offloaded: its end waits. False: there is no room to wait. */
export function holdEnd(r: u32): bool {
  if (!page) page = allocPage();
  if (!page || tail - head >= PLACES) return false;
  count(C_OFFLOAD_HELD);
  store<u16>(r, load<u16>(r, S_STATUS) | IPS_OFFLOADED, S_STATUS);
  const place = placeOf(tail++);
  store<u32>(place, r);
  store<u32>(place, load<u32>(r, S_IHASH), 4);
  store<u32>(place, now + WAIT, 8);
  return true;
}

/** Is this an entry whose end waits? A dump that does not show it says nothing new. */
export function isHeld(r: u32): bool {
  return !(flagsOf(r) & F_INK) && (load<u16>(r, S_STATUS) & IPS_OFFLOADED) != 0 && ownerOf(r) == OWN;
}

/** Ends whose time is over; call it with every new time. */
export function endHeld(): void {
  for (let i: u32 = 0; i < MOST && head != tail; i++) {
    const place = placeOf(head);
    if (i32(now - load<u32>(place, 8)) < 0) return;
    head++;
    const r = load<u32>(place);
    if (!isLive(flagsOf(r)) || load<u32>(r, S_IHASH) != load<u32>(place, 4)) continue;
    if (!isHeld(r)) {
      count(C_OFFLOAD_BACK);
      continue;
    }
    entomb(r);
    markDirty(r);
  }
}
