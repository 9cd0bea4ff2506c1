/** ctnetlink's attributes by their kernel names (uapi/linux/netfilter/nfnetlink_conntrack.h). */

export const CTA_TUPLE_ORIG: u32 = 1;
export const CTA_TUPLE_REPLY: u32 = 2;
export const CTA_STATUS: u32 = 3;
export const CTA_PROTOINFO: u32 = 4;
export const CTA_HELP: u32 = 5;
export const CTA_NAT_SRC: u32 = 6;
export const CTA_TIMEOUT: u32 = 7;
export const CTA_MARK: u32 = 8;
export const CTA_NAT_DST: u32 = 13;
export const CTA_SEQ_ADJ_ORIG: u32 = 15;
export const CTA_SEQ_ADJ_REPLY: u32 = 16;
export const CTA_ZONE: u32 = 18;
export const CTA_LABELS: u32 = 22;

export const CTA_TUPLE_IP: u32 = 1;
export const CTA_TUPLE_PROTO: u32 = 2;
export const CTA_TUPLE_ZONE: u32 = 3;

export const CTA_IP_V4_SRC: u32 = 1;
export const CTA_IP_V4_DST: u32 = 2;
export const CTA_IP_V6_SRC: u32 = 3;
export const CTA_IP_V6_DST: u32 = 4;

export const CTA_PROTO_NUM: u32 = 1;
export const CTA_PROTO_SRC_PORT: u32 = 2;
export const CTA_PROTO_DST_PORT: u32 = 3;
/** Followed by type and code; the three of ICMPv6 stand in the same order. */
export const CTA_PROTO_ICMP_ID: u32 = 4;
export const CTA_PROTO_ICMP_TYPE: u32 = 5;
export const CTA_PROTO_ICMP_CODE: u32 = 6;
export const CTA_PROTO_ICMPV6_ID: u32 = 7;
export const CTA_PROTO_ICMPV6_TYPE: u32 = 8;
export const CTA_PROTO_ICMPV6_CODE: u32 = 9;

export const CTA_PROTOINFO_TCP: u32 = 1;
export const CTA_PROTOINFO_SCTP: u32 = 3;

export const CTA_PROTOINFO_TCP_STATE: u32 = 1;
export const CTA_PROTOINFO_TCP_WSCALE_ORIGINAL: u32 = 2;
export const CTA_PROTOINFO_TCP_WSCALE_REPLY: u32 = 3;
export const CTA_PROTOINFO_TCP_FLAGS_ORIGINAL: u32 = 4;
export const CTA_PROTOINFO_TCP_FLAGS_REPLY: u32 = 5;

export const CTA_PROTOINFO_SCTP_STATE: u32 = 1;
export const CTA_PROTOINFO_SCTP_VTAG_ORIGINAL: u32 = 2;
export const CTA_PROTOINFO_SCTP_VTAG_REPLY: u32 = 3;

export const CTA_NAT_V4_MINIP: u32 = 1;
export const CTA_NAT_V4_MAXIP: u32 = 2;
export const CTA_NAT_PROTO: u32 = 3;
export const CTA_NAT_V6_MINIP: u32 = 4;
export const CTA_NAT_V6_MAXIP: u32 = 5;
export const CTA_PROTONAT_PORT_MIN: u32 = 1;
export const CTA_PROTONAT_PORT_MAX: u32 = 2;

export const CTA_HELP_NAME: u32 = 1;
/** Followed by the offsets before and after that position. */
export const CTA_SEQADJ_CORRECTION_POS: u32 = 1;
