/**
 * Which states may enter this kernel on the peer's word. The peer's states open ways through this node's rules
 * (`ct state established accept`), so what the peer cannot have forwarded stays in the table, where the digests need
 * it, and out of the kernel: it counts neither as missing nor as refused by the kernel.
 *
 * Never for this node's own sockets: a state that starts at an own address, or whose packets end at one. An own address
 * that is only a translation (the destination before DNAT, the source after SNAT) is what both nodes share. Beyond
 * that, `[sync] accept` may list who may open connections to whom: the original source, and the destination after
 * translation.
 */

import { AF_INET, S_FAMILY, S_OSRC, S_RSRC } from '../state/layout';
import { ACCEPT4, ACCEPT6, LIST_MAX } from '../state/memory';
import { isIgnored, isOwn4, isOwn6 } from './filter';

let rules4: u32 = 0;
let rules6: u32 = 0;
let limited: bool = false;

/** How many rules of each family the host has written; `on` 0: whoever may open connections to whomever. */
export function setAccept(on: u32, n4: u32, n6: u32): void {
  limited = on != 0;
  rules4 = min(n4, LIST_MAX);
  rules6 = min(n6, LIST_MAX);
}

/** Network and mask of 4 bytes each, of the source and then of the destination. */
function listed4(from: u32, to: u32): bool {
  for (let i: u32 = 0, p = ACCEPT4; i < rules4; i++, p += 16) {
    if ((from & load<u32>(p, 4)) == load<u32>(p) && (to & load<u32>(p, 12)) == load<u32>(p, 8)) return true;
  }
  return false;
}

/** Network and mask, 16 bytes each, at `p`. */
function matches6(address: u32, p: u32): bool {
  return (
    (load<u64>(address) & load<u64>(p, 16)) == load<u64>(p) &&
    (load<u64>(address, 8) & load<u64>(p, 24)) == load<u64>(p, 8)
  );
}

function listed6(from: u32, to: u32): bool {
  for (let i: u32 = 0, p = ACCEPT6; i < rules6; i++, p += 64) {
    if (matches6(from, p) && matches6(to, p + 32)) return true;
  }
  return false;
}

/** May the entry of this state be made? */
export function isAcceptable(r: u32): bool {
  if (isIgnored(r)) return false;
  const from = r + <u32>S_OSRC;
  const to = r + <u32>S_RSRC;
  if (load<u8>(r, S_FAMILY) == AF_INET) {
    if (isOwn4(load<u32>(to))) return false;
    return !limited || listed4(load<u32>(from), load<u32>(to));
  }
  if (isOwn6(load<u64>(to), load<u64>(to, 8))) return false;
  return !limited || listed6(from, to);
}
