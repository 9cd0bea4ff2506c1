/** The kernel's usual timeouts, for states that change from mirrored to normal. */

const TCP = 'nf_conntrack_tcp_timeout_';
const SCTP = 'nf_conntrack_sctp_timeout_';
/**
 * The module's table of normal timeouts, seconds: which sysctl (under /proc/sys/net/netfilter) each place is filled
 * from, and the kernel's default where it does not exist. Order as in asm/kernel/timeouts.ts.
 */
export const TIMEOUT_SYSCTLS: readonly { name: string; fallback: number }[] = [
  { name: `${TCP}established`, fallback: 432000 },
  { name: `${TCP}syn_sent`, fallback: 120 },
  { name: `${TCP}syn_recv`, fallback: 60 },
  { name: `${TCP}established`, fallback: 432000 },
  { name: `${TCP}fin_wait`, fallback: 120 },
  { name: `${TCP}close_wait`, fallback: 60 },
  { name: `${TCP}last_ack`, fallback: 30 },
  { name: `${TCP}time_wait`, fallback: 120 },
  { name: `${TCP}close`, fallback: 10 },
  { name: `${TCP}syn_sent`, fallback: 120 },
  { name: 'nf_conntrack_udp_timeout', fallback: 30 },
  { name: 'nf_conntrack_udp_timeout_stream', fallback: 120 },
  { name: 'nf_conntrack_udp_timeout', fallback: 30 },
  { name: 'nf_conntrack_udp_timeout_stream', fallback: 120 },
  { name: 'nf_conntrack_icmp_timeout', fallback: 30 },
  { name: 'nf_conntrack_icmpv6_timeout', fallback: 30 },
  { name: 'nf_conntrack_gre_timeout', fallback: 30 },
  { name: 'nf_conntrack_gre_timeout_stream', fallback: 180 },
  { name: `${SCTP}closed`, fallback: 10 },
  { name: `${SCTP}closed`, fallback: 10 },
  { name: `${SCTP}cookie_wait`, fallback: 3 },
  { name: `${SCTP}cookie_echoed`, fallback: 3 },
  { name: `${SCTP}established`, fallback: 210 },
  { name: `${SCTP}shutdown_sent`, fallback: 3 },
  { name: `${SCTP}shutdown_recd`, fallback: 3 },
  { name: `${SCTP}shutdown_ack_sent`, fallback: 3 },
  { name: `${SCTP}heartbeat_sent`, fallback: 30 },
  { name: 'nf_conntrack_dccp_timeout_open', fallback: 240 },
  { name: 'nf_conntrack_generic_timeout', fallback: 600 },
];
