/**
 * The words of the election: what a vhid is, what can happen to it, what it asks the outside to do.
 * Everything here is plain data that survives JSON, so that the daemon, the simulator and the replayer share it.
 * All times are integer microseconds of a monotonic clock that also counts while the machine sleeps.
 */

import type { AnnounceCause, HandOverCause, PeerDead, RoleCause } from '../contract/causes.ts';
import type { NodeEvent } from '../contract/events.ts';
import type { CarpState } from '../contract/values.ts';
import type { VhidKey } from '../contract/vhid-key.ts';

export type { CarpState };

/** IP version an advertisement travels over. */
export type Family = 4 | 6;

/** The part of an advertisement the election looks at. */
export interface HeardAdvert {
  /** Seconds, 0..255. */
  advbase: number;
  /** 1/256 s, 0..255. */
  advskew: number;
  /** Byte 4: demotion of the sender (OpenBSD, Carpio); 0 from FreeBSD, NetBSD and UCarp. */
  demote: number;
}

export interface VhidConfig {
  key: VhidKey;
  vhid: number;
  /** Role of the interface (wan, lan …), never a device name. */
  interface: string;
  advbase: number;
  advskew: number;
  /** Has IPv4 addresses, so IPv4 advertisements are sent and awaited. */
  v4: boolean;
  v6: boolean;
  /** Source address of own IPv4 advertisements (of IPv6 ones when `v4` is false); decides ties. */
  ownAddress: string;
  /** Source address of own IPv6 advertisements when the vhid has both families. */
  ownAddress6?: string;
  /** Families of its addresses for which the interface has no own address to advertise from; left out: none. */
  lacking?: Family[];
}

export interface GroupConfig {
  preempt: boolean;
  /** Least time to listen before a vhid that just came up may become MASTER; 0: its own master-down time. */
  startHoldUs: number;
  vips: VhidConfig[];
  /**
   * Weight of `link:<interface>` by interface role; interfaces of a vhid weigh 240 unless named here, others nothing.
   */
  linkWeights?: Record<string, number>;
  /** How long a report of the peer counts, four heartbeats of the sync link; 465 ms unless given. */
  peerFreshUs?: number;
  /**
   * Early take-over is in use (timers.ts, `PAIRED`): how long a node may stand still depends on the peer, not on
   * advbase.
   */
  early?: boolean;
}

/** A valid advertisement of another host, as it goes from the socket to the election. */
export interface ArrivedAdvert {
  key: VhidKey;
  family: Family;
  advert: HeardAdvert & { counter: bigint };
  from: string;
}

/** What the peer says about one vhid over the sync link. */
export interface PeerVhid {
  state: CarpState;
  advbase: number;
  /** As advertised, demotion included. */
  advskew: number;
  /** Source address of its advertisements, for ties. */
  address?: string;
}

/** What the peer says about itself over the authenticated sync link. */
export interface PeerReport {
  vhids: Record<string, PeerVhid>;
  demotion: number;
  goingDown: boolean;
  /** Interface roles whose link is down there. */
  linkDown: string[];
  inStep: boolean | null;
}

export type GroupEvent =
  | { type: 'start' }
  | { type: 'link'; interface: string; up: boolean; present: boolean }
  | { type: 'advert'; key: VhidKey; family: Family; advert: HeardAdvert; from: string }
  | { type: 'tick' }
  | { type: 'demote'; reason: string; weight: number }
  | { type: 'undemote'; reason: string }
  | { type: 'maintenance'; on: boolean }
  | { type: 'peer'; report: PeerReport | null }
  /** Every path to the peer's daemon was asked and none answered. */
  | { type: 'peerDead'; cause: PeerDead }
  | { type: 'sendResult'; key: VhidKey; ok: boolean }
  /** The loop did not run for this long. */
  | { type: 'stall'; sleptUs: number }
  /** An address or virtual device of the vhid was lost (`ok` false, `reason` says which) or is back. */
  | { type: 'vip'; key: VhidKey; ok: boolean; reason: string }
  /** net.inet.carp.allow */
  | { type: 'allow'; on: boolean }
  /** State set by hand, as ifconfig does. */
  | { type: 'force'; key: VhidKey; state: 'MASTER' | 'BACKUP' }
  | { type: 'config'; config: GroupConfig }
  | { type: 'stop' };

