/**
 * One state in a sync datagram. Big endian; the version stands in the datagram's header. A state with a bit that has no
 * meaning here is refused.
 *
 *   u8   head: 0x01 delete, 0x02 IPv6, 0x04 "yours" (else the sender's), 0x08 source NAT, 0x10 destination NAT,
 *              0x20 mark, 0x40 zone, 0x80 protocol part
 *   u8   protocol
 *   [u16 zone]
 *        orig src, orig dst (4 or 16 bytes each)
 *        ports: u16 sport, u16 dport | ICMP: u16 id, u8 type, u8 code | other protocols: nothing
 *   a delete ends here (only 0x01, 0x02, 0x04, 0x40 may be set); an update goes on:
 *   u8   status: 0x02 SEEN_REPLY, 0x04 ASSURED, 0x80 rare attributes follow at the end
 *   [source NAT:      address = reply dst, and for protocols with ports or ICMP u16 = reply dport or ICMP id]
 *   [destination NAT: address = reply src, and for protocols with ports or ICMP u16 = reply sport or ICMP id]
 *   [u32 mark]
 *   [protocol part: u8 low nibble state; TCP: 0x10 wscale byte follows (orig << 4 | reply), 0x20 flags byte follows
 *        (orig << 4 | reply; WINDOW_SCALE 1, SACK_PERM 2, CLOSE_INIT 4); SCTP: 0x10 both tags follow (u32 orig, u32
 *        reply)]
 *
 *   [rare attributes: u8 parts, then by bit 0x01 labels 16 B; 0x02 helper u8 length, name; 0x04 sequence adjustment
 *        6 x u32 (position, offset before, offset after; original, then reply); 0x08 u8 direction of the zone
 *        (1 original, 2 reply), u16 zone of a reply-only zone]
 *
 * The reply tuple is the inverse of the original one except for what the NAT parts say. An IPv4 UDP state with source
 * NAT takes 21 bytes, its end 14, a TCP state with source NAT, wscale and flags 24.
 */

