/** Whether the pair is in step: the proof with its age, or why there is none. Pure. */
import type { Counts, SyncState } from './state.ts';
import { TIMING } from './state.ts';

/** Why not. The words stand in words.ts. */
export type StepCause =
  | { type: 'neverHeard' }
  | { type: 'silent'; ms: number }
  | { type: 'auditing' }
  | { type: 'learning' }
  | { type: 'sending' }
  | { type: 'repairing' }
  | { type: 'notCompared' }
  | { type: 'differ' }
  /** A kernel lacks states that are mirrored there. */
  | { type: 'missing'; at: 'here' | 'peer'; states: number }
  | { type: 'unclaimed'; at: 'here' | 'peer'; states: number }
  | { type: 'stale'; ms: number };

export interface InStep {
  /** `null`: not known. */
  inStep: boolean | null;
  /** `null` when in step. */
  cause: StepCause | null;
  /** Age of the older of the two comparisons. */
  checkedMsAgo: number | null;
}

const unknown = (cause: StepCause, checkedMsAgo: number | null = null): InStep => ({
  inStep: null,
  cause,
  checkedMsAgo,
});
const no = (cause: StepCause, checkedMsAgo: number | null = null): InStep => ({ inStep: false, cause, checkedMsAgo });

/**
 * The fact with its age: both nodes' states were equal on both sides, kernel included, that long ago.
 * @param counts of this node's table. `unsure`: it has lost events, so whatever was compared before, it does not know
 *   its own table; `missing`: what this kernel lacks by now; `unclaimed`: states that no digest covers, and that the
 *   peer may not have
 */
export function inStep(
  state: SyncState,
  now: number,
  counts: Pick<Counts, 'unsure' | 'unclaimed' | 'missing'>,
): InStep {
  if (!state.open || !state.alive) {
    return unknown(state.heardAt === null ? { type: 'neverHeard' } : { type: 'silent', ms: now - state.heardAt });
  }
  if (counts.unsure) return unknown({ type: 'auditing' });
  if (state.bulkIn) return no({ type: 'learning' });
  if (state.bulkOut !== 'no') return no({ type: 'sending' });
  if (state.repairIn !== null || state.repairOut !== null) return no({ type: 'repairing' });
  return compared(state, now, counts);
}

function compared(state: SyncState, now: number, counts: Pick<Counts, 'unclaimed' | 'missing'>): InStep {
  const { ownCompared, mirroredCompared } = state;
  if (ownCompared === null || mirroredCompared === null) return unknown({ type: 'notCompared' });
  const checkedMsAgo = now - Math.min(ownCompared.at, mirroredCompared.at);
  if (!ownCompared.equal || !mirroredCompared.equal) return no({ type: 'differ' }, checkedMsAgo);
  if (ownCompared.missing > 0) return no({ type: 'missing', at: 'peer', states: ownCompared.missing }, checkedMsAgo);
  // Missing when the digest was read, or found to be missing since.
  const missing = Math.max(mirroredCompared.missing, counts.missing);
  if (missing > 0) return no({ type: 'missing', at: 'here', states: missing }, checkedMsAgo);
  if (!Number.isFinite(checkedMsAgo)) return unknown({ type: 'notCompared' });
  if (counts.unclaimed > 0) return no({ type: 'unclaimed', at: 'here', states: counts.unclaimed }, checkedMsAgo);
  if (mirroredCompared.unclaimed > 0) {
    return no({ type: 'unclaimed', at: 'peer', states: mirroredCompared.unclaimed }, checkedMsAgo);
  }
  if (checkedMsAgo > TIMING.stale) return unknown({ type: 'stale', ms: checkedMsAgo }, checkedMsAgo);
  return { inStep: true, cause: null, checkedMsAgo };
}
