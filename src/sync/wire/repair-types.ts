/** A repair by difference as the session machine sees it: what it keeps of one, hears of one, and has done for one. */
import type { Recon } from './repair.ts';

export interface RepairIn {
  id: number;
  /** `proving`: everything asked for; the next digest tells. */
  phase: 'asked' | 'reading' | 'applying' | 'proving';
  since: number;
  progressAt: number;
  /** Symbols received, symbols asked for, and how many are worth while. */
  received: number;
  expected: number;
  most: number;
  differences: number;
}

export interface RepairOut {
  id: number;
  phase: 'asked' | 'open' | 'marking';
  progressAt: number;
  expected: number;
  wanted: number;
}

export type RepairEvent =
  | { type: 'recon'; message: Recon; adoptSeen: number }
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

export type RepairAction =
  | { type: 'askRepair'; id: number }
  | { type: 'refuseRepair'; id: number; reason: number }
  | { type: 'beginRepair'; id: number }
  | { type: 'makeSymbols'; to: number }
  | { type: 'takeWants'; ids: Buffer }
  | { type: 'markWants' }
  | { type: 'closeOwner' }
  | { type: 'snapshot'; begin: Extract<Recon, { type: 'begin' }> }
  | { type: 'takeSymbols'; symbols: Buffer }
  | { type: 'askMore'; id: number; symbols: number }
  | { type: 'applyRepair' }
  | { type: 'endRepair'; id: number }
  | { type: 'closeMirror' }
  | { type: 'repaired'; differences: number; since: number };
