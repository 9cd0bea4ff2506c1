/**
 * The timeouts an entry would have if only local traffic kept it (mapping.md 3.4); the host may overwrite the table.
 */

import {
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  IPS_ASSURED,
  S_L4STATE,
  S_PROTO,
  S_STATUS,
} from '../state/layout';
import { TIMEOUTS } from '../state/memory';

/**
 * Order of the table, seconds each: 0..9 TCP by state (0 = not known: established), 10 UDP, 11 UDP stream, 12 UDP-lite,
 * 13 UDP-lite stream, 14 ICMP, 15 ICMPv6, 16 GRE, 17 GRE stream, 18..26 SCTP by state, 27 DCCP, 28 all others.
 */
function slotOf(r: u32): u32 {
  const state: u32 = load<u8>(r, S_L4STATE);
  const stream: u32 = load<u16>(r, S_STATUS) & IPS_ASSURED ? 1 : 0;
  switch (<u32>load<u8>(r, S_PROTO)) {
    case IPPROTO_TCP:
      return state > 9 ? 3 : state;
    case IPPROTO_UDP:
      return 10 + stream;
    case IPPROTO_UDPLITE:
      return 12 + stream;
    case IPPROTO_ICMP:
      return 14;
    case IPPROTO_ICMPV6:
      return 15;
    case IPPROTO_GRE:
      return 16 + stream;
    case IPPROTO_SCTP:
      return 18 + (state > 8 ? 4 : state);
    case IPPROTO_DCCP:
      return 27;
    default:
      return 28;
  }
}

/** Seconds, never 0: an entry with timeout 0 vanishes at once. */
export function normalTimeout(r: u32): u32 {
  const t = load<u32>(TIMEOUTS + (slotOf(r) << 2));
  return t ? t : 1;
}

function put(slot: u32, seconds: u32): void {
  store<u32>(TIMEOUTS + (slot << 2), seconds);
}

/** The kernel's defaults. */
export function initTimeouts(): void {
  put(0, 432000);
  put(1, 120);
  put(2, 60);
  put(3, 432000);
  put(4, 120);
  put(5, 60);
  put(6, 30);
  put(7, 120);
  put(8, 10);
  put(9, 120);
  put(10, 30);
  put(11, 120);
  put(12, 30);
  put(13, 120);
  put(14, 30);
  put(15, 30);
  put(16, 30);
  put(17, 180);
  put(18, 10);
  put(19, 10);
  put(20, 3);
  put(21, 3);
  put(22, 210);
  put(23, 3);
  put(24, 3);
  put(25, 3);
  put(26, 30);
  put(27, 240);
  put(28, 600);
}
