/**
 * Results of control commands that are not in status.ts: what the node answers and the commands print. Adding a field
 * is free; a value that is not known is `null`.
 */

import type { DemotionReason } from './status.ts';

/** `verify`: `in_step` null means that it could not be told, and `reason` says why. */
export interface VerifyResult {
  in_step: boolean | null;
  reason: string | null;
  states: { own: number; mirrored: number };
  digest: string | null;
  /** With `deep`: how many states reading the kernel again had to mend, here and at the peer. */
  corrections: { here: number; peer: number | null } | null;
  /** States that differ, as lines for people; bounded. */
  differences?: string[];
}

/** `demote`, `undemote` */
export interface DemoteResult {
  total: number;
  reasons: DemotionReason[];
}

/** `maintenance`: answered when the peer is master (or this node may be again), or when that cannot be. */
export interface MaintenanceResult {
  done: boolean;
  /** What happened or why it could not. */
  reason: string;
}

/** `sysctl {name, value?}`, the value to write being text; `old` only after a write. */
export interface SysctlResult {
  value: number;
  old?: number;
}

/** `states`: after the chunks of StateView. */
export interface StatesResult {
  /** How many matched. */
  count: number;
}
