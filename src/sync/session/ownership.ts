/**
 * Who owns a state: the node that forwards it. A master adopts what it has mirrored as soon as the peer is master of
 * nothing or is gone. The adoption is one step, however many states there are (invariant 4 in docs/architecture.md).
 *
 * With the peer there, the adoption is a message in the stream (ADOPT). The peer yields its states when it applies
 * ADOPT, and until its last changes to them are applied here (`late`) no digests are compared, so that nothing is lost
 * between the two. With the peer gone, the session ends with the adoption; when the peer returns, a new one begins.
 *
 * Pure.
 */

import { dropRepairIn } from '../repair/mirror-rules.ts';
import { forgetVerdicts } from './compare.ts';
import { renewSession } from './handshake.ts';
import { adopted, type Context, type SyncAction, type SyncState, TIMING } from './state.ts';

/**
 * The rule for a state that both nodes claim: the master owns it, and between equals the senior does. The two nodes
 * must never prefer each other: each would yield the state, and then each would drop it, because its owner does not
 * name it any more. So a node that has just stopped to be master goes on claiming until the peer knows. So long it is
 * undecided: it answers no claim of the peer's, because each answer would be answered.
 */
export function preference(state: SyncState, now: number, actions: SyncAction[]): void {
  actions.push({ type: 'prefer', peer: givesIn(state) && !unheard(state, now) });
}

/** By the roles this node gives in, but the peer may not know them yet. */
export function undecided(state: SyncState, now: number): boolean {
  return givesIn(state) && unheard(state, now);
}

function givesIn(state: SyncState): boolean {
  const peerMaster = state.peerMasterAny === true;
  return peerMaster === state.masterAny ? state.junior : peerMaster;
}

function unheard(state: SyncState, now: number): boolean {
  return state.steppedDownAt !== null && now - state.steppedDownAt < TIMING.unheard;
}

/** By now the peer knows that this node is master no more. */
export function preferenceTimers(state: SyncState, now: number, actions: SyncAction[]): void {
  if (state.steppedDownAt === null || now - state.steppedDownAt < TIMING.unheard) return;
  state.steppedDownAt = null;
  preference(state, now, actions);
}

export function considerAdoption(state: SyncState, context: Context, actions: SyncAction[]): void {
  const { counts } = context;
  if (state.masterAny) {
    if (!state.alive) adoptAlone(state, context, actions);
    else if (state.peerMasterAny === false) adoptWithPeer(state, context, actions);
    else if (state.peerMasterAny === true) adoptLeft(state, context, actions);
    return;
  }
  // The peer's unclaimed states may turn out to be the same connections.
  const proven = state.mirroredCompared?.equal === true && state.mirroredCompared.unclaimed === 0 && !state.bulkIn;
  if (counts.unclaimed > 0 && state.alive && state.peerMasterAny === true && proven) {
    actions.push({ type: 'dropUnclaimed' });
  }
}

function adoptAlone(state: SyncState, context: Context, actions: SyncAction[]): void {
  const { mirrored, unclaimed } = context.counts;
  if (unclaimed > 0) actions.push({ type: 'adoptUnclaimed' });
  if (mirrored === 0) return;
  actions.push({ type: 'adoptPeer' }, adopted(mirrored, 'peerGone'));
  renewSession(state, context, actions);
}

function adoptWithPeer(state: SyncState, context: Context, actions: SyncAction[]): void {
  const { mirrored, unclaimed } = context.counts;
  // The mirrored states must be proven to be all that the peer owns: it yields everything at once, and a state that is
  // missing here would then have no owner.
  if (state.mirroredCompared?.equal !== true || state.bulkIn) return;
  if (unclaimed > 0) {
    // The peer's verdicts so far are about fewer states than this node owns now.
    forgetVerdicts(state);
    actions.push({ type: 'adoptUnclaimed' });
  }
  // The peer's repair works on a snapshot of what this node owns now.
  if (state.repairOut !== null) return;
  if (mirrored === 0 || state.adoptSeenByPeer !== state.adoptId) return;
  state.adoptId = (state.adoptId + 1) & 0xffff;
  state.mirroredCompared = null;
  actions.push({ type: 'adoptPeer' }, { type: 'sendAdopt', id: state.adoptId }, adopted(mirrored, 'peerNotMaster'));
}

/**
 * Both are master, and each has claimed what it forwards itself (table/homes.ts). Only this node knows the states that
 * are still unclaimed here and are proven not to be the peer's: both daemons have started again, and nobody is left who
 * could report their end. If both nodes have such states the senior adopts first; its updates settle the owner on the
 * junior.
 */
function adoptLeft(state: SyncState, context: Context, actions: SyncAction[]): void {
  const { unclaimed } = context.counts;
  const { mirroredCompared } = state;
  if (unclaimed === 0 || mirroredCompared?.equal !== true || state.bulkIn) return;
  if (mirroredCompared.unclaimed > 0 && state.junior) return;
  forgetVerdicts(state);
  actions.push({ type: 'adoptUnclaimed' }, adopted(unclaimed, 'bothMaster'));
}

/**
 * The peer has adopted this node's states. When two adoptions cross, because both nodes became master at the same
 * moment, the junior yields and the senior does not: if both yielded, no state would have an owner.
 */
export function onAdopt(state: SyncState, id: number, crossed: boolean, actions: SyncAction[]): void {
  state.adoptSeen = id;
  if (crossed && !state.junior) return;
  // The peer's snapshot does not have the states that are yielded now, so the repair would drop them here.
  dropRepairIn(state, actions);
  state.late = true;
  forgetVerdicts(state);
  actions.push({ type: 'yieldOwn' });
}
