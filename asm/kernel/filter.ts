/**
 * Which states are not synchronised: loopback, the ignored networks, the node's own connections, and those that are not
 * answered (or assured) yet.
 */

import {
  AF_INET,
  IPPROTO_TCP,
  IPS_ASSURED,
  IPS_SEEN_REPLY,
  IPS_TEMPLATE,
  IPS_UNTRACKED,
  S_FAMILY,
  S_L4STATE,
  S_ODST,
  S_OSRC,
  S_PROTO,
  S_RSRC,
  S_STATUS,
} from '../state/layout';
import { IGNORE4, IGNORE6, LIST_MAX, LOCAL4, LOCAL6 } from '../state/memory';
import { HAS_L4, seen } from './parse';

let ignore4: u32 = 0;
let ignore6: u32 = 0;
let local4: u32 = 0;
let local6: u32 = 0;
let syncWhen: u32 = 1;

/** How many entries of each list the host has written. */
export function setLists(ignored4: u32, ignored6: u32, own4: u32, own6: u32): void {
  ignore4 = min(ignored4, LIST_MAX);
  ignore6 = min(ignored6, LIST_MAX);
  local4 = min(own4, LIST_MAX);
  local6 = min(own6, LIST_MAX);
}

/** 0 all, 1 answered, 2 assured. */
export function setSyncWhen(when: u32): void {
  syncWhen = when;
}

function ignoredAddress4(address: u32): bool {
  if ((address & 0xff) == 127) return true;
  for (let i: u32 = 0, p = IGNORE4; i < ignore4; i++, p += 8) {
    if ((address & load<u32>(p, 4)) == load<u32>(p)) return true;
  }
  return false;
}

function ignoredAddress6(lo: u64, hi: u64): bool {
  // ::1; the words are the address bytes in memory order
  if (lo == 0 && hi == 0x0100000000000000) return true;
  for (let i: u32 = 0, p = IGNORE6; i < ignore6; i++, p += 32) {
    if ((lo & load<u64>(p, 16)) == load<u64>(p) && (hi & load<u64>(p, 24)) == load<u64>(p, 8)) return true;
  }
  return false;
}

function isLocal4(address: u32): bool {
  for (let i: u32 = 0; i < local4; i++) if (load<u32>(LOCAL4 + (i << 2)) == address) return true;
  return false;
}

function isLocal6(lo: u64, hi: u64): bool {
  for (let i: u32 = 0, p = LOCAL6; i < local6; i++, p += 16) {
    if (load<u64>(p) == lo && load<u64>(p, 8) == hi) return true;
  }
  return false;
}

/** An address of this node itself: its own, or loopback. */
export function isOwn4(address: u32): bool {
  return (address & 0xff) == 127 || isLocal4(address);
}

export function isOwn6(lo: u64, hi: u64): bool {
  return (lo == 0 && hi == 0x0100000000000000) || isLocal6(lo, hi);
}

/** True for a state that must not be synchronised because of its addresses. */
export function isIgnored(s: u32): bool {
  if (load<u8>(s, S_FAMILY) == AF_INET) {
    const src = load<u32>(s, S_OSRC);
    const dst = load<u32>(s, S_ODST);
    if (ignoredAddress4(src) || ignoredAddress4(dst) || isLocal4(src)) return true;
    // sent to this node itself; with destination NAT the answer comes from elsewhere and the state is a forwarded one
    return load<u32>(s, S_RSRC) == dst && isLocal4(dst);
  }
  const srcLo = load<u64>(s, S_OSRC);
  const srcHi = load<u64>(s, S_OSRC + 8);
  const dstLo = load<u64>(s, S_ODST);
  const dstHi = load<u64>(s, S_ODST + 8);
  if (ignoredAddress6(srcLo, srcHi) || ignoredAddress6(dstLo, dstHi) || isLocal6(srcLo, srcHi)) return true;
  return load<u64>(s, S_RSRC) == dstLo && load<u64>(s, S_RSRC + 8) == dstHi && isLocal6(dstLo, dstHi);
}

/** True when the state has got far enough to be synchronised. A TCP SYN_SENT never is: its SYN will be repeated. */
export function isEligible(s: u32): bool {
  const status: u32 = load<u16>(s, S_STATUS);
  if (status & (IPS_TEMPLATE | IPS_UNTRACKED)) return false;
  if (load<u8>(s, S_PROTO) == IPPROTO_TCP) {
    const state: u32 = load<u8>(s, S_L4STATE);
    if (state == 1) return false;
    if (!state && !(seen & HAS_L4) && !(status & IPS_SEEN_REPLY)) return false;
  }
  if (syncWhen == 0) return true;
  return (status & (syncWhen == 1 ? IPS_SEEN_REPLY : IPS_ASSURED)) != 0;
}
