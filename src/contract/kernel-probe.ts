/**
 * What `carpio check` asks of the kernel by trying it, because reading /proc does not tell. The implementation needs
 * native code and lives with the rest of it; each probe leaves nothing behind.
 */

/** What was tried on the sync link without a running node. */
export interface PathFacts {
  /** Of the sizes tried the largest that came back; `null`: nothing came back. */
  largest: number | null;
  rtt_ms: number | null;
  /** Why it could not be tried. */
  failed: string | null;
}

export interface ProbeResult {
  ok: boolean;
  /** What was tried and what came of it, in a few words: `opened`, `refused: EPERM`. */
  found: string;
  /** How to mend it; `null` when it works or nobody knows. */
  mend: string | null;
}

/** A chain that drops what the nodes send each other. */
export interface RuleDrop {
  /** `inet filter` */
  table: string;
  chain: string;
  /** What it drops: `adverts (protocol 112)`. */
  what: string;
  /** `policy drop`, or `a rule`. */
  by: string;
}

/** None of these throws or rejects; a probe that cannot run says so in `found`. */
export interface KernelProbe {
  /** A netlink socket to connection tracking that can list, write and hear events. */
  conntrackNetlink(): Promise<ProbeResult>;
  /** nftables: a rule with connection tracking and NAT passes the kernel's check. */
  nft(): Promise<ProbeResult>;
  /** A macvlan can be made (and is removed again). */
  macvlan(): Promise<ProbeResult>;
  /**
   * The gate of a virtual host: nftables on a device's way in and out, sets whose elements end, a loopback that is
   * up.
   */
  gate(): Promise<ProbeResult>;
  /** A raw socket for protocol 112. */
  rawSocket(): Promise<ProbeResult>;
  /** What size of packets comes back from the peer over the sync link, with nobody cutting them. IPv4 only. */
  syncPath(device: string, peer: string, mtu: number): Promise<PathFacts>;
  /** Chains of any program that drop adverts, sync packets or packets of these peers; left out: cannot be told. */
  drops?(peers: readonly string[]): Promise<RuleDrop[]>;
}