/**
 * What the outside must do, in this order. Becoming MASTER is always: `role` (open the gate), `sendAdvert`,
 * `announce`. Role changes have no `event` of their own: the daemon makes the feed's `carp.state` out of `role`.
 */
export type Action =
  | {
      type: 'sendAdvert';
      key: VhidKey;
      advbase: number;
      /** As it goes on the wire, demotion included. */
      advskew: number;
      /** Byte 4. */
      demote: number;
      families: Family[];
      bowOut: boolean;
    }
  | { type: 'role'; key: VhidKey; from: CarpState; to: CarpState; cause: RoleCause }
  | { type: 'announce'; key: VhidKey; cause: AnnounceCause }
  | { type: 'event'; event: NodeEvent }
  /** The stop is complete. `clean`: every vhid was handed over; else `cause` says which were not and why. */
  | { type: 'stopped'; clean: boolean; cause: HandOverCause };

export interface Heard extends HeardAdvert {
  from: string;
  atUs: number;
}

/** Another master whose advertisements this MASTER hears and outranks. */
interface Rival {
  from: string;
  sinceUs: number;
  lastUs: number;
  intervalUs: number;
  /** Equal-timer advertisements in a row that this node won by address. */
  ties: number;
  reported: boolean;
}

/** Why a take-over may happen: `lead` needs the whole group to have listened, `rescue` (nobody leads) only the vhid. */
export type TakeOverKind = 'lead' | 'rescue';

/** One vhid. Timers are points in time or null when they do not run. */
export interface VhidState {
  config: VhidConfig;
  state: CarpState;
  sinceUs: number;
  cause: RoleCause;
  /** Why the vhid cannot leave INIT although its link is fine; null: nothing. */
  fault: string | null;
  advertAt: number | null;
  down4At: number | null;
  down6At: number | null;
  /** The one short extension of a timer that fired late has been used. */
  graced: boolean;
  listenUntil: number;
  pending: { atUs: number; kind: TakeOverKind; cause: RoleCause } | null;
  heard4: Heard | null;
  heard6: Heard | null;
  /** Families reported as silent while the other is heard. */
  silent: Family | null;
  announceAt: number[];
  rival: Rival | null;
  multicastLost: boolean;
  peerWasMaster: boolean;
  /** Since when the peer says over the sync link that it is MASTER as well. */
  bothMasterSince: number | null;
  sendErrors: number;
  sendOks: number;
  /** When a send-error demotion of a vhid that no longer sends is dropped; and how often that happened. */
  sendRetryAt: number | null;
  sendFailures: number;
}

export interface LinkState {
  present: boolean;
  up: boolean;
  /** Up for long enough to be believed. */
  usable: boolean;
  /** When a link that came back is believed. */
  holdUntil: number | null;
  flaps: number;
  changedUs: number;
}

export interface GroupState {
  config: GroupConfig;
  started: boolean;
  allow: boolean;
  lastUs: number;
  vhids: Record<string, VhidState>;
  links: Record<string, LinkState>;
  /** Named reasons and their weights; the sum is clamped only on the wire. */
  demotions: Record<string, number>;
  maintenance: { on: boolean; deadlineUs: number | null; done: boolean };
  stopping: { deadlineUs: number } | null;
  stopped: boolean;
  peer: { report: PeerReport; freshUntil: number } | null;
  /** Whether the peer was heard when this node last did anything (`wasPaired`). */
  paired: boolean;
}

/** What the functions of one vhid need to know of the group, and where their actions go. */
export interface Context {
  now: number;
  preempt: boolean;
  demotion: number;
  /** Until then no vhid takes the lead from a living master: all move together. */
  groupListenUntil: number;
  /** The node is stopping: nothing becomes MASTER any more. */
  frozen: boolean;
  peer: { report: PeerReport; freshUntil: number } | null;
  actions: Action[];
}