import { clearImage } from '../state/content';
import { MIRRORED, ownerOf } from '../state/counts';
import {
  addToScratch,
  extraOf,
  HELPER_NAME,
  helperName,
  helperNumber,
  helperOf,
  present,
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
  F_TOMB,
  F_VTAGS,
  flagsOf,
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
import { hasDestinationNat, hasSourceNat } from '../state/nat';

export const W_DELETE: u32 = 0x01;
const W_IPV6: u32 = 0x02;
export const W_YOURS: u32 = 0x04;
const W_SNAT: u32 = 0x08;
const W_DNAT: u32 = 0x10;
const W_MARK: u32 = 0x20;
const W_ZONE: u32 = 0x40;
const W_L4: u32 = 0x80;

/** No state is longer: IPv6 SCTP with both NATs, mark, zone and tags. */
export const WIRE_MAX: u32 = 2 + 2 + 32 + 4 + 1 + 18 + 18 + 4 + 9;
/** ... but for those with rare attributes. */
const WIRE_EXTRA: u32 = 1 + 16 + HELPER_NAME + 24 + 3;
const S_EXTRA: u32 = 0x80;

/** Bytes that this state may take. */
export function mostOf(r: u32): u32 {
  return extraOf(r) ? WIRE_MAX + WIRE_EXTRA : WIRE_MAX;
}

function put16(p: u32, v: u32): void {
  store<u16>(p, bswap<u16>(<u16>v));
}

function get16(p: u32): u32 {
  return bswap<u16>(load<u16>(p));
}

function hasL4(r: u32): bool {
  const proto: u32 = load<u8>(r, S_PROTO);
  return (proto == IPPROTO_TCP || proto == IPPROTO_SCTP) && load<u8>(r, S_L4STATE) != 0;
}

function headOf(r: u32): u32 {
  let head: u32 = load<u8>(r, S_FAMILY) == AF_INET6 ? W_IPV6 : 0;
  if (ownerOf(r) == MIRRORED) head |= W_YOURS;
  if (load<u16>(r, S_ZONE)) head |= W_ZONE;
  if (flagsOf(r) & F_TOMB) return head | W_DELETE;
  if (hasSourceNat(r)) head |= W_SNAT;
  if (hasDestinationNat(r)) head |= W_DNAT;
  if (load<u32>(r, S_MARK)) head |= W_MARK;
  if (hasL4(r)) head |= W_L4;
  return head;
}

function putKey(r: u32, at: u32, head: u32, kind: u32): u32 {
  let p = at;
  store<u8>(p, head);
  store<u8>(p, load<u8>(r, S_PROTO), 1);
  p += 2;
  if (head & W_ZONE) {
    put16(p, load<u16>(r, S_ZONE));
    p += 2;
  }
  const size: u32 = head & W_IPV6 ? 16 : 4;
  copyAddress(p, r + <u32>S_OSRC, size);
  copyAddress(p + size, r + <u32>S_ODST, size);
  p += size << 1;
  if (kind == KIND_NONE) return p;
  put16(p, load<u16>(r, S_OSPORT));
  put16(p + 2, load<u16>(r, S_ODPORT));
  return p + 4;
}

function putNat(at: u32, address: u32, size: u32, kind: u32, port: u32): u32 {
  copyAddress(at, address, size);
  if (kind == KIND_NONE) return at + size;
  put16(at + size, port);
  return at + size + 2;
}

function putL4(r: u32, at: u32): u32 {
  let p = at + 1;
  let first: u32 = load<u8>(r, S_L4STATE) & 15;
  if (load<u8>(r, S_PROTO) == IPPROTO_TCP) {
    const flags: u32 = load<u8>(r, S_TCPFLAGS) & 0x77;
    if (load<u8>(r, S_WSCALE)) {
      first |= 0x10;
      store<u8>(p++, load<u8>(r, S_WSCALE));
    }
    if (flags) {
      first |= 0x20;
      store<u8>(p++, flags);
    }
  } else if (flagsOf(r) & F_VTAGS) {
    first |= 0x10;
    store<u64>(p, load<u64>(r, S_ID));
    p += 8;
  }
  store<u8>(at, first);
  return p;
}

function putExtra(block: u32, at: u32): u32 {
  const parts = present(block);
  let p = at;
  store<u8>(p++, parts);
  if (parts & X_LABELS) {
    memory.copy(p, block + <u32>XB_LABELS, 16);
    p += 16;
  }
  if (parts & X_HELPER) {
    const name = helperName(helperOf(block));
    let n: u32 = 0;
    while (load<u8>(name + n)) n++;
    store<u8>(p++, n);
    memory.copy(p, name, n);
    p += n;
  }
  if (parts & X_SEQ) {
    memory.copy(p, seqOf(block), 24);
    p += 24;
  }
  if (parts & X_ZONE) {
    store<u8>(p++, load<u8>(block, XB_DIRECTION));
    put16(p, load<u16>(block, XB_ZONE));
    p += 2;
  }
  return p;
}

/** Writes state `r` at `p` (mostOf(r) bytes are free there); returns its length. */
export function encode(r: u32, at: u32): u32 {
  const head = headOf(r);
  const kind = kindOf(load<u8>(r, S_PROTO), load<u8>(r, S_FAMILY));
  let p = putKey(r, at, head, kind);
  if (head & W_DELETE) return p - at;
  const extra = extraOf(r);
  store<u8>(p++, (load<u16>(r, S_STATUS) & IPS_SYNCED) | (present(extra) ? S_EXTRA : 0));
  const size: u32 = head & W_IPV6 ? 16 : 4;
  if (head & W_SNAT) {
    const port: u32 = kind == KIND_ICMP ? load<u16>(r, S_RSPORT) : load<u16>(r, S_RDPORT);
    p = putNat(p, r + <u32>S_RDST, size, kind, port);
  }
  if (head & W_DNAT) p = putNat(p, r + <u32>S_RSRC, size, kind, load<u16>(r, S_RSPORT));
  if (head & W_MARK) {
    store<u32>(p, bswap<u32>(load<u32>(r, S_MARK)));
    p += 4;
  }
  if (head & W_L4) p = putL4(r, p);
  if (present(extra)) p = putExtra(extra, p);
  return p - at;
}

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
  if (status & ~(IPS_SYNCED | S_EXTRA)) return 0;
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
  if (status & S_EXTRA) {
    p = getExtra(p, end);
    if (!p) return 0;
  }
  return p - at;
}
