/**
 * Reads conntrack messages (NETLINK_NETFILTER, subsystem 1) into the SCRATCH image. Every length is checked against
 * what is left before a byte is read; what does not fit is malformed, never a trap. Attribute numbers: mapping.md
 * section 2 (uapi nfnetlink_conntrack.h). Integers in attributes are big endian, headers are in host order.
 */

import { clearImage } from '../state/content';
import {
  addToScratch,
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
  IPPROTO_UDP,
  icmpAnswer,
  KIND_ICMP,
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
  S_TIMEOUT,
  S_WSCALE,
  S_ZONE,
  setFlags,
} from '../state/layout';
import { C_EXTRA_LOST, copyAddress, count, SCRATCH, XSCRATCH } from '../state/memory';

export const PARSED: i32 = 0;
export const MALFORMED: i32 = 1;
/** Well formed, but of a kind that is not synchronised: ICMP types that are not tracked. */
const UNSUPPORTED: i32 = 2;

const HAS_ORIG: u32 = 1;
const HAS_REPLY: u32 = 2;
/** PROTOINFO was there (the kernel leaves it out of events in which it did not change). */
export const HAS_L4: u32 = 4;
const HAS_STATUS: u32 = 8;

/** What the message last parsed held. */
export let seen: u32 = 0;

/** SCRATCH is a message again that was parsed before (ahead.ts); `what` as `seen` was then. */
export function seenAgain(what: u32): void {
  seen = what;
}

function be16(p: u32): u32 {
  return bswap<u16>(load<u16>(p));
}

function be32(p: u32): u32 {
  return bswap<u32>(load<u32>(p));
}

/** Start of the attribute after the one at `p`, never beyond `end`. */
function nextAttr(p: u32, len: u32, end: u32): u32 {
  const step = (len + 3) & ~3;
  return step >= end - p ? end : p + step;
}

/** Length of the attribute at `p`, or 0 if it does not fit. */
function attrLen(p: u32, end: u32): u32 {
  const len: u32 = load<u16>(p);
  return len < 4 || len > end - p ? 0 : len;
}

function attrType(p: u32): u32 {
  return load<u16>(p, 2) & 0x3fff;
}

/** CTA_IP_*: the addresses of one tuple, to SCRATCH + src and + dst. Returns whether both were there. */
function parseAddresses(start: u32, end: u32, family: u32, src: u32, dst: u32): bool {
  const size: u32 = family == AF_INET ? 4 : 16;
  const first: u32 = family == AF_INET ? 1 : 3;
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
    if (t == 1 || t == 5 || t == 6 || t == 8 || t == 9) {
      if (room < 1) return -1;
      const v: u32 = load<u8>(p, 4);
      if (t == 1) proto = v;
      else if (t == 5 || t == 8) type = v;
      else code = v;
    } else if (t == 2 || t == 3 || t == 4 || t == 7) {
      if (room < 2) return -1;
      const v = be16(p + 4);
      if (t == 2) sport = v;
      else if (t == 3) dport = v;
      else id = v;
    }
    if (t < 32) got |= 1 << t;
    p = nextAttr(p, len, end);
  }
  if (proto < 0) return -1;
  const kind = kindOf(proto, family);
  if (kind == KIND_PORTS) {
    // A kernel that has no tracker for the protocol (DCCP on 6.18) knows it without ports: 0, and so it is written.
    if ((got & 0x0c) != 0x0c && (proto == IPPROTO_TCP || proto == IPPROTO_UDP)) return -1;
    store<u16>(SCRATCH + sportAt, sport);
    store<u16>(SCRATCH + dportAt, dport);
  } else if (kind == KIND_ICMP) {
    const need: u32 = family == AF_INET ? 0x70 : 0x380;
    if ((got & need) != need) return -1;
    store<u16>(SCRATCH + sportAt, id);
    store<u16>(SCRATCH + dportAt, (type << 8) | code);
  }
  return proto;
}

/** One CTA_TUPLE_*. Returns the protocol or -1. */
function parseTuple(start: u32, end: u32, family: u32, reply: bool): i32 {
  let addresses = false;
  let proto: i32 = -1;
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return -1;
    const t = attrType(p);
    if (t == 1) {
      const src: u32 = reply ? <u32>S_RSRC : <u32>S_OSRC;
      if (!parseAddresses(p + 4, p + len, family, src, reply ? <u32>S_RDST : <u32>S_ODST)) return -1;
      addresses = true;
    } else if (t == 2) {
      const sport: u32 = reply ? <u32>S_RSPORT : <u32>S_OSPORT;
      proto = parseProto(p + 4, p + len, family, sport, reply ? <u32>S_RDPORT : <u32>S_ODPORT);
      if (proto < 0) return -1;
    } else if (t == 3) {
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

/** CTA_PROTOINFO_TCP_*. Returns false if malformed. */
function parseTcp(start: u32, end: u32): bool {
  let wscale: u32 = 0;
  let flags: u32 = 0;
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return false;
    const t = attrType(p);
    if (t >= 1 && t <= 5) {
      if (len < 5) return false;
      const v: u32 = load<u8>(p, 4);
      if (t == 1) {
        if (v > 9) return false;
        store<u8>(SCRATCH, v, S_L4STATE);
        seen |= HAS_L4;
      } else if (t == 2) wscale |= (v > 14 ? 14 : v) << 4;
      else if (t == 3) wscale |= v > 14 ? 14 : v;
      else if (t == 4) flags |= (v & 15) << 4;
      else flags |= v & 15;
    }
    p = nextAttr(p, len, end);
  }
  store<u8>(SCRATCH, wscale, S_WSCALE);
  store<u8>(SCRATCH, flags, S_TCPFLAGS);
  return true;
}

/** CTA_PROTOINFO_SCTP_*. Returns false if malformed. */
function parseSctp(start: u32, end: u32): bool {
  let got: u32 = 0;
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return false;
    const t = attrType(p);
    if (t == 1) {
      if (len < 5 || load<u8>(p, 4) > 15) return false;
      store<u8>(SCRATCH, load<u8>(p, 4), S_L4STATE);
      seen |= HAS_L4;
    } else if (t == 2 || t == 3) {
      if (len < 8) return false;
      store<u32>(SCRATCH + <u32>S_ID + (t == 2 ? 0 : 4), load<u32>(p, 4));
      got |= t;
    }
    p = nextAttr(p, len, end);
  }
  if (got == 3) setFlags(SCRATCH, F_VTAGS);
  return true;
}

