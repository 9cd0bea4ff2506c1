/**
 * The shape of `carpio status --json`, of the feed's snapshot and of every event: the contract that screens, tests
 * and other people's tools rely on. Adding a field is free; a value that is not known is `null`, never a guess.
 */

import type { Trouble } from './trouble.ts';
import type { CarpState, NodeRole } from './values.ts';

/** One named reason of the demotion sum (weights are clamped on the wire, not here). */
export interface DemotionReason {
  reason: string;
  weight: number;
}

export interface VipStatus {
  vhid: number;
  interface: string;
  device: string;
  addresses: string[];
  state: CarpState;
  /** ISO time of the last role change. */
  since: string;
  reason: string;
  advbase: number;
  advskew: number;
  effective_advskew: number;
  mac: string;
  /** Longest silence of the master, in ms, before this node takes over. */
  takeover_ms: number;
  heard: { from: string; advbase: number; advskew: number; ms_ago: number } | null;
  /** What lets its packets pass (docs/carp.md, The gate). Left out by an older version. */
  gate?: GateStatus;
}

export interface GateStatus {
  /** `waits`: this node is MASTER, and the gate of the peer has still to close. */
  state: 'open' | 'waits' | 'closed';
  /** ISO time. */
  since: string;
  why: string;
}

interface PeerStatus {
  node: string | null;
  address: string | null;
  alive: boolean;
  heard_ms_ago: number | null;
  role: NodeRole | null;
}

export interface SyncStatus {
  dialect: string;
  sealed: boolean;
  peer: PeerStatus;
  /** `kernel`: how many of the mirrored states the kernel holds, plus the own ones. */
  states: { total: number; own: number; mirrored: number; kernel: number };
  /** `null`: not known (no peer, or nothing compared yet). */
  in_step: boolean | null;
  /** Why not in step, or why it is not known; `null` while in step. */
  in_step_reason: string | null;
  /** What the two nodes' pair keys differ by, while one of them is being changed; `null`: they do not. */
  key_reason?: string | null;
  checked_ms_ago: number | null;
  digest: string | null;
  lag_ms: number | null;
  /** Datagrams. */
  sent: number;
  received: number;
  sent_bytes: number;
  received_bytes: number;
  repairs: number;
  repair_bytes: number;
  overruns: number;
  /** Refused input by cause. */
  refused: Record<string, number>;
  /**
   * Slices of background work by how long they kept the loop: counts up to each bound in ms and beyond, and their sum.
   */
  slices?: { bounds_ms: readonly number[]; counts: number[]; sum_ms: number };
}

/** The channel to the peer over which configuration and questions travel. */
export interface PeerChannelStatus {
  state: 'open' | 'dialling' | 'waiting';
  /** Why it is not open; `null` while it is. */
  reason: string | null;
  /** Who is at the other end. */
  node: string | null;
  version: string | null;
  /** ISO time of the last change. */
  since: string | null;
  /** This node's own address of it. */
  address: string | null;
  port: number;
  peer_address: string | null;
  listening: boolean;
  seal: string | null;
  connects: number;
  /** Messages. */
  sent: number;
  received: number;
  sent_bytes: number;
  received_bytes: number;
  calls: number;
  answered: number;
  served: number;
  refused_calls: number;
  late_answers: number;
  /** Refused input by cause. */
  refused: Record<string, number>;
}

/** Whether both nodes have the same shared configuration, and whether the kernels hold it. */
export interface ReplicateStatus {
  /** The node whose shared configuration is the pair's. */
  from: string;
  role: 'source' | 'replica';
  /** The source pushes by itself. */
  auto: boolean;
  /** `null`: not known (no channel, nothing asked yet). */
  same: boolean | null;
  /** Why not the same, or why it is not known; `null` while it is. */
  reason: string | null;
  hash: string;
  peer_hash: string | null;
  checked_ms_ago: number | null;
  /** A push is under way or waits for its confirmation. */
  pending: boolean;
  /** The differing keys, as lines. */
  differs: string[];
  /** What this node's kernel holds that its configuration does not say, as lines. */
  drift: string[];
  /** ISO time. */
  drift_since: string | null;
  peer_drift: string[];
  /** Keys of the source that the replica's version does not know: kept, and without effect. */
  unknown: string[];
  /** Keys that the source's version does not share. */
  unshared: string[];
  /** Replica: where its own file says something else than what is in force. */
  own_file: string[];
  /** Source: the last push since the start. */
  last: { time: string; done: boolean; reason: string; changes: number; ms: number } | null;
}

export interface NodeStatus {
  node: string;
  version: string;
  time: string;
  uptime_s: number;
  role: NodeRole;
  carp: {
    preempt: boolean;
    maintenance: boolean;
    demotion: { total: number; reasons: DemotionReason[] };
    vips: VipStatus[];
    /** Packets, by the BSD names of the counters (ipackets, badauth …). */
    counters: Record<string, number>;
  };
  /** What is wrong now, worst first; left out by versions that do not tell. */
  trouble?: Trouble[];
  /** `null` when the configuration has no [sync] section. */
  sync: SyncStatus | null;
  /** `null` without a pair key; left out by versions that have no channel. */
  channel?: PeerChannelStatus | null;
  /** `null` without [replicate] or without a channel. */
  replicate?: ReplicateStatus | null;
}
