/**
 * Send errors: three in a row demote the node, three successes take it back. A vhid that is no longer MASTER sends
 * nothing and could never prove itself, so there the demotion ends after a while that doubles with every recurrence.
 * The sender reports ok for "host down" of a unicast peer: that is the peer's fault, not this node's.
 */

import { FULL_WEIGHT } from './demotion.ts';
import type { GroupState, VhidState } from './types.ts';

const IN_A_ROW = 3;
const RETRY_FIRST_US = 10_000_000;
const RETRY_LONGEST_US = 600_000_000;

/** @returns the new weight of the reason, null to take it away, undefined when nothing changes. */
export function sendResult(v: VhidState, ok: boolean): number | null | undefined {
  v.sendErrors = ok ? 0 : v.sendErrors + 1;
  v.sendOks = ok ? v.sendOks + 1 : 0;
  if (v.sendErrors === IN_A_ROW) {
    v.sendFailures += 1;
    return FULL_WEIGHT;
  }
  return v.sendOks === IN_A_ROW ? null : undefined;
}

/** @returns true when the demotion of a vhid that does not send any more is over. */
export function retrySending(v: VhidState, state: GroupState, now: number): boolean {
  if (v.state === 'MASTER' || !(`senderr:${v.config.key}` in state.demotions)) {
    v.sendRetryAt = null;
    return false;
  }
  const wait = RETRY_FIRST_US * 2 ** Math.min(10, Math.max(0, v.sendFailures - 1));
  v.sendRetryAt ??= now + Math.min(RETRY_LONGEST_US, wait);
  if (v.sendRetryAt > now) return false;
  v.sendRetryAt = null;
  v.sendErrors = 0;
  return true;
}
