/**
 * A repair as the session machine sees it: what the rules keep of one, what they may know of the session around it,
 * which events reach them and what they decide. Pure.
 */
import type { RepairMessage } from '../wire/repair.ts';

/** The repair of what this node mirrors. */
export type RepairIn = RepairInHead &
  (
    | { phase: 'asked' }
    /** Symbols received, symbols asked for, and how many are worth while. */
    | { phase: 'reading'; received: number; expected: number; most: number }
    /** All differences are found. `proving`: everything is asked for, and the next digest judges. */
    | { phase: 'applying' | 'proving'; differences: number }
  );

export interface RepairInHead {
  id: number;
  since: number;
  progressAt: number;
}

/** The peer's repair of what this node owns. */
export type RepairOut = RepairOutHead &
  (
    | { phase: 'asked' }
    /** Symbols asked for, and ids of states asked for. */
    | { phase: 'open'; expected: number; wanted: number }
    /** The states that were asked for are marked, so that they are sent. */
    | { phase: 'marking' }
  );

interface RepairOutHead {
  id: number;
  progressAt: number;
}

/** What the rules keep; it begins anew with every session. */
export interface RepairState {
  repairIn: RepairIn | null;
  repairOut: RepairOut | null;
  repairId: number;
  /** Repairs in a row after which the digests still differed. */
  repairFails: number;
}

/** The session around the rules (session/state.ts has all of it). */
export interface RepairHost extends RepairState {
  readonly alive: boolean;
  readonly adoptId: number;
  readonly late: boolean;
  readonly lateSeq: number;
  readonly bulkOut: 'no' | 'begin' | 'running';
  digestNow: boolean;
  /** Repairs that were begun, the full resends included. */
  repairs: number;
}

export interface RepairContext {
  /** Monotonic milliseconds. */
  readonly now: number;
  readonly counts: {
    readonly own: number;
    readonly mirrored: number;
    readonly unclaimed: number;
    readonly unsure: boolean;
  };
}

export type RepairEvent =
  /** `adoptSeen`: the last ADOPT of this node that the peer had applied when it sent the message. */
  { type: 'repairMessage'; message: RepairMessage; adoptSeen: number } | RepairWorkEvent;

/** What this node's own work on a repair (runner.ts) has come to. */
export type RepairWorkEvent =
  /** The owner's BEGIN has joined the stream, with so many symbols to follow. */
  | { type: 'repairBegun'; symbols: number }
  /** What was wanted waits to be sent. */
  | { type: 'repairMarked' }
  /** All symbols received are worked in, and they are not enough. */
  | { type: 'repairDry' }
  | { type: 'repairSolved'; differences: number }
  /** The symbols are damaged, or there is no memory for them. */
  | { type: 'repairBroken' }
  /** What only the mirror had is gone, and what only the owner has is asked for. */
  | { type: 'repairApplied' };

/** What runner.ts carries out. */
export type RepairAction =
  | { type: 'askRepair'; id: number }
  | { type: 'refuseRepair'; id: number; reason: number }
  | { type: 'beginRepair'; id: number }
  | { type: 'makeSymbols'; to: number }
  | { type: 'takeWants'; ids: Buffer }
  | { type: 'markWants' }
  | { type: 'closeOwner' }
  | { type: 'snapshot'; begin: Extract<RepairMessage, { type: 'begin' }> }
  | { type: 'takeSymbols'; symbols: Buffer }
  | { type: 'askMore'; id: number; symbols: number }
  | { type: 'applyRepair' }
  | { type: 'endRepair'; id: number }
  | { type: 'closeMirror' }
  | { type: 'repaired'; differences: number; since: number };

/** Where the rules put what they decide: beside a repair's own actions, a full resend and a counted refusal. */
export interface RepairActions {
  push(...actions: (RepairAction | { type: 'sendResync' } | { type: 'refuse'; cause: 'bad_repair' })[]): unknown;
}
