/** Reads one update of a sync datagram (wire.ts has the layout) into the SCRATCH image. */

import { clearImage } from '../state/content';
import {
  addToScratch,
  HELPER_NAME,
  helperNumber,
  seqOf,
  X_HELPER,
  X_LABELS,
  X_SEQ,
  X_ZONE,
  XB_DIRECTION,
  XB_HELPER,
  XB_LABELS,
  XB_ZONE,
} from '../state/extra';
import {
  AF_INET,
  AF_INET6,
  F_VTAGS,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPS_CONFIRMED,
  IPS_SYNCED,
  icmpAnswer,
  KIND_ICMP,
  KIND_NONE,
  KIND_PORTS,
  kindOf,
  S_FAMILY,
  S_ID,
  S_L4STATE,
  S_MARK,
  S_ODPORT,
  S_ODST,
  S_OSPORT,
  S_OSRC,
  S_PROTO,
  S_RDPORT,
  S_RDST,
  S_RSPORT,
  S_RSRC,
  S_STATUS,
  S_TCPFLAGS,
  S_WSCALE,
  S_ZONE,
  setFlags,
} from '../state/layout';
import { copyAddress, SCRATCH, XSCRATCH } from '../state/memory';
import { get16, STATUS_EXTRA, W_DELETE, W_DNAT, W_IPV6, W_L4, W_MARK, W_SNAT, W_ZONE } from './wire';

/** Head byte of the state last decoded. */
export let head: u32 = 0;

/** Reads the key of a state into SCRATCH; returns where the rest begins, or 0. */
function getKey(at: u32, end: u32): u32 {
  let p = at + 2;
  const proto: u32 = load<u8>(at, 1);
  const family: u32 = head & W_IPV6 ? AF_INET6 : AF_INET;
  const kind = kindOf(proto, family);
  const size: u32 = head & W_IPV6 ? 16 : 4;
  const need: u32 = (head & W_ZONE ? 2 : 0) + (size << 1) + (kind == KIND_NONE ? 0 : 4);
  if (end - p < need) return 0;
  store<u8>(SCRATCH, proto, S_PROTO);
  store<u8>(SCRATCH, family, S_FAMILY);
  if (head & W_ZONE) {
    store<u16>(SCRATCH, get16(p), S_ZONE);
    p += 2;
  }
  copyAddress(SCRATCH + <u32>S_OSRC, p, size);
  copyAddress(SCRATCH + <u32>S_ODST, p + size, size);
  p += size << 1;
  if (kind == KIND_NONE) return p;
  store<u16>(SCRATCH, get16(p), S_OSPORT);
  store<u16>(SCRATCH, get16(p + 2), S_ODPORT);
  if (kind == KIND_ICMP && icmpAnswer(proto, load<u8>(p, 2)) < 0) return 0;
  return p + 4;
}

/** Makes the reply tuple of SCRATCH the inverse of the original one. */
function invert(kind: u32): void {
  copyAddress(SCRATCH + <u32>S_RSRC, SCRATCH + <u32>S_ODST, 16);
  copyAddress(SCRATCH + <u32>S_RDST, SCRATCH + <u32>S_OSRC, 16);
  const sport: u32 = load<u16>(SCRATCH, S_OSPORT);
  const dport: u32 = load<u16>(SCRATCH, S_ODPORT);
  if (kind == KIND_ICMP) {
    const answer = u32(icmpAnswer(load<u8>(SCRATCH, S_PROTO), dport >> 8));
    store<u16>(SCRATCH, sport, S_RSPORT);
    store<u16>(SCRATCH, (answer << 8) | (dport & 0xff), S_RDPORT);
  } else {
    store<u16>(SCRATCH, dport, S_RSPORT);
    store<u16>(SCRATCH, sport, S_RDPORT);
  }
}

function getL4(at: u32, end: u32): u32 {
  const proto: u32 = load<u8>(SCRATCH, S_PROTO);
  if (end == at || (proto != IPPROTO_TCP && proto != IPPROTO_SCTP)) return 0;
  const first: u32 = load<u8>(at);
  let p = at + 1;
  store<u8>(SCRATCH, first & 15, S_L4STATE);
  if (proto == IPPROTO_SCTP) {
    if (first & 0xe0) return 0;
    if (!(first & 0x10)) return p;
    if (end - p < 8) return 0;
    store<u64>(SCRATCH, load<u64>(p), S_ID);
    setFlags(SCRATCH, F_VTAGS);
    return p + 8;
  }
  if (first & 0xc0 || (first & 15) > 9) return 0;
  if (end - p < u32((first & 0x10) != 0) + u32((first & 0x20) != 0)) return 0;
  if (first & 0x10) {
    const wscale: u32 = load<u8>(p++);
    if ((wscale & 15) > 14 || wscale >> 4 > 14) return 0;
    store<u8>(SCRATCH, wscale, S_WSCALE);
  }
  if (first & 0x20) {
    const flags: u32 = load<u8>(p++);
    if (flags & 0x88) return 0;
    store<u8>(SCRATCH, flags, S_TCPFLAGS);
  }
  return p;
}

