/**
 * The session between two Carpio nodes on the sync link: a pure state machine `(state, event, context) -> actions`.
 *
 * It decides about handshake, order, acknowledgement, ownership, repair and the comparison of digests. It touches no
 * state, no socket, no clock and no random number: the context brings the time, a fresh nonce and the table's counts,
 * and dialect/carpio/runner.ts carries the actions out. Daemon, simulator and replayer run this code.
 */

import { dropRepairIn } from '../repair/mirror-rules.ts';
import { dropRepairOut } from '../repair/owner-rules.ts';
import { onRepair, repairDeadline, repairTimers } from '../repair/rules.ts';
import { compareTimers, onDigest, onVerdict } from './compare.ts';
import { carrierBack, livenessTimers, onHello, renewSession } from './handshake.ts';
import { considerAdoption, onAdopt, preference, preferenceTimers } from './ownership.ts';
import { beginReady, digestReady } from './ready.ts';
import type { Context, SyncAction, SyncEvent, SyncState } from './state.ts';
import { TIMING } from './state.ts';
import { onFast, onSent, streamTimers } from './stream.ts';

/** Runs one event and then whatever time asks for. `state` is changed in place and is plain JSON. */
export function stepSync(state: SyncState, event: SyncEvent, context: Context): SyncAction[] {
  const actions: SyncAction[] = [];
  const { peerMasterAny, peerNonce } = state;
  onEvent(state, event, context, actions);
  livenessTimers(state, context.now, actions);
  preferenceTimers(state, context.now, actions);
  considerAdoption(state, context, actions);
  // Only between two datagrams: a BEGIN says how far the peer's stream was applied.
  repairTimers(state, event.type === 'tick' && beginReady(state, context), context, actions);
  compareTimers(state, context, actions);
  streamTimers(state, context.now, actions);
  // What was known of the peer does not outlive its silence: in a new session it could make both nodes yield.
  const forgotten = peerMasterAny !== null && state.peerMasterAny === null;
  if (forgotten || state.peerNonce !== peerNonce) preference(state, context.now, actions);
  return actions;
}

function onEvent(state: SyncState, event: SyncEvent, context: Context, actions: SyncAction[]): void {
  switch (event.type) {
    case 'hello':
      onHello(state, event, context, actions);
      break;
    case 'renew':
      if (state.open) renewSession(state, context, actions);
      break;
    case 'fast':
      onFast(state, event.fixed, context, actions);
      break;
    case 'role':
      if (state.masterAny && !event.masterAny) state.steppedDownAt = context.now;
      if (event.masterAny) state.steppedDownAt = null;
      state.masterAny = event.masterAny;
      state.beatAt = context.now;
      preference(state, context.now, actions);
      break;
    case 'carrier':
      carrierBack(state, context.now);
      break;
    case 'report':
      state.peerMasterAny = event.masterAny;
      preference(state, context.now, actions);
      break;
    case 'adopt':
      onAdopt(state, event.id, event.crossed, actions);
      break;
    case 'digest':
      onDigest(state, event, context, actions);
      break;
    case 'verdict':
      onVerdict(state, event);
      break;
    default:
      onBulkAndFlow(state, event, context, actions);
  }
}

function onBulkAndFlow(state: SyncState, event: SyncEvent, context: Context, actions: SyncAction[]): void {
  switch (event.type) {
    case 'bulkBegin':
      state.bulkIn = true;
      dropRepairIn(state, actions);
      actions.push({ type: 'peerBulkBegin' });
      break;
    case 'bulkEnd':
      state.bulkIn = false;
      break;
    case 'resync':
      dropRepairOut(state, actions);
      if (state.bulkOut === 'no') state.bulkOut = 'begin';
      break;
    case 'bulkSent':
      state.bulkOut = 'no';
      state.digestNow = true;
      break;
    case 'late':
      state.late = true;
      break;
    case 'drained':
      if (state.late) state.lateSeq = state.txSeq;
      state.late = false;
      break;
    case 'sent':
      onSent(state, context.now);
      break;
    case 'verify':
      state.digestNow = true;
      break;
    case 'wantResync':
      if (state.open) actions.push({ type: 'sendResync' });
      break;
    case 'repairMessage':
    case 'repairBegun':
    case 'repairMarked':
    case 'repairDry':
    case 'repairSolved':
    case 'repairBroken':
    case 'repairApplied':
      onRepair(state, event, context, actions);
      break;
    default:
      break;
  }
}

/** When the machine wants its next tick, in the context's clock; `Infinity` never. */
export function nextSyncDeadline(state: SyncState, context: Context): number {
  if (!state.open) return state.helloAt;
  let at = state.beatAt;
  if (!state.alive) at = Math.min(at, state.helloAt);
  else if (state.heardAt !== null) at = Math.min(at, state.heardAt + TIMING.dead);
  if (state.rtoAt !== null) at = Math.min(at, state.rtoAt);
  if (state.ackAt !== null) at = Math.min(at, state.ackAt);
  at = Math.min(at, beginReady(state, context) ? context.now : repairDeadline(state));
  if (digestReady(state, context)) at = Math.min(at, state.digestNow ? context.now : state.digestAt);
  return at;
}
