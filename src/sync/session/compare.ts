/** Comparison of the digests: the proof that the pair is in step, and what happens when it is not. */

import { judgeRepair, startRepair } from '../repair/mirror-rules.ts';
import type { DigestMessage } from '../wire/datagram.ts';
import { seqAfter } from '../wire/sequence.ts';
import { digestReady } from './ready.ts';
import type { Context, SyncAction, SyncEvent, SyncState } from './state.ts';
import { adopted, TIMING } from './state.ts';
import { sentAt, windowOpen } from './stream.ts';

/** A digest of the peer, in its place in the stream; `equal`: it fits the states mirrored here. */
export function onDigest(
  state: SyncState,
  event: Extract<SyncEvent, { type: 'digest' }>,
  context: Context,
  actions: SyncAction[],
): void {
  // Until a repair has ended, its own proof is the only digest that says anything.
  if (state.bulkIn || (state.repairIn !== null && state.repairIn.phase !== 'proving')) return;
  // While a change of ownership is on its way the two sums speak of different sets: no verdict, neither good nor bad.
  if (event.adoptSeen !== state.adoptId || state.late || seqAfter(state.lateSeq, event.digest.applied)) return;
  const before = state.mirroredCompared;
  // The first ones since the peer is heard (again): this node's own was made before them, so it proves nothing of today to
  // the peer (madeAt). The next one does, and need not wait for its turn. Each such answer brings the other's nearer to
  // today, so two or three are all.
  if (before === null || context.now - before.at > TIMING.stale) state.digestNow = true;
  const { unclaimed } = event.digest;
  // With no master there is nobody either who could say of what only this node knows that it has ended.
  const leaderless = !state.masterAny && state.peerMasterAny === false;
  if (state.inherited || leaderless) takeInherited(state, event.digest, context, actions);
  state.mirroredCompared = {
    equal: event.equal,
    missing: context.counts.missing,
    at: madeAt(state, event.digest),
    unclaimed,
  };
  const { missing, unsure } = context.counts;
  // A node that does not know its own kernel's table has no word on what that kernel lacks.
  if (!unsure) actions.push({ type: 'sendVerdict', verdict: { seq: event.seq, equal: event.equal, missing } });
  judgeRepair(state, event.equal, actions);
  if (event.equal) {
    state.differsSince = null;
    state.resyncWait = TIMING.resyncMin;
    state.resyncAt = context.now;
    return;
  }
  if (before?.equal !== false) {
    actions.push({ type: 'event', event: { kind: 'sync.mismatch', count: context.counts.mirrored } });
  }
  state.differsSince ??= context.now;
  if (context.now < state.resyncAt) return;
  // What the own kernel has kept may be most of what is missing: its dump is worth a little patience.
  if (context.counts.unsure && context.now - state.differsSince < TIMING.dumpPatience) return;
  state.resyncAt = context.now + state.resyncWait;
  state.resyncWait = Math.min(state.resyncWait * 2, TIMING.resyncMax);
  startRepair(state, Number(event.digest.count), context, actions);
}

/**
 * The first digest of a peer that has started anew, or one while neither node is master of anything. One that has kept its kernel's table will make these states its own,
 * and what it does not name has ended. One that comes with nothing at all knows nothing of them: they are only here, so
 * this node owns them, and the newcomer must learn them before it is in step, whoever of the two becomes master.
 */
function takeInherited(state: SyncState, digest: DigestMessage, context: Context, actions: SyncAction[]): void {
  state.inherited = false;
  const states = context.counts.unclaimed;
  if (states === 0 || digest.count > 0n || digest.unclaimed > 0) return;
  forgetVerdicts(state);
  actions.push({ type: 'adoptUnclaimed' }, adopted(states, 'peerKnowsNone'));
}

/**
 * When the peer made this digest at the earliest: after it had applied what it says it had. A digest that was lost and
 * sent again is not of the moment at which it arrives.
 */
function madeAt(state: SyncState, digest: DigestMessage): number {
  return sentAt(state, digest.applied);
}

/** What this node owns has changed at once: the last verdict, and those still on their way, are about something else. */
export function forgetVerdicts(state: SyncState): void {
  state.ownCompared = null;
  state.ownedSeq = state.txSeq;
}

/** The verdict on a digest is as old as that digest. */
export function onVerdict(state: SyncState, event: Extract<SyncEvent, { type: 'verdict' }>): void {
  const { equal, missing, seq } = event.verdict;
  // A recording of an older version has no such number.
  if (!seqAfter(seq, state.ownedSeq ?? 0)) return;
  state.ownCompared = { equal, missing, at: sentAt(state, seq), unclaimed: 0 };
}

export function compareTimers(state: SyncState, context: Context, actions: SyncAction[]): void {
  if (state.bulkOut === 'begin' && windowOpen(state)) {
    state.bulkOut = 'running';
    actions.push({ type: 'beginBulk' });
    return;
  }
  if (!digestReady(state, context)) return;
  if (!state.digestNow && context.now < state.digestAt) return;
  state.digestNow = false;
  state.digestAt = context.now + TIMING.digest;
  actions.push({ type: 'sendDigest' });
}
