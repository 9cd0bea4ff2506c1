/**
 * Reads conntrack messages (NETLINK_NETFILTER, subsystem 1) into the SCRATCH image. Every length is checked against
 * what is left before a byte is read; what does not fit is malformed, never a trap. Attribute numbers: mapping.md
 * section 2 (uapi nfnetlink_conntrack.h). Integers in attributes are big endian, headers are in host order.
 */

import { clearImage } from '../state/content';
import { addToScratch, helperNumber, seqOf, X_HELPER, X_LABELS, X_SEQ, XB_HELPER, XB_LABELS } from '../state/extra';
import {
  AF_INET,
  AF_INET6,
  F_VTAGS,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  icmpAnswer,
  KIND_ICMP,
  kindOf,
  S_FAMILY,
  S_ID,
  S_L4STATE,
  S_MARK,
  S_ODPORT,
  S_PROTO,
  S_RDPORT,
  S_STATUS,
  S_TCPFLAGS,
  S_TIMEOUT,
  S_WSCALE,
  S_ZONE,
  setFlags,
} from '../state/layout';
import { C_EXTRA_LOST, count, SCRATCH, XSCRATCH } from '../state/memory';
import {
  CTA_HELP,
  CTA_HELP_NAME,
  CTA_LABELS,
  CTA_MARK,
  CTA_PROTOINFO,
  CTA_PROTOINFO_SCTP,
  CTA_PROTOINFO_SCTP_STATE,
  CTA_PROTOINFO_SCTP_VTAG_ORIGINAL,
  CTA_PROTOINFO_SCTP_VTAG_REPLY,
  CTA_PROTOINFO_TCP,
  CTA_PROTOINFO_TCP_FLAGS_ORIGINAL,
  CTA_PROTOINFO_TCP_FLAGS_REPLY,
  CTA_PROTOINFO_TCP_STATE,
  CTA_PROTOINFO_TCP_WSCALE_ORIGINAL,
  CTA_PROTOINFO_TCP_WSCALE_REPLY,
  CTA_SEQ_ADJ_ORIG,
  CTA_SEQ_ADJ_REPLY,
  CTA_STATUS,
  CTA_TIMEOUT,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
} from './attributes';
import { attrLen, attrType, be16, be32, nextAttr } from './nlget';
import { parseTuple } from './parse-tuple';

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

/** CTA_PROTOINFO_TCP_*. Returns false if malformed. */
function parseTcp(start: u32, end: u32): bool {
  let wscale: u32 = 0;
  let flags: u32 = 0;
  let p = start;
  while (end - p >= 4) {
    const len = attrLen(p, end);
    if (!len) return false;
    const t = attrType(p);
    if (t >= CTA_PROTOINFO_TCP_STATE && t <= CTA_PROTOINFO_TCP_FLAGS_REPLY) {
      if (len < 5) return false;
      const v: u32 = load<u8>(p, 4);
      if (t == CTA_PROTOINFO_TCP_STATE) {
        if (v > 9) return false;
        store<u8>(SCRATCH, v, S_L4STATE);
        seen |= HAS_L4;
      } else if (t == CTA_PROTOINFO_TCP_WSCALE_ORIGINAL) wscale |= (v > 14 ? 14 : v) << 4;
      else if (t == CTA_PROTOINFO_TCP_WSCALE_REPLY) wscale |= v > 14 ? 14 : v;
      else if (t == CTA_PROTOINFO_TCP_FLAGS_ORIGINAL) flags |= (v & 15) << 4;
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
    if (t == CTA_PROTOINFO_SCTP_STATE) {
      if (len < 5 || load<u8>(p, 4) > 15) return false;
      store<u8>(SCRATCH, load<u8>(p, 4), S_L4STATE);
      seen |= HAS_L4;
    } else if (t == CTA_PROTOINFO_SCTP_VTAG_ORIGINAL || t == CTA_PROTOINFO_SCTP_VTAG_REPLY) {
      if (len < 8) return false;
      store<u32>(SCRATCH + <u32>S_ID + (t == CTA_PROTOINFO_SCTP_VTAG_ORIGINAL ? 0 : 4), load<u32>(p, 4));
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
    if (t == CTA_PROTOINFO_TCP && proto == IPPROTO_TCP && !parseTcp(p + 4, p + len)) return false;
    if (t == CTA_PROTOINFO_SCTP && proto == IPPROTO_SCTP && !parseSctp(p + 4, p + len)) return false;
    p = nextAttr(p, len, end);
  }
  return true;
}

/** The flat attributes. Returns false if the value does not fit. */
function parseFlat(p: u32, len: u32, type: u32): bool {
  if (type == CTA_STATUS || type == CTA_TIMEOUT || type == CTA_MARK) {
    if (len < 8) return false;
    const v = be32(p + 4);
    if (type == CTA_STATUS) {
      store<u16>(SCRATCH, v, S_STATUS);
      seen |= HAS_STATUS;
    } else if (type == CTA_TIMEOUT) store<u32>(SCRATCH, v, S_TIMEOUT);
    else store<u32>(SCRATCH, v, S_MARK);
  } else if (type == CTA_ZONE) {
    if (len < 6) return false;
    store<u16>(SCRATCH, be16(p + 4), S_ZONE);
  } else if (type == CTA_LABELS) {
    return parseLabels(p + 4, len - 4);
  } else if (type == CTA_HELP) {
    return parseHelp(p + 4, p + len);
  } else if (type == CTA_SEQ_ADJ_ORIG || type == CTA_SEQ_ADJ_REPLY) {
    return parseSeqAdj(p + 4, p + len, type == CTA_SEQ_ADJ_REPLY);
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
    if (attrType(p) == CTA_HELP_NAME) {
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
    if (t == CTA_TUPLE_ORIG) {
      proto = parseTuple(p + 4, p + len, family, false);
      if (proto < 0) return MALFORMED;
      seen |= HAS_ORIG;
    } else if (t == CTA_TUPLE_REPLY) {
      replyProto = parseTuple(p + 4, p + len, family, true);
      if (replyProto < 0) return MALFORMED;
      seen |= HAS_REPLY;
    } else if (t == CTA_PROTOINFO) {
      infoAt = p + 4;
      infoEnd = p + len;
    } else if (!parseFlat(p, len, t)) return MALFORMED;
    p = nextAttr(p, len, end);
  }
  if ((seen & (HAS_ORIG | HAS_REPLY)) != (HAS_ORIG | HAS_REPLY) || proto != replyProto) return MALFORMED;
  store<u8>(SCRATCH, proto, S_PROTO);
  store<u8>(SCRATCH, family, S_FAMILY);
  if (infoAt && !parseProtoInfo(infoAt, infoEnd, proto)) return MALFORMED;
  if (kindOf(proto, family) == KIND_ICMP && !settleIcmp(proto)) return UNSUPPORTED;
  return PARSED;
}
