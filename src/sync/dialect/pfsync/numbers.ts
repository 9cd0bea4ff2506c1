/** Numbers of pf, of conntrack and of IP that the mapping needs (docs/protocol/mapping.md sections 3 and 8). Pure. */
import type { PfDialect } from './codec.ts';

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const ICMPV6 = 58;
export const SCTP = 132;
/** Protocols whose ports conntrack keeps; GRE's keys stand in their place, and pf has none. */
const WITH_PORTS: ReadonlySet<number> = new Set([TCP, UDP, 33, 47, SCTP, 136]);

export const hasPorts = (proto: number): boolean => WITH_PORTS.has(proto);
export const isIcmp = (proto: number): boolean => proto === ICMP || proto === ICMPV6;

export const AF_INET = 2;
/** AF_INET6 by the sender's system. */
export const inet6Of = (dialect: PfDialect): number => (dialect === 'openbsd' ? 24 : 28);

/** PF_IN and PF_OUT of net/pfvar.h. */
export const IN = 1;
export const OUT = 2;

/** States of one side (netinet/tcp_fsm.h as pf uses them, net/pfvar.h). */
export const SIDE = { closed: 0, synSent: 2, established: 4, closing: 7, finWait2: 9, timeWait: 10, proxySrc: 11 };

/** PFSTATE_SLOPPY of net/pfvar.h: the sequence window is not looked at. */
export const SLOPPY = 0x0002;

/** PFTM_*: indices of timeouts. */
export const TIMEOUT = {
  tcpFirst: 0,
  tcpOpening: 1,
  tcpEstablished: 2,
  tcpClosing: 3,
  tcpFinWait: 4,
  tcpClosed: 5,
  udpFirst: 6,
  udpSingle: 7,
  udpMultiple: 8,
  icmpFirst: 9,
  icmpError: 10,
  otherFirst: 11,
  otherSingle: 12,
  otherMultiple: 13,
} as const;

/** pf's defaults by index, seconds; those between 14 and 19 belong to no state. */
const SECONDS = [120, 30, 86_400, 900, 45, 90, 60, 30, 60, 20, 10, 60, 30, 60, 60, 60, 60, 60, 60, 60];
/** sctp.first to sctp.closed (FreeBSD 14 and later). */
const SCTP_SECONDS = [120, 30, 86_400, 900, 90];

/** How long a state with this index lives without a packet, seconds. */
export function secondsOf(timeout: number): number {
  return SECONDS[timeout] ?? SCTP_SECONDS[timeout - SECONDS.length] ?? 60;
}

/** Conntrack's TCP states (nf_conntrack_tcp.h). */
export const CT = {
  none: 0,
  synSent: 1,
  synRecv: 2,
  established: 3,
  finWait: 4,
  closeWait: 5,
  lastAck: 6,
  timeWait: 7,
  close: 8,
  synSent2: 9,
} as const;

/** Flags of a direction: IP_CT_TCP_FLAG_WINDOW_SCALE, IP_CT_TCP_FLAG_CLOSE_INIT. */
export const WINDOW_SCALE = 1;
export const CLOSE_INIT = 4;

/** Types of ICMP and ICMPv6 requests that conntrack follows. */
const REQUESTS: Readonly<Record<number, ReadonlySet<number>>> = {
  [ICMP]: new Set([8, 13, 15, 17]),
  [ICMPV6]: new Set([128, 139]),
};

/**
 * The type of the request: OpenBSD and newer FreeBSD write it in the other side's port place. Older FreeBSD has the
 * identifier in both places, and follows echo requests only.
 */
export function icmpType(proto: number, place: number): number {
  if (REQUESTS[proto]?.has(place) === true) return place;
  return proto === ICMP ? 8 : 128;
}
