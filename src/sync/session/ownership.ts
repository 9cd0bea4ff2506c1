/**
 * Who owns a state: the node that forwards it. A node that is master adopts what it has mirrored, in one step whatever
 * the number of states (invariant 4), as soon as the peer is master of nothing or is gone.
 *
 * With the peer there, the adoption is a message in the stream (ADOPT): the peer gives its states away when it applies
 * it, and what it still had to say about them is marked as late, so that nothing falls between the two. With the peer
 * gone, the session ends with the adoption; when the peer returns, both tables meet anew.
 */

import { dropRepairIn } from '../repair/mirror-rules.ts';
import { forgetVerdicts } from './compare.ts';
import { renewSession } from './handshake.ts';
import { adopted, type Context, type SyncAction, type SyncState, TIMING } from './state.ts';

/**
 * The rule for a state that both nodes claim: the master's word counts, and between equals the senior's. Never may both
 * prefer the other: each would give the state away, and both drop it then as what its owner no longer names. So a node that has just
 * stopped to lead keeps its word until the peer has heard of it; that for so long neither gives in only costs repetitions.
 */
export function preference(state: SyncState, now: number, actions: SyncAction[]): void {
  const peerMaster = state.peerMasterAny === true;
  const given = peerMaster === state.masterAny ? state.junior : peerMaster;
  const unheard = state.steppedDownAt !== null && now - state.steppedDownAt < TIMING.unheard;
  actions.push({ type: 'prefer', peer: given && !unheard });
}

/** The peer has heard by now that this node has stopped to lead. */
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
  // What the peer itself has not decided about yet may still turn out to be the same connections.
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
  // Only what is proven to be all that the peer owns: it gives away everything at once, and what this node has not got
  // by then would be nobody's.
  if (state.mirroredCompared?.equal !== true || state.bulkIn) return;
  if (unclaimed > 0) {
    // The peer's verdicts so far are about less than this node owns now.
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
 * Both lead, and each has claimed what it forwards itself (homes.ts). What still belongs to nobody here, and is proven to be
 * none of the peer's, only this node knows: both daemons have started anew, and nobody is left who could say that it has
 * ended. If both have such states the senior begins; what it sends finds its owner at the junior.
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
 * The peer has adopted this node's states. Two adoptions that cross (both became master at the same moment) would leave
 * every state without an owner if both nodes gave: the junior gives, the senior does not.
 */
export function onAdopt(state: SyncState, id: number, crossed: boolean, actions: SyncAction[]): void {
  state.adoptSeen = id;
  if (crossed && !state.junior) return;
  // What is given now is not in the snapshot of the peer's states, and would be taken for too much.
  dropRepairIn(state, actions);
  state.late = true;
  forgetVerdicts(state);
  actions.push({ type: 'yieldOwn' });
}