/** CTA_PROTOINFO: the part that belongs to the protocol of the original tuple. */
function parseProtoInfo(start: u32, end: u32, proto: i32): bool {
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return false;
    const t = attrType(p);
    if (t == 1 && proto == IPPROTO_TCP && !parseTcp(p + 4, p + len)) return false;
    if (t == 3 && proto == IPPROTO_SCTP && !parseSctp(p + 4, p + len)) return false;
    p = nextAttr(p, len, end);
  }
  return true;
}

/** The flat attributes. Returns false if the value does not fit. */
function parseFlat(p: u32, len: u32, type: u32): bool {
  if (type == 3 || type == 7 || type == 8) {
    if (len < 8) return false;
    const v = be32(p + 4);
    if (type == 3) {
      store<u16>(SCRATCH, v, S_STATUS);
      seen |= HAS_STATUS;
    } else if (type == 7) store<u32>(SCRATCH, v, S_TIMEOUT);
    else store<u32>(SCRATCH, v, S_MARK);
  } else if (type == 18) {
    if (len < 6) return false;
    store<u16>(SCRATCH, be16(p + 4), S_ZONE);
  } else if (type == 22) {
    return parseLabels(p + 4, len - 4);
  } else if (type == 5) {
    return parseHelp(p + 4, p + len);
  } else if (type == 15 || type == 16) {
    return parseSeqAdj(p + 4, p + len, type == 16);
  }
  return true;
}

/** CTA_LABELS: up to 16 bytes; no label at all is the same as none. */
function parseLabels(at: u32, len: u32): bool {
  if (len > 16) return false;
  memory.copy(XSCRATCH + <u32>XB_LABELS, at, len);
  if (load<u64>(XSCRATCH, XB_LABELS) | load<u64>(XSCRATCH, XB_LABELS + 8)) addToScratch(X_LABELS);
  return true;
}

/** CTA_HELP: the helper's name. What the helper remembers (CTA_HELP_INFO) means nothing elsewhere. */
function parseHelp(start: u32, end: u32): bool {
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return false;
    if (attrType(p) == 1) {
      let n: u32 = 0;
      while (n < len - 4 && load<u8>(p + 4 + n)) n++;
      const number = helperNumber(p + 4, n);
      if (number) {
        store<u32>(XSCRATCH, number, XB_HELPER);
        addToScratch(X_HELPER);
      } else count(C_EXTRA_LOST);
    }
    p = nextAttr(p, len, end);
  }
  return true;
}

/** CTA_SEQ_ADJ_*: position, offset before, offset after of one direction. */
function parseSeqAdj(start: u32, end: u32, reply: bool): bool {
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return false;
    const t = attrType(p);
    if (t >= 1 && t <= 3) {
      if (len < 8) return false;
      store<u32>(seqOf(XSCRATCH) + (reply ? 12 : 0) + ((t - 1) << 2), load<u32>(p, 4));
    }
    p = nextAttr(p, len, end);
  }
  addToScratch(X_SEQ);
  return true;
}

/** Makes the reply tuple of ICMP the answer to the original one and refuses types that are not tracked. */
function settleIcmp(proto: u32): bool {
  const odport: u32 = load<u16>(SCRATCH, S_ODPORT);
  const answer = icmpAnswer(proto, odport >> 8);
  if (answer < 0) return false;
  store<u16>(SCRATCH, (u32(answer) << 8) | (odport & 0xff), S_RDPORT);
  return true;
}

/** Parses the attributes of one conntrack message (after nfgenmsg) into SCRATCH. */
export function parseConntrack(start: u32, end: u32, family: u32): i32 {
  clearImage(SCRATCH);
  seen = 0;
  if (family != AF_INET && family != AF_INET6) return UNSUPPORTED;
  let proto: i32 = -1;
  let replyProto: i32 = -1;
  let infoAt: u32 = 0;
  let infoEnd: u32 = 0;
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return MALFORMED;
    const t = attrType(p);
    if (t == 1) {
      proto = parseTuple(p + 4, p + len, family, false);
      if (proto < 0) return MALFORMED;
      seen |= HAS_ORIG;
    } else if (t == 2) {
      replyProto = parseTuple(p + 4, p + len, family, true);
      if (replyProto < 0) return MALFORMED;
      seen |= HAS_REPLY;
    } else if (t == 4) {
      infoAt = p + 4;
      infoEnd = p + len;
    } else if (!parseFlat(p, len, t)) return MALFORMED;
    p = nextAttr(p, len, end);
  }
  if ((seen & 3) != 3 || proto != replyProto) return MALFORMED;
  store<u8>(SCRATCH, proto, S_PROTO);
  store<u8>(SCRATCH, family, S_FAMILY);
  if (infoAt && !parseProtoInfo(infoAt, infoEnd, proto)) return MALFORMED;
  if (kindOf(proto, family) == KIND_ICMP && !settleIcmp(proto)) return UNSUPPORTED;
  return PARSED;
}
