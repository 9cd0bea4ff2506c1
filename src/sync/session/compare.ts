/** Compares the digests: the proof that the pair is in step, and what follows when the proof fails. Pure. */
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
  // Until a bulk or a repair has ended the digests differ for a known reason. Only the one that proves a repair counts.
  if (state.bulkIn || (state.repairIn !== null && state.repairIn.phase !== 'proving')) return;
  // While a change of ownership is on its way, the two sums are about different sets: no verdict, neither good nor bad.
  if (event.adoptSeen !== state.adoptId || state.late || seqAfter(state.lateSeq, event.digest.applied)) return;
  const before = state.mirroredCompared;
  // The first digest since the peer is heard (again). This node's own last digest is older, so it proves nothing about
  // today to the peer (madeAt). Send the next one at once. The peer answers in the same way; each answer is younger
  // than the one before, so two or three are enough.
  if (before === null || context.now - before.at > TIMING.stale) state.digestNow = true;
  // Without a master nobody can report that a state has ended which only this node knows.
  const leaderless = !state.masterAny && state.peerMasterAny === false;
  if (state.inherited || leaderless) takeInherited(state, event.digest, context, actions);
  state.mirroredCompared = {
    equal: event.equal,
    missing: context.counts.missing,
    at: madeAt(state, event.digest),
    unclaimed: event.digest.unclaimed,
  };
  const { missing, unsure } = context.counts;
  // A node that does not know its own kernel's table does not know what that kernel lacks.
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
  onMismatch(state, event.digest, context, actions);
}

function onMismatch(state: SyncState, digest: DigestMessage, context: Context, actions: SyncAction[]): void {
  state.differsSince ??= context.now;
  if (context.now < state.resyncAt) return;
  // This node's kernel may have kept most of what is missing, so wait a little for the end of the dump.
  if (context.counts.unsure && context.now - state.differsSince < TIMING.dumpPatience) return;
  state.resyncAt = context.now + state.resyncWait;
  state.resyncWait = Math.min(state.resyncWait * 2, TIMING.resyncMax);
  startRepair(state, Number(digest.count), context, actions);
}

/**
 * The first digest of a peer that has started again, or one while neither node is master of anything. A peer that has
 * kept its kernel's table claims these states itself, and those that it does not name have ended. A peer with an empty
 * table knows none of them: they exist only here, so this node owns them, and the peer must learn them before it is in
 * step, whichever node becomes master.
 */
function takeInherited(state: SyncState, digest: DigestMessage, context: Context, actions: SyncAction[]): void {
  state.inherited = false;
  const states = context.counts.unclaimed;
  if (states === 0 || digest.count > 0n || digest.unclaimed > 0) return;
  forgetVerdicts(state);
  actions.push({ type: 'adoptUnclaimed' }, adopted(states, 'peerKnowsNone'));
}

/**
 * The earliest moment at which the peer can have made this digest: after it had applied what the digest says it had. A
 * digest that was lost and sent again is older than its arrival.
 */
function madeAt(state: SyncState, digest: DigestMessage): number {
  return sentAt(state, digest.applied);
}

/** What this node owns has changed at once: the last verdict, and those still on their way, are about another set. */
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
