/** The ordered stream of datagrams in both directions: acknowledgement, gaps, sending again, the window. Pure. */
import type { FastFixed } from '../wire/datagram.ts';
import { seqAdd, seqAfter } from '../wire/sequence.ts';
import { heard } from './handshake.ts';
import type { Context, SyncAction, SyncState } from './state.ts';
import { LIMITS, TIMING } from './state.ts';

/** May another datagram join the stream? */
export function windowOpen(state: SyncState): boolean {
  return state.open && ((state.txSeq - state.txAcked) | 0) < LIMITS.window;
}

/** A datagram of this session, opened. */
export function onFast(state: SyncState, fixed: FastFixed, context: Context, actions: SyncAction[]): void {
  const back = !state.alive;
  heard(state, context.now, actions);
  onAck(state, fixed, context, actions);
  if (back) afterSilence(state, context.now, actions);
  if (fixed.adoptSeen === state.adoptId) state.adoptSeenByPeer = fixed.adoptSeen;
  if (fixed.seq === 0) return;
  const next = seqAdd(state.rxSeq, 1);
  if (fixed.seq === next) {
    state.rxSeq = next;
    if (seqAfter(next, state.rxHigh)) state.rxHigh = next;
    planAck(state, fixed.urgent === true, context.now);
    actions.push({ type: 'apply' });
    return;
  }
  state.ackAt = context.now;
  if (!seqAfter(fixed.seq, next)) return;
  if (((fixed.seq - next) | 0) >= LIMITS.window) return;
  if (seqAfter(fixed.seq, state.rxHigh)) state.rxHigh = fixed.seq;
  actions.push({ type: 'hold' });
}

/** When to acknowledge the datagram that is applied now, if no datagram carries the acknowledgement before. */
function planAck(state: SyncState, urgent: boolean, now: number): void {
  state.unacked += 1;
  const delay = now - state.ackedAt > TIMING.quiet ? TIMING.ackDelay : TIMING.ackDelayBusy;
  state.ackAt = urgent || state.unacked >= LIMITS.ackEvery ? now : (state.ackAt ?? now + delay);
}

/**
 * The peer is heard again. What it has not acknowledged by now was lost in the silence: send all of it again at once,
 * and not at a timer that has grown long meanwhile. It is a window at most, as any burst.
 */
function afterSilence(state: SyncState, now: number, actions: SyncAction[]): void {
  state.rto = TIMING.rtoMin;
  resend(state, now, LIMITS.window, actions);
}

/** Is a datagram missing while later ones are here? */
export function hasGap(state: SyncState): boolean {
  return seqAfter(state.rxHigh, state.rxSeq);
}

function onAck(state: SyncState, fixed: FastFixed, context: Context, actions: SyncAction[]): void {
  if (seqAfter(fixed.ack, state.txSeq)) {
    actions.push({ type: 'refuse', cause: 'bad_ack' });
    return;
  }
  if (seqAfter(fixed.ack, state.txAcked)) {
    state.txAcked = fixed.ack;
    state.rto = TIMING.rtoMin;
    state.rtoAt = state.txAcked === state.txSeq ? null : context.now + state.rto;
  }
  if (!fixed.gap || state.txAcked === state.txSeq) return;
  // One answer for each gap: requests that are already on their way ask for the same datagrams.
  if (state.gapFor === state.txAcked && context.now - state.gapAt < TIMING.rtoMin) return;
  state.gapFor = state.txAcked;
  state.gapAt = context.now;
  resend(state, context.now, LIMITS.gapBurst, actions);
}

function resend(state: SyncState, now: number, most: number, actions: SyncAction[]): void {
  const open = (state.txSeq - state.txAcked) | 0;
  if (open <= 0) return;
  state.rtoAt = now + state.rto;
  actions.push({
    type: 'resend',
    from: seqAdd(state.txAcked, 1),
    to: seqAdd(state.txAcked, Math.min(open, most)),
  });
}

/** A datagram with the next number has left this node. */
export function onSent(state: SyncState, now: number): void {
  state.txSeq = seqAdd(state.txSeq, 1);
  state.rtoAt ??= now + state.rto;
  noteSent(state, now);
  ackSent(state, now);
}

/** Every datagram carries the acknowledgement. */
function ackSent(state: SyncState, now: number): void {
  if (state.ackAt !== null) state.ackedAt = now;
  state.ackAt = null;
  state.unacked = 0;
}

/** Sends what was lost again, and the heartbeat, which is also the delayed acknowledgement. */
export function streamTimers(state: SyncState, now: number, actions: SyncAction[]): void {
  if (!state.open) return;
  if (state.rtoAt !== null && now >= state.rtoAt) {
    state.rto = Math.min(state.rto * 2, TIMING.rtoMax);
    resend(state, now, state.alive ? LIMITS.burst : 1, actions);
  }
  const beat = now >= state.beatAt;
  if (beat) state.beatAt = now + TIMING.heartbeat;
  if (beat || (state.ackAt !== null && now >= state.ackAt)) {
    ackSent(state, now);
    actions.push({ type: 'sendBeat', report: beat });
  }
}

function noteSent(state: SyncState, now: number): void {
  const { sentLog } = state;
  const last = sentLog[sentLog.length - 1];
  if (last !== undefined && now - last.at < LIMITS.sentEvery) return;
  sentLog.push({ seq: state.txSeq, at: now });
  if (sentLog.length > LIMITS.sentLog) sentLog.shift();
}

/**
 * When this number of this node's stream was sent first, or a little earlier; `-Infinity` when that is longer ago than
 * the log goes back.
 */
export function sentAt(state: SyncState, seq: number): number {
  for (let i = state.sentLog.length - 1; i >= 0; i--) {
    const entry = state.sentLog[i];
    if (entry !== undefined && !seqAfter(entry.seq, seq)) return entry.at;
  }
  return Number.NEGATIVE_INFINITY;
}
