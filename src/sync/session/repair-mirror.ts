/** The mirror's rules of a repair by difference (reconcile.ts): when to ask, what to believe, when to give up. Pure. */
import type { Recon } from '../wire/repair.ts';
import { REFUSAL } from '../wire/repair.ts';
import { mostSymbols, REPAIR, worthwhile } from '../wire/repair-cost.ts';
import type { RepairEvent, RepairIn } from '../wire/repair-types.ts';
import type { Context, SyncAction, SyncState } from './state.ts';
import { seqAfter } from './state.ts';

// --- the /** The digests differ: a repair, or everything anew. */
export function startRepair(state: SyncState, owned: number, context: Context, actions: SyncAction[]): void {
  const { mirrored, unclaimed, unsure } = context.counts;
  state.repairs += 1;
  // While the first dump still brings states that are nobody's, it is not known which of them the peer has too.
  if (unsure || state.repairFails >= REPAIR.rounds || !worthwhile(owned, mirrored + unclaimed)) {
    state.repairFails = 0;
    actions.push({ type: 'sendResync' });
    return;
  }
  state.repairId = (state.repairId + 1) >>> 0;
  state.repairIn = {
    id: state.repairId,
    phase: 'asked',
    since: context.now,
    progressAt: context.now,
    received: 0,
    expected: 0,
    most: 0,
    differences: 0,
  };
  actions.push({ type: 'askRepair', id: state.repairId });
}

/** What the digest says of the repair that has just been carried out. */
export function judgeRepair(state: SyncState, equal: boolean, actions: SyncAction[]): void {
  const repair = state.repairIn;
  state.repairIn = null;
  if (equal) state.repairFails = 0;
  if (repair === null) return;
  if (equal) actions.push({ type: 'repaired', differences: repair.differences, since: repair.since });
  else {
    state.repairFails += 1;
    actions.push({ type: 'closeMirror' });
  }
}

/** Ends this node's own repair before its time. */
export function dropRepairIn(state: SyncState, actions: SyncAction[]): void {
  const repair = state.repairIn;
  if (repair === null) return;
  state.repairIn = null;
  actions.push({ type: 'endRepair', id: repair.id }, { type: 'closeMirror' });
}

/** Ends this node's own repair as one that was of no use. */
export function failRepair(state: SyncState, actions: SyncAction[]): void {
  dropRepairIn(state, actions);
  state.repairFails += 1;
}

function bulkInstead(state: SyncState, actions: SyncAction[]): void {
  dropRepairIn(state, actions);
  state.repairFails = 0;
  actions.push({ type: 'sendResync' });
}

function onBegin(
  state: SyncState,
  repair: RepairIn,
  begin: Extract<Recon, { type: 'begin' }>,
  adoptSeen: number,
  context: Context,
  actions: SyncAction[],
): void {
  const { mirrored, unclaimed } = context.counts;
  // Bounds the memory too: what is worth while is in proportion to this node's own table.
  const believed = worthwhile(begin.total, mirrored + unclaimed) && begin.symbols <= mostSymbols(begin.total);
  if (repair.phase !== 'asked' || !believed) {
    actions.push({ type: 'refuse', cause: 'bad_repair' });
    failRepair(state, actions);
    return;
  }
  // As with a digest: while a change of ownership is on its way, the two sets are not the same set.
  if (adoptSeen !== state.adoptId || state.late || seqAfter(state.lateSeq, begin.applied)) {
    dropRepairIn(state, actions);
    return;
  }
  repair.phase = 'reading';
  repair.expected = begin.symbols;
  repair.most = mostSymbols(begin.total);
  actions.push({ type: 'snapshot', begin });
}

function onSymbols(
  state: SyncState,
  repair: RepairIn,
  message: Extract<Recon, { type: 'symbols' }>,
  actions: SyncAction[],
): void {
  // Found already: what was still on its way is of no use.
  if (repair.phase === 'applying' || repair.phase === 'proving') return;
  const n = message.symbols.length / REPAIR.symbolCost;
  if (repair.phase !== 'reading' || message.first !== repair.received || repair.received + n > repair.expected) {
    actions.push({ type: 'refuse', cause: 'bad_repair' });
    failRepair(state, actions);
    return;
  }
  repair.received += n;
  actions.push({ type: 'takeSymbols', symbols: message.symbols });
}

function onDry(state: SyncState, repair: RepairIn, actions: SyncAction[]): void {
  if (repair.received < repair.expected) return;
  if (repair.expected >= repair.most) {
    bulkInstead(state, actions);
    return;
  }
  repair.expected = Math.min(repair.most, repair.expected + Math.max(REPAIR.more, repair.expected >> 3));
  actions.push({ type: 'askMore', id: repair.id, symbols: repair.expected });
}

/** A message of the owner's. */
export function onMirrorMessage(
  state: SyncState,
  repair: RepairIn,
  message: Recon,
  adoptSeen: number,
  context: Context,
  actions: SyncAction[],
): void {
  if (message.type === 'begin') onBegin(state, repair, message, adoptSeen, context, actions);
  else if (message.type === 'symbols') onSymbols(state, repair, message, actions);
  else if (message.type === 'refuse') {
    state.repairIn = null;
    actions.push({ type: 'closeMirror' });
    if (message.reason !== REFUSAL.bulk) actions.push({ type: 'sendResync' });
  }
}

/** What this node's own work on the repair has come to. */
export function onMirrorWork(
  state: SyncState,
  repair: RepairIn,
  event: RepairEvent,
  context: Context,
  actions: SyncAction[],
): void {
  repair.progressAt = context.now;
  switch (event.type) {
    case 'repairDry':
      onDry(state, repair, actions);
      break;
    case 'repairSolved':
      repair.phase = 'applying';
      repair.differences = event.differences;
      actions.push({ type: 'applyRepair' });
      break;
    case 'repairBroken':
      actions.push({ type: 'refuse', cause: 'bad_repair' });
      failRepair(state, actions);
      break;
    case 'repairApplied':
      repair.phase = 'proving';
      break;
    default:
      break;
  }
}
