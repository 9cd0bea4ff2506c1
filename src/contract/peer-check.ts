/**
 * What the control request `peer-check` answers: each side's own measurements, and what only the two together can tell.
 */

/** What one node measures and says of itself. A value that is not known is `null`. */
export interface SideCheck {
  node: string;
  version: string;
  /** By role: has the other node answered a probe that this node sent to CARP's multicast group there? */
  multicast: Record<string, boolean | null>;
  /** Packets from this node to the other over the sync link. */
  mtu: { configured: number; largest: number | null };
  /** The other node is heard on the sync link (protocol 240). */
  sync_heard: boolean;
  /** Digests of the parts that must be the same on both: `vip`, `rules`, `policy`. */
  shared: Record<string, string>;
}

export interface PeerCheck {
  own: SideCheck;
  /** `null`: it could not be asked, and `reason` says why. */
  peer: SideCheck | null;
  reason: string | null;
  /** By how much the peer's clock is ahead, ms, and the round trip that bounds the error. */
  clock: { ahead_ms: number; rtt_ms: number } | null;
  /** By vhid and interface, `1 on wan`; null: only one of the two has that vhid. */
  passwords: Record<string, boolean | null>;
}
