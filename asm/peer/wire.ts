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

import { MIRRORED, ownerOf } from '../state/counts';
import {
  extraOf,
  HELPER_NAME,
  helperName,
  helperOf,
  present,
  seqOf,
  X_HELPER,
  X_LABELS,
  X_SEQ,
  X_ZONE,
  XB_DIRECTION,
  XB_LABELS,
  XB_ZONE,
} from '../state/extra';
import {
  AF_INET6,
  F_TOMB,
  F_VTAGS,
  flagsOf,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPS_SYNCED,
  KIND_ICMP,
  KIND_NONE,
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
} from '../state/layout';
import { copyAddress } from '../state/memory';
import { hasDestinationNat, hasSourceNat } from '../state/nat';

export const W_DELETE: u32 = 0x01;
export const W_IPV6: u32 = 0x02;
export const W_YOURS: u32 = 0x04;
export const W_SNAT: u32 = 0x08;
export const W_DNAT: u32 = 0x10;
export const W_MARK: u32 = 0x20;
export const W_ZONE: u32 = 0x40;
export const W_L4: u32 = 0x80;

/** No state is longer: IPv6 SCTP with both NATs, mark, zone and tags. */
export const WIRE_MAX: u32 = 2 + 2 + 32 + 4 + 1 + 18 + 18 + 4 + 9;
/** ... but for those with rare attributes. */
const WIRE_EXTRA: u32 = 1 + 16 + HELPER_NAME + 24 + 3;
export const STATUS_EXTRA: u32 = 0x80;

/** Bytes that this state may take. */
export function mostOf(r: u32): u32 {
  return extraOf(r) ? WIRE_MAX + WIRE_EXTRA : WIRE_MAX;
}

function put16(p: u32, v: u32): void {
  store<u16>(p, bswap<u16>(<u16>v));
}

export function get16(p: u32): u32 {
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
  store<u8>(p++, (load<u16>(r, S_STATUS) & IPS_SYNCED) | (present(extra) ? STATUS_EXTRA : 0));
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
