/**
 * Layout of one state: 144 bytes, 16-byte aligned, key and chain link together in the first 48 bytes so that a look-up
 * touches one or two cache lines. src/sync/table/state-decode.ts reads the same layout.
 *
 *   0 next in hash chain u32 | 4 index hash u32
 *   8 zone u16 | 10 protocol u8 | 11 family u8 (2, 10) | 12 orig sport u16 | 14 orig dport u16
 *  16 orig src 16 B | 32 orig dst 16 B | 48 reply src 16 B | 64 reply dst 16 B (IPv4: first 4 bytes, rest 0)
 *  80 reply sport u16 | 82 reply dport u16 | 84 mark u32
 *  88 status u16 (IPS_*) | 90 TCP or SCTP state u8 | 91 wscale u8 (orig << 4 | reply)
 *  92 TCP flags u8 (orig << 4 | reply) | 93 ownership tag, bits 0 to 2; answers to the peer (answers.ts), bits 3 to 7
 *  94 own flags u16
 *  96 fingerprint 16 B
 * 112 next in dirty queue u32 | 116 next in kernel queue u32
 * 120 pf id u64 - or, with F_VTAGS, the two SCTP tags as they stood in the attributes
 * 128 kept out of the kernel u8 (kernel/accept.ts)
 * 132 timeout u32 (s, as last heard from the kernel) | 136 age u32 (ms, host time)
 * 140 dump generation u8 | 141 bulk generation u8 | 142 touch epoch u16
 *
 * ICMP: sport = id, dport = type << 8 | code. GRE: the two keys. Protocols without ports: 0. Numbers are in host order.
 */

export const STATE_SIZE: u32 = 144;

export const S_HNEXT: usize = 0;
export const S_IHASH: usize = 4;
/** zone, protocol, family and original ports as one word: part of the key. */
export const S_KEYWORD: usize = 8;
export const S_ZONE: usize = 8;
export const S_PROTO: usize = 10;
export const S_FAMILY: usize = 11;
export const S_OSPORT: usize = 12;
export const S_ODPORT: usize = 14;
export const S_OSRC: usize = 16;
export const S_ODST: usize = 32;
export const S_RSRC: usize = 48;
export const S_RDST: usize = 64;
export const S_RPORTS: usize = 80;
export const S_RSPORT: usize = 80;
export const S_RDPORT: usize = 82;
export const S_MARK: usize = 84;
export const S_STATUS: usize = 88;
export const S_L4STATE: usize = 90;
export const S_WSCALE: usize = 91;
export const S_TCPFLAGS: usize = 92;
export const S_TAG: usize = 93;
export const S_FLAGS: usize = 94;
export const S_FP_LO: usize = 96;
export const S_FP_HI: usize = 104;
export const S_DNEXT: usize = 112;
export const S_KNEXT: usize = 116;
export const S_ID: usize = 120;
export const S_KEPTOUT: usize = 128;
export const S_TIMEOUT: usize = 132;
export const S_AGE: usize = 136;
export const S_DUMPGEN: usize = 140;
export const S_BULKGEN: usize = 141;
export const S_TOUCH: usize = 142;

/** The slot holds a state. */
export const F_USED: u32 = 0x0001;
/** Ended, but still needed: a delete is to be sent, or a dump is running that could bring it back. */
export const F_TOMB: u32 = 0x0002;
/** Linked in the dirty queue; F_DWANT says whether the entry still counts. */
export const F_DIRTY: u32 = 0x0004;
export const F_DWANT: u32 = 0x0008;
/** Linked in the kernel queue; F_KWANT says whether the entry still counts. */
export const F_KQ: u32 = 0x0010;
export const F_KWANT: u32 = 0x0020;
/** The kernel operation must be delete + create (NAT changed, or the kernel refused the update). */
export const F_KREC: u32 = 0x0040;
/** The kernel holds the entry, as far as we know. */
export const F_INK: u32 = 0x0080;
/** The kernel's entry is in mirrored mode: liberal window, long timeout. */
export const F_MIRROR: u32 = 0x0100;
/** S_ID holds SCTP verification tags. */
export const F_VTAGS: u32 = 0x0200;
/** The kernel refused the entry. */
export const F_REFUSED: u32 = 0x0400;
/** Delete + create was already tried once for this operation. */
export const F_KRETRY: u32 = 0x0800;
/** Status bits were added since the kernel last heard. */
export const F_KSTAT: u32 = 0x1000;
/** Mark or protocol state changed since the kernel last heard. */
export const F_KCONT: u32 = 0x2000;
/** Which fingerprint key the fingerprint was made with. */
export const F_KEYGEN: u32 = 0x4000;

