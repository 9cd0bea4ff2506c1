/** Handshake and liveness of the sync session: who the peer is, whether it is there, when a session begins and ends. */
import type { Context, SyncAction, SyncEvent, SyncState } from './state.ts';
import { adopted, freshStream, LIMITS, TIMING } from './state.ts';

/**
 * A HELLO that could be opened. A session begins only when the peer has echoed this node's own nonce: that proves the
 * HELLO is no recording of another session. A nonce that once had a session here cannot have a second one.
 */
export function onHello(
  state: SyncState,
  event: Extract<SyncEvent, { type: 'hello' }>,
  context: Context,
  actions: SyncAction[],
): void {
  if (event.nonce === state.ownNonce) {
    actions.push({ type: 'refuse', cause: 'own_hello' });
    return;
  }
  const current = state.open && state.peerNonce === event.nonce;
  const knowsUs = event.echo === state.ownNonce;
  if (!current && state.usedNonces.includes(event.nonce)) {
    actions.push({ type: 'refuse', cause: 'replayed_hello' });
    // Or it is no recording: one of an earlier session, overtaken on its way, has begun the session that is silent now, and the
    // peer waits in the one before. With a nonce of its own this node can begin anew, and no recording is worth anything.
    if (state.open && !state.alive) renewSession(state, context, actions);
    return;
  }
  state.echo = event.nonce;
  if (knowsUs && !current) openSession(state, event, context, actions);
  else if (!knowsUs && context.now - state.helloSentAt >= TIMING.helloReply) sendHello(state, context.now, actions);
}

function openSession(
  state: SyncState,
  event: Extract<SyncEvent, { type: 'hello' }>,
  context: Context,
  actions: SyncAction[],
): void {
  const inherited = inherit(state, context, actions);
  Object.assign(state, freshStream(), { inherited });
  state.usedNonces = [...state.usedNonces, event.nonce].slice(-LIMITS.nonces);
  state.peerNonce = event.nonce;
  state.peerMasterAny = null;
  state.junior = event.junior;
  state.open = true;
  state.heardAt = context.now;
  state.alive = true;
  state.beatAt = context.now;
  actions.push({ type: 'openSession' });
  sendHello(state, context.now, actions);
  actions.push({ type: 'event', event: { kind: 'sync.session', up: true } });
}

/**
 * A new nonce is a new peer: the one whose states are mirrored here has died, or has lost all it knew. Its connections
 * live on, and the newcomer's empty table says nothing about them: a master owns them from now on, a backup keeps them
 * for whoever becomes master (compare.ts: for itself, when the newcomer has kept nothing). Were they left to the
 * newcomer, its first digest would remove them on both nodes.
 * @returns true when a backup keeps some
 */
function inherit(state: SyncState, context: Context, actions: SyncAction[]): boolean {
  const { mirrored } = context.counts;
  if (mirrored === 0) return false;
  actions.push({ type: state.masterAny ? 'adoptPeer' : 'disownPeer' });
  if (!state.masterAny) return true;
  actions.push(adopted(mirrored, 'peerStartedAnew'));
  return false;
}

/** Ends the session on this side: the next one gets a nonce of its own, so nothing of the old one is valid in it. */
export function renewSession(state: SyncState, context: Context, actions: SyncAction[]): void {
  Object.assign(state, freshStream());
  state.ownNonce = context.nonce;
  state.usedNonces = [];
  state.peerNonce = null;
  state.peerMasterAny = null;
  state.open = false;
  state.alive = false;
  state.helloAt = context.now;
  actions.push({ type: 'closeSession' });
}

function sendHello(state: SyncState, now: number, actions: SyncAction[]): void {
  state.helloAt = now + TIMING.hello;
  state.helloSentAt = now;
  actions.push({ type: 'sendHello' });
}

/** A datagram of the running session has arrived. */
export function heard(state: SyncState, now: number, actions: SyncAction[]): void {
  state.heardAt = now;
  if (state.alive) return;
  state.alive = true;
  state.digestNow = true;
  actions.push({ type: 'event', event: { kind: 'sync.peer', alive: true } });
}

/** The link can carry again: the peer, which has been silent, hears of this node at once and not at the next turn of a timer. */
export function carrierBack(state: SyncState, now: number): void {
  state.beatAt = now;
  if (!state.alive) state.helloAt = now;
  // A short cut is over before it counts as silence.
  state.rto = TIMING.rtoMin;
  if (state.rtoAt !== null) state.rtoAt = now;
}

/** Silence, and the HELLOs that look for the peer while it is silent. */
export function livenessTimers(state: SyncState, now: number, actions: SyncAction[]): void {
  if (state.alive && state.heardAt !== null && now - state.heardAt >= TIMING.dead) {
    state.alive = false;
    state.peerMasterAny = null;
    state.ownCompared = null;
    state.mirroredCompared = null;
    state.helloAt = now;
    const silentMs = Math.round(now - state.heardAt);
    actions.push({ type: 'event', event: { kind: 'sync.peer', alive: false, silentMs } });
  }
  if (!(state.open && state.alive) && now >= state.helloAt) sendHello(state, now, actions);
}
