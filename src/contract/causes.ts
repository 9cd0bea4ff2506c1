/**
 * Why something happened: one typed cause with its figures. Causes steer and are recorded; `words.ts` makes the
 * sentence that a person reads. Plain JSON, because causes travel in events and in recordings; so the figures' names
 * are those of the JSON. Free text stands in a cause only when the kernel or a user wrote it.
 */

import type { CarpState } from './values.ts';

/** One side of a comparison of advertisements, as it stands on the wire: demotion included. */
export interface Standing {
  advbase: number;
  advskew: number;
  demote: number;
}

/** What decided between two standings. */
export type Decided = 'demotion' | 'timers' | 'tie' | 'slow';

/** The first sign that the peer may be dead. */
export type Suspicion =
  | { why: 'carrier_lost' }
  | { why: 'channel_ended' }
  | { why: 'no_sign'; silent_ms: number }
  /** The sync link is silent, but the peer was not silent on other ways. */
  | { why: 'sync_link_silent' };

/** What came of asking the peer on every path. */
export type ProbeCause =
  | { why: 'peer_dead'; first: Suspicion; paths: string[]; asked_ms: number }
  | { why: 'peer_lives'; first: Suspicion; path: string; sign: 'advert' | 'answer' }
  | { why: 'no_path'; first: Suspicion };

export type PeerDead = Extract<ProbeCause, { why: 'peer_dead' }>;

/** Why a vhid has its role. */
export type RoleCause =
  | { why: 'not_started' }
  | { why: 'listening' }
  | { why: 'by_hand' }
  /** The master has not advertised for this long. */
  | { why: 'silence'; silent_ms: number }
  | { why: 'better_advert'; from: string; by: Decided; own: Standing; heard: Standing }
  /** `together`: another vhid took the lead, and all of a node move together. */
  | { why: 'worse_advert'; from: string; by: Decided; own: Standing; heard: Standing; together: boolean }
  /** The other one sends the same timers and does not step down: it cannot hear this node. */
  | { why: 'equal_adverts'; from: string }
  | { why: 'bow_out'; from: string }
  | { why: 'peer_link_down'; interface: string }
  | { why: 'peer_gave_up' }
  | { why: 'peer_stops' }
  | { why: 'peer_not_master' }
  | { why: 'peer_better_master' }
  | PeerDead
  /** `limit_ms` null: shorter than the master-down time, but the peer follows sooner. */
  | { why: 'slept'; slept_ms: number; limit_ms: number | null }
  | { why: 'allow_off' }
  | { why: 'no_address' }
  | { why: 'link'; interface: string; is: 'unknown' | 'gone' | 'down' | 'returning' }
  /** An address or a virtual device is missing; `fault` says which. */
  | { why: 'address_fault'; fault: string }
  | { why: 'removed' }
  /** `left`: the vhids that nobody took over. */
  | { why: 'stopped'; left: Left[] };

/** Why nobody has taken a vhid over, as far as this node can tell. */
export type LeftWhy =
  | { why: 'nobody_heard' }
  | { why: 'worse_rival'; from: string }
  | { why: 'peer_link_down' }
  | { why: 'peer_stops' }
  | { why: 'peer_lacks_vhid' }
  | { why: 'peer_in_init' }
  | { why: 'peer_demoted'; demotion: number }
  | { why: 'peer_not_in_step' }
  | { why: 'peer_did_not'; state: CarpState };

export interface Left {
  vhid: number;
  interface: string;
  because: LeftWhy;
}

/** How a hand-over ended: maintenance and stop. */
export type HandOverCause =
  | { why: 'switched_off' }
  | { why: 'master_of_nothing' }
  | { why: 'nobody_took'; left: Left[] }
  | { why: 'told_twice' };

/** Why the addresses are announced. */
export type AnnounceCause =
  | RoleCause
  | { why: 'rival'; from: string }
  | { why: 'again' }
  | { why: 'split_healed'; from: string }
  | { why: 'peer_let_go' };

/** What ended a second master. */
export type RivalEnd = RoleCause | { why: 'rival_silent'; from: string };

/** Adverts do not arrive as they should. */
export type LostAdvertsCause =
  | { why: 'silent_but_master'; silent_ms: number; interface: string }
  | { why: 'both_master'; own: Standing; heard: Standing; interface: string }
  | { why: 'one_family'; heard: 4 | 6; silent: 4 | 6; interface: string }
  | { why: 'deaf_rival'; from: string; interface: string };

/** Why the peer's word on the sync link is held against an advert that has its address. */
export type DeniedCause =
  | { why: 'denied_bow_out'; is: CarpState }
  | { why: 'denied_role'; is: CarpState }
  | { why: 'denied_timers'; heard: Standing; said: Standing }
  /** The peer proves its adverts, and this one proves nothing. */
  | { why: 'unproven' }
  /** From a host that `[carp] peers_only` does not name. */
  | { why: 'stranger' };

/** Why a demotion from outside was refused. */
export type DemotionRefused =
  | { why: 'name_length' }
  | { why: 'own_reason'; reason: string }
  | { why: 'no_such_reason'; reason: string }
  | { why: 'bad_weight'; weight: number; most: number }
  | { why: 'too_many'; most: number };

/** Every cause that an event may carry. */
export type Cause =
  | RoleCause
  | ProbeCause
  | HandOverCause
  | AnnounceCause
  | RivalEnd
  | LostAdvertsCause
  | DeniedCause
  | DemotionRefused;