/** Reads the rare attributes; returns where they end, or 0. A helper that has no room here is left out. */
function getExtra(at: u32, end: u32): u32 {
  if (at == end) return 0;
  const parts: u32 = load<u8>(at);
  if (!parts || parts & ~(X_LABELS | X_HELPER | X_SEQ | X_ZONE)) return 0;
  let p = at + 1;
  if (parts & X_LABELS) {
    if (end - p < 16) return 0;
    memory.copy(XSCRATCH + <u32>XB_LABELS, p, 16);
    if (!(load<u64>(p) | load<u64>(p, 8))) return 0;
    p += 16;
  }
  if (parts & X_HELPER) {
    const n: u32 = p < end ? <u32>load<u8>(p) : 0;
    p++;
    if (!n || n >= HELPER_NAME || end - p < n) return 0;
    for (let i: u32 = 0; i < n; i++) if (load<u8>(p + i) <= 32 || load<u8>(p + i) > 126) return 0;
    const number = helperNumber(p, n);
    if (!number) return 0;
    store<u32>(XSCRATCH, number, XB_HELPER);
    p += n;
  }
  if (parts & X_SEQ) {
    if (end - p < 24) return 0;
    memory.copy(seqOf(XSCRATCH), p, 24);
    p += 24;
  }
  if (parts & X_ZONE) {
    if (end - p < 3) return 0;
    const direction: u32 = load<u8>(p);
    if (direction != 1 && direction != 2) return 0;
    store<u8>(XSCRATCH, direction, XB_DIRECTION);
    store<u16>(XSCRATCH, get16(p + 1), XB_ZONE);
    p += 3;
  }
  addToScratch(parts);
  return p;
}

/** Reads one state at `at` into SCRATCH and `head`. Returns its length, or 0 when it is cut short or not understood. */
export function decode(at: u32, end: u32): u32 {
  clearImage(SCRATCH);
  if (end - at < 2) return 0;
  head = load<u8>(at);
  if (head & W_DELETE && head & (W_SNAT | W_DNAT | W_MARK | W_L4)) return 0;
  let p = getKey(at, end);
  if (!p || head & W_DELETE) return p ? p - at : 0;
  const kind = kindOf(load<u8>(SCRATCH, S_PROTO), load<u8>(SCRATCH, S_FAMILY));
  const size: u32 = head & W_IPV6 ? 16 : 4;
  const nat = size + (kind == KIND_NONE ? 0 : 2);
  const need: u32 = 1 + (head & W_SNAT ? nat : 0) + (head & W_DNAT ? nat : 0) + (head & W_MARK ? 4 : 0);
  if (end - p < need) return 0;
  const status: u32 = load<u8>(p++);
  if (status & ~(IPS_SYNCED | STATUS_EXTRA)) return 0;
  store<u16>(SCRATCH, (status & IPS_SYNCED) | IPS_CONFIRMED, S_STATUS);
  invert(kind);
  if (head & W_SNAT) {
    copyAddress(SCRATCH + <u32>S_RDST, p, size);
    if (kind == KIND_ICMP) store<u16>(SCRATCH, get16(p + size), S_RSPORT);
    else if (kind == KIND_PORTS) store<u16>(SCRATCH, get16(p + size), S_RDPORT);
    p += nat;
  }
  if (head & W_DNAT) {
    copyAddress(SCRATCH + <u32>S_RSRC, p, size);
    if (kind != KIND_NONE) store<u16>(SCRATCH, get16(p + size), S_RSPORT);
    p += nat;
  }
  if (head & W_MARK) {
    store<u32>(SCRATCH, bswap<u32>(load<u32>(p)), S_MARK);
    p += 4;
  }
  if (head & W_L4) {
    p = getL4(p, end);
    if (!p) return 0;
  }
  if (status & STATUS_EXTRA) {
    p = getExtra(p, end);
    if (!p) return 0;
  }
  return p - at;
}
