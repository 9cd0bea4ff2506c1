/**
 * Every event that a part of the node reports: one member of a union for each kind. An event carries a typed `cause`
 * where it has one; `words.ts` adds the words (`reason`, `text`) before the event leaves the node.
 */

import type {
  AnnounceCause,
  DemotionRefused,
  DeniedCause,
  HandOverCause,
  LostAdvertsCause,
  ProbeCause,
  RivalEnd,
  RoleCause,
  Standing,
} from './causes.ts';
import type { SyncNotice } from './sync-notice.ts';
import type { CarpState, Json } from './values.ts';
import type { VhidKey } from './vhid-key.ts';

/** Which vhid an event of the election is about. */
export interface Place {
  key: VhidKey;
  vhid: number;
  interface: string;
}

type LostAdverts<W extends LostAdvertsCause['why']> = Extract<LostAdvertsCause, { why: W }>;
type Probe<W extends ProbeCause['why']> = Extract<ProbeCause, { why: W }>;

/** What the diagnosis of a segment can find; the sentences are in liveness/diagnose.ts. */
export type DiagnosisName =
  | 'password'
  | 'address_list'
  | 'foreign_user'
  | 'own_packets'
  | 'duplicate_address'
  | 'virtual_mac'
  | 'missing_vhid';

/** The election and the hosts of its segments. */
export type CarpEvent =
  | { kind: 'carp.state'; vhid: number; interface: string; from: CarpState; to: CarpState; cause: RoleCause }
  /** `reason` is the demotion's name; `weight` null: it was taken away. */
  | { kind: 'carp.demotion'; reason: string; weight: number | null; total: number; reasons: Record<string, number> }
  | { kind: 'carp.maintenance'; on: boolean; done: boolean; cause: HandOverCause }
  /** A packet, by the BSD name of its counter; `cause` only where the counter does not say all. */
  | {
      kind: 'carp.refused';
      counter: string;
      interface: string;
      vhid: number | null;
      from: string | null;
      cause?: DeniedCause;
    }
  /** A command. */
  | { kind: 'carp.refused'; counter?: undefined; cause: DemotionRefused }
  | {
      kind: 'carp.link';
      interface: string;
      present: boolean;
      up: boolean;
      usable: boolean;
      flaps: number;
      hold_ms: number;
    }
  | ({ kind: 'carp.multicast_lost'; cause: LostAdverts<'silent_but_master' | 'both_master'> } & Place)
  | ({ kind: 'carp.multicast_back'; from: string } & Place)
  | ({ kind: 'carp.family_silent'; family: 4 | 6; cause: LostAdverts<'one_family'> } & Place)
  | ({
      kind: 'carp.dual_master';
      from: string;
      for_ms: number;
      own: { advbase: number; advskew: number };
      heard: Standing;
      cause: LostAdverts<'deaf_rival'>;
    } & Place)
  | ({ kind: 'carp.dual_master_healed'; from: string; cause: RivalEnd } & Place)
  | ({ kind: 'carp.announced'; cause: AnnounceCause } & Place)
  | { kind: 'carp.stall'; slept_ms: number }
  /** The peer proves its adverts, or does not any more. */
  | { kind: 'carp.proof'; on: boolean }
  | { kind: 'carp.diagnosis'; vhid: number; interface: string; what: DiagnosisName; over: boolean; reason: string };

/** Is the peer alive, and the authenticated channel to it. */
export type PeerEvent =
  | { kind: 'peer.dead'; cause: Probe<'peer_dead'> }
  | { kind: 'peer.undecided'; cause: Probe<'no_path'> }
  | { kind: 'sync.link_down_peer_alive'; path: string; cause: Probe<'peer_lives'> }
  | { kind: 'peer.channel'; up: true; node: string; version: string }
  | { kind: 'peer.channel'; up: false; reason: string }
  /** `cause` is the name of a counter. */
  | { kind: 'peer.refused'; cause: string; from: string; reason: string };

/** The session with the peer and the states. */
type SyncNodeEvent = SyncNotice | { kind: 'sync.in_step'; in_step: boolean | null; reason: string | null };

export type ReplicateEvent =
  | { kind: 'replicate.applied'; from: string | null; hash: string; unknown: string[] }
  | { kind: 'replicate.rolled_back'; reason: string }
  | { kind: 'replicate.refused'; why: 'automatic' | 'asked'; reason: string }
  | { kind: 'replicate.pushed'; why: 'automatic' | 'asked'; changes: number; ms: number; reason: string }
  | {
      kind: 'replicate.drift';
      where: 'here' | 'peer';
      node: string;
      over: boolean;
      lines: string[];
      reason: string;
    }
  | { kind: 'replicate.same'; same: boolean; reason: string | null; lines: string[] };

/** Tables of nftables that this node has made: `inet carpio`. */
export type FirewallEvent =
  /** Another program has removed or changed them. */
  | { kind: 'firewall.lost'; tables: string[] }
  | { kind: 'firewall.back'; tables: string[]; ms: number }
  /** A kernel setting that another program has changed; `error` null: it is `value` again. */
  | { kind: 'firewall.setting'; name: string; found: string; value: string; error: string | null }
  | { kind: 'firewall.failed'; tables: string[]; reason: string };

type LifeEvent =
  | { kind: 'node.start'; version: string }
  | { kind: 'node.reload' }
  | { kind: 'node.stop'; clean: boolean; cause: HandOverCause; demotion: number };

export type NodeEvent = CarpEvent | PeerEvent | SyncNodeEvent | ReplicateEvent | FirewallEvent | LifeEvent;

/**
 * An event as it leaves the node (feed, hook, JSON log): its fields, the words of its cause as `reason`, and one
 * sentence as `text`. The type is open, because a reader may be of another version and meets kinds that it does not
 * know.
 */
export interface ToldEvent {
  kind: string;
  text?: string;
  [field: string]: Json | undefined;
}