/** A dump line changed it; if its event follows while the dump is open, the event was only late. */
export const F_DOUBT: u32 = 0x8000;

export const AF_INET: u32 = 2;
export const AF_INET6: u32 = 10;
export const IPPROTO_ICMP: u32 = 1;
export const IPPROTO_TCP: u32 = 6;
export const IPPROTO_UDP: u32 = 17;
export const IPPROTO_DCCP: u32 = 33;
export const IPPROTO_GRE: u32 = 47;
export const IPPROTO_ICMPV6: u32 = 58;
export const IPPROTO_SCTP: u32 = 132;
export const IPPROTO_UDPLITE: u32 = 136;

export const IPS_SEEN_REPLY: u32 = 0x0002;
export const IPS_ASSURED: u32 = 0x0004;
export const IPS_CONFIRMED: u32 = 0x0008;
/** OFFLOAD, HW_OFFLOAD. */
export const IPS_OFFLOADED: u32 = 0xc000;
export const IPS_TEMPLATE: u32 = 0x0800;
export const IPS_UNTRACKED: u32 = 0x1000;
/** The status bits both nodes must agree on. */
export const IPS_SYNCED: u32 = 0x0006;

export const KIND_NONE: u32 = 0;
export const KIND_PORTS: u32 = 1;
export const KIND_ICMP: u32 = 2;

/** What the port fields of a tuple mean for this protocol. */
export function kindOf(proto: u32, family: u32): u32 {
  switch (proto) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
    case IPPROTO_GRE:
      return KIND_PORTS;
    case IPPROTO_ICMP:
      return family == AF_INET ? KIND_ICMP : KIND_NONE;
    case IPPROTO_ICMPV6:
      return family == AF_INET6 ? KIND_ICMP : KIND_NONE;
    default:
      return KIND_NONE;
  }
}

/**
 * The type of the answer to an ICMP or ICMPv6 request, or -1 for a type conntrack does not track.
 * Source: the kernel's invmap tables (echo, timestamp, information, address mask; echo and node information for v6).
 */
export function icmpAnswer(proto: u32, type: u32): i32 {
  if (proto == IPPROTO_ICMP) {
    switch (type) {
      case 8:
        return 0;
      case 0:
        return 8;
      case 13:
        return 14;
      case 14:
        return 13;
      case 15:
        return 16;
      case 16:
        return 15;
      case 17:
        return 18;
      case 18:
        return 17;
      default:
        return -1;
    }
  }
  switch (type) {
    case 128:
      return 129;
    case 129:
      return 128;
    case 139:
      return 140;
    case 140:
      return 139;
    default:
      return -1;
  }
}

export function flagsOf(r: u32): u32 {
  return load<u16>(r, S_FLAGS);
}

export function setFlags(r: u32, flags: u32): void {
  store<u16>(r, flags, S_FLAGS);
}

/** Bit of S_TAG: an answer to the peer is owed (answers.ts). */
export const ANSWER_OWED: u32 = 0x80;

/** The kernel lacks the entry of this live state, and should have it. */
export function isMissing(r: u32): bool {
  return !(flagsOf(r) & F_INK) && !load<u8>(r, S_KEPTOUT);
}

/** The ownership tag; the bits above it are those of answers.ts. */
export function tagOf(r: u32): u32 {
  return load<u8>(r, S_TAG) & 7;
}

export function setTag(r: u32, tag: u32): void {
  store<u8>(r, (load<u8>(r, S_TAG) & 0xf8) | tag, S_TAG);
}

/** A live state: used and not a tombstone. */
export function isLive(flags: u32): bool {
  return (flags & (F_USED | F_TOMB)) == F_USED;
}
