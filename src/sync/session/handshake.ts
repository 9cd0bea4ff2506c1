/**
 * Handshake and liveness of the session: who the peer is, whether it is there, when a session begins and ends. Pure.
 */
import type { Context, SyncAction, SyncEvent, SyncState } from './state.ts';
import { adopted, freshStream, LIMITS, TIMING } from './state.ts';

/**
 * A HELLO that one of the keys has opened. A session begins only when the HELLO echoes this node's present nonce: that
 * proves that it is no replay from another session. A nonce that had a session here cannot have a second one.
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
    // This may be a delayed HELLO rather than a replay. If it opened the wrong session, the peer is still waiting in
    // the previous one, so renew our nonce and start again: no replay is valid under the new nonce.
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
 * A new nonce is a new peer: the peer whose states are mirrored here has died, or has lost its table. Its connections
 * live on, and the empty table of the new peer proves nothing about them. A master owns them from now on. A backup
 * keeps them unclaimed for whoever becomes master, or owns them itself when the new peer has kept nothing (compare.ts).
 * If they stayed mirrored, the first digest of the new peer would remove them on both nodes.
 * @returns true when a backup keeps some
 */
function inherit(state: SyncState, context: Context, actions: SyncAction[]): boolean {
  const { mirrored } = context.counts;
  if (mirrored === 0) return false;
  actions.push({ type: state.masterAny ? 'adoptPeer' : 'disownPeer' });
  if (!state.masterAny) return true;
  actions.push(adopted(mirrored, 'peerStartedAgain'));
  return false;
}

/** Ends the session on this side. The next one has a new nonce, so nothing of the old one is valid in it. */
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

/** A datagram of this session has arrived. */
export function heard(state: SyncState, now: number, actions: SyncAction[]): void {
  state.heardAt = now;
  if (state.alive) return;
  state.alive = true;
  state.digestNow = true;
  actions.push({ type: 'event', event: { kind: 'sync.peer', alive: true } });
}

/** The link has its carrier again: send to the silent peer at once, and do not wait for a timer. */
export function carrierBack(state: SyncState, now: number): void {
  state.beatAt = now;
  if (!state.alive) state.helloAt = now;
  // A short cut ends before it counts as silence, so what it lost is sent again from here.
  state.rto = TIMING.rtoMin;
  if (state.rtoAt !== null) state.rtoAt = now;
}

/** Notices silence, and sends the HELLOs that look for the peer meanwhile. */
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
