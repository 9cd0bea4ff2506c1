/** Reads one tuple of a conntrack message (CTA_TUPLE_ORIG, CTA_TUPLE_REPLY) into the SCRATCH image. */

import { addToScratch, X_ZONE, XB_DIRECTION, XB_ZONE } from '../state/extra';
import {
  AF_INET,
  IPPROTO_TCP,
  IPPROTO_UDP,
  KIND_ICMP,
  KIND_PORTS,
  kindOf,
  S_ODPORT,
  S_ODST,
  S_OSPORT,
  S_OSRC,
  S_RDPORT,
  S_RDST,
  S_RSPORT,
  S_RSRC,
  S_ZONE,
} from '../state/layout';
import { copyAddress, SCRATCH, XSCRATCH } from '../state/memory';
import {
  CTA_IP_V4_SRC,
  CTA_IP_V6_SRC,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_ICMP_CODE,
  CTA_PROTO_ICMP_ID,
  CTA_PROTO_ICMP_TYPE,
  CTA_PROTO_ICMPV6_CODE,
  CTA_PROTO_ICMPV6_ID,
  CTA_PROTO_ICMPV6_TYPE,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_TUPLE_IP,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_ZONE,
} from './attributes';
import { attrLen, attrType, be16, nextAttr } from './nlget';

/** CTA_IP_*: the addresses of one tuple, to SCRATCH + src and + dst. Returns whether both were there. */
function parseAddresses(start: u32, end: u32, family: u32, src: u32, dst: u32): bool {
  const size: u32 = family == AF_INET ? 4 : 16;
  const first: u32 = family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC;
  let got: u32 = 0;
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return false;
    const which = attrType(p) - first;
    if (which < 2) {
      if (len != size + 4) return false;
      copyAddress(SCRATCH + (which ? dst : src), p + 4, size);
      got |= 1 << which;
    }
    p = nextAttr(p, len, end);
  }
  return got == 3;
}

/** What a tuple of each kind must hold, as bits by attribute. */
const PORTS: u32 = (1 << CTA_PROTO_SRC_PORT) | (1 << CTA_PROTO_DST_PORT);

const ICMP: u32 = (1 << CTA_PROTO_ICMP_ID) | (1 << CTA_PROTO_ICMP_TYPE) | (1 << CTA_PROTO_ICMP_CODE);
const ICMPV6: u32 = (1 << CTA_PROTO_ICMPV6_ID) | (1 << CTA_PROTO_ICMPV6_TYPE) | (1 << CTA_PROTO_ICMPV6_CODE);
const BYTES: u32 = (1 << CTA_PROTO_NUM) | ((ICMP | ICMPV6) & ~(1 << CTA_PROTO_ICMP_ID) & ~(1 << CTA_PROTO_ICMPV6_ID));
const WORDS: u32 = PORTS | (1 << CTA_PROTO_ICMP_ID) | (1 << CTA_PROTO_ICMPV6_ID);

function isProtoByte(type: u32): bool {
  return type < 32 && ((1 << type) & BYTES) != 0;
}

function isProtoWord(type: u32): bool {
  return type < 32 && ((1 << type) & WORDS) != 0;
}

/** CTA_PROTO_*: protocol and ports (or ICMP id, type, code) of one tuple. Returns the protocol or -1. */
function parseProto(start: u32, end: u32, family: u32, sportAt: u32, dportAt: u32): i32 {
  let proto: i32 = -1;
  let sport: u32 = 0;
  let dport: u32 = 0;
  let id: u32 = 0;
  let type: u32 = 0;
  let code: u32 = 0;
  let got: u32 = 0;
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return -1;
    const t = attrType(p);
    const room = len - 4;
    if (isProtoByte(t)) {
      if (room < 1) return -1;
      const v: u32 = load<u8>(p, 4);
      if (t == CTA_PROTO_NUM) proto = v;
      else if (t == CTA_PROTO_ICMP_TYPE || t == CTA_PROTO_ICMPV6_TYPE) type = v;
      else code = v;
    } else if (isProtoWord(t)) {
      if (room < 2) return -1;
      const v = be16(p + 4);
      if (t == CTA_PROTO_SRC_PORT) sport = v;
      else if (t == CTA_PROTO_DST_PORT) dport = v;
      else id = v;
    }
    if (t < 32) got |= 1 << t;
    p = nextAttr(p, len, end);
  }
  if (proto < 0) return -1;
  const kind = kindOf(proto, family);
  if (kind == KIND_PORTS) {
    // A kernel that has no tracker for the protocol (DCCP on 6.18) knows it without ports: 0, and so it is written.
    if ((got & PORTS) != PORTS && (proto == IPPROTO_TCP || proto == IPPROTO_UDP)) return -1;
    store<u16>(SCRATCH + sportAt, sport);
    store<u16>(SCRATCH + dportAt, dport);
  } else if (kind == KIND_ICMP) {
    const need: u32 = family == AF_INET ? ICMP : ICMPV6;
    if ((got & need) != need) return -1;
    store<u16>(SCRATCH + sportAt, id);
    store<u16>(SCRATCH + dportAt, (type << 8) | code);
  }
  return proto;
}

/** One CTA_TUPLE_*. Returns the protocol or -1. */
export function parseTuple(start: u32, end: u32, family: u32, reply: bool): i32 {
  let addresses = false;
  let proto: i32 = -1;
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return -1;
    const t = attrType(p);
    if (t == CTA_TUPLE_IP) {
      const src: u32 = reply ? <u32>S_RSRC : <u32>S_OSRC;
      if (!parseAddresses(p + 4, p + len, family, src, reply ? <u32>S_RDST : <u32>S_ODST)) return -1;
      addresses = true;
    } else if (t == CTA_TUPLE_PROTO) {
      const sport: u32 = reply ? <u32>S_RSPORT : <u32>S_OSPORT;
      proto = parseProto(p + 4, p + len, family, sport, reply ? <u32>S_RDPORT : <u32>S_ODPORT);
      if (proto < 0) return -1;
    } else if (t == CTA_TUPLE_ZONE) {
      if (len < 6) return -1;
      zoneOfDirection(be16(p + 4), reply);
    }
    p = nextAttr(p, len, end);
  }
  return addresses ? proto : -1;
}

/** A zone that holds for one direction only. The key is the original tuple, so only that direction's zone is in it. */
function zoneOfDirection(zone: u32, reply: bool): void {
  store<u8>(XSCRATCH, reply ? 2 : 1, XB_DIRECTION);
  if (reply) store<u16>(XSCRATCH, zone, XB_ZONE);
  else store<u16>(SCRATCH, zone, S_ZONE);
  addToScratch(X_ZONE);
}
