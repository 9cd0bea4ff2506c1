/** Writes tuples and translation of a state. The reply tuple is what the kernel would make of the translation. */

import { extraOf, present, X_ZONE, XB_DIRECTION, XB_ZONE } from '../state/extra';
import {
  AF_INET,
  IPPROTO_ICMP,
  icmpAnswer,
  KIND_ICMP,
  KIND_NONE,
  kindOf,
  S_FAMILY,
  S_ODPORT,
  S_ODST,
  S_OSPORT,
  S_OSRC,
  S_PROTO,
  S_RDPORT,
  S_RDST,
  S_RSPORT,
  S_RSRC,
  S_ZONE,
} from '../state/layout';
import { hasDestinationNat, hasSourceNat } from '../state/nat';
import {
  CTA_IP_V4_DST,
  CTA_IP_V4_SRC,
  CTA_IP_V6_DST,
  CTA_IP_V6_SRC,
  CTA_NAT_DST,
  CTA_NAT_PROTO,
  CTA_NAT_SRC,
  CTA_NAT_V4_MAXIP,
  CTA_NAT_V4_MINIP,
  CTA_NAT_V6_MAXIP,
  CTA_NAT_V6_MINIP,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_PROTONAT_PORT_MAX,
  CTA_PROTONAT_PORT_MIN,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
  CTA_TUPLE_ZONE,
  CTA_ZONE,
} from './attributes';
import { attr8, attr16, attrAddress, close, open } from './nlput';

/**
 * A tuple: addresses at `src`, `dst`; `sport`, `dport` as in the state (ICMP: id, type << 8 | code); `zone`: one that
 * holds for this direction only, 0: none.
 */
export function putTuple(type: u32, r: u32, src: u32, dst: u32, sport: u32, dport: u32, zone: u32): void {
  const proto: u32 = load<u8>(r, S_PROTO);
  const family: u32 = load<u8>(r, S_FAMILY);
  const v4 = family == AF_INET;
  const tuple = open(type);
  const ip = open(CTA_TUPLE_IP);
  attrAddress(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, src, v4 ? 4 : 16);
  attrAddress(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, dst, v4 ? 4 : 16);
  close(ip);
  const l4 = open(CTA_TUPLE_PROTO);
  attr8(CTA_PROTO_NUM, proto);
  const kind = kindOf(proto, family);
  if (kind == KIND_ICMP) {
    const base: u32 = proto == IPPROTO_ICMP ? 4 : 7;
    attr16(base, sport);
    attr8(base + 1, dport >> 8);
    attr8(base + 2, dport);
  } else if (kind != KIND_NONE) {
    attr16(CTA_PROTO_SRC_PORT, sport);
    attr16(CTA_PROTO_DST_PORT, dport);
  }
  close(l4);
  if (zone) attr16(CTA_TUPLE_ZONE, zone);
  close(tuple);
}

export function putOriginal(r: u32, zone: u32): void {
  putTuple(CTA_TUPLE_ORIG, r, r + <u32>S_OSRC, r + <u32>S_ODST, load<u16>(r, S_OSPORT), load<u16>(r, S_ODPORT), zone);
}

/** The plain inverse of the original tuple: the kernel makes the translated one from the NAT attributes. */
function putInverse(r: u32, zone: u32): void {
  const sport: u32 = load<u16>(r, S_OSPORT);
  const dport: u32 = load<u16>(r, S_ODPORT);
  const proto: u32 = load<u8>(r, S_PROTO);
  if (kindOf(proto, load<u8>(r, S_FAMILY)) == KIND_ICMP) {
    const answer = u32(icmpAnswer(proto, dport >> 8));
    putTuple(CTA_TUPLE_REPLY, r, r + <u32>S_ODST, r + <u32>S_OSRC, sport, (answer << 8) | (dport & 0xff), zone);
  } else {
    putTuple(CTA_TUPLE_REPLY, r, r + <u32>S_ODST, r + <u32>S_OSRC, dport, sport, zone);
  }
}

/**
 * CTA_NAT_SRC (6) or CTA_NAT_DST (13) with min = max address and port: without the port the kernel may take another.
 */
function putNat(type: u32, r: u32, address: u32, port: u32): void {
  const v4 = load<u8>(r, S_FAMILY) == AF_INET;
  const size: u32 = v4 ? 4 : 16;
  const nat = open(type);
  attrAddress(v4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP, address, size);
  attrAddress(v4 ? CTA_NAT_V4_MAXIP : CTA_NAT_V6_MAXIP, address, size);
  if (kindOf(load<u8>(r, S_PROTO), load<u8>(r, S_FAMILY)) != KIND_NONE) {
    const range = open(CTA_NAT_PROTO);
    attr16(CTA_PROTONAT_PORT_MIN, port);
    attr16(CTA_PROTONAT_PORT_MAX, port);
    close(range);
  }
  close(nat);
}

export function putNats(r: u32): void {
  const icmp = kindOf(load<u8>(r, S_PROTO), load<u8>(r, S_FAMILY)) == KIND_ICMP;
  if (hasSourceNat(r)) {
    const port: u32 = icmp ? load<u16>(r, S_RSPORT) : load<u16>(r, S_RDPORT);
    putNat(CTA_NAT_SRC, r, r + <u32>S_RDST, port);
  }
  if (hasDestinationNat(r)) putNat(CTA_NAT_DST, r, r + <u32>S_RSRC, load<u16>(r, S_RSPORT));
}

/** Both tuples and the zone: for both directions, or in the tuple of the one it holds for. */
export function putTuples(r: u32): void {
  const block = extraOf(r);
  const direction: u32 = present(block) & X_ZONE ? <u32>load<u8>(block, XB_DIRECTION) : 0;
  putOriginal(r, direction == 1 ? <u32>load<u16>(r, S_ZONE) : 0);
  putInverse(r, direction == 2 ? <u32>load<u16>(block, XB_ZONE) : 0);
  if (!direction) putZone(r);
}

export function putZone(r: u32): void {
  if (load<u16>(r, S_ZONE)) attr16(CTA_ZONE, load<u16>(r, S_ZONE));
}
