/** The mirror's rules of a repair (rules.ts): when to ask, what to believe, when to give up. Pure. */
import type { RepairMessage } from '../wire/repair.ts';
import { REFUSAL } from '../wire/repair.ts';
import { seqAfter } from '../wire/sequence.ts';
import { mostSymbols, REPAIR, worthwhile } from './cost.ts';
import type { RepairActions, RepairContext, RepairHost, RepairIn, RepairInHead, RepairWorkEvent } from './state.ts';

const headOf = ({ id, since, progressAt }: RepairIn): RepairInHead => ({ id, since, progressAt });

/** The digests differ: begins a repair, or asks for everything. @param owned how many states the peer owns */
export function startRepair(state: RepairHost, owned: number, context: RepairContext, actions: RepairActions): void {
  const { mirrored, unclaimed, unsure } = context.counts;
  state.repairs += 1;
  // While the first dump still brings unclaimed states, it is not known which of them the peer has too.
  if (unsure || state.repairFails >= REPAIR.rounds || !worthwhile(owned, mirrored + unclaimed)) {
    state.repairFails = 0;
    actions.push({ type: 'sendResync' });
    return;
  }
  state.repairId = (state.repairId + 1) >>> 0;
  state.repairIn = { id: state.repairId, phase: 'asked', since: context.now, progressAt: context.now };
  actions.push({ type: 'askRepair', id: state.repairId });
}

/** The digest judges the repair that has just been carried out. */
export function judgeRepair(state: RepairHost, equal: boolean, actions: RepairActions): void {
  const repair = state.repairIn;
  state.repairIn = null;
  if (equal) state.repairFails = 0;
  if (repair === null) return;
  if (equal && repair.phase === 'proving') {
    actions.push({ type: 'repaired', differences: repair.differences, since: repair.since });
  } else {
    state.repairFails += 1;
    actions.push({ type: 'closeMirror' });
  }
}

/** Ends this node's repair before its proof. */
export function dropRepairIn(state: RepairHost, actions: RepairActions): void {
  const repair = state.repairIn;
  if (repair === null) return;
  state.repairIn = null;
  actions.push({ type: 'endRepair', id: repair.id }, { type: 'closeMirror' });
}

/** Ends this node's repair as a failed one. */
export function failRepair(state: RepairHost, actions: RepairActions): void {
  dropRepairIn(state, actions);
  state.repairFails += 1;
}

function bulkInstead(state: RepairHost, actions: RepairActions): void {
  dropRepairIn(state, actions);
  state.repairFails = 0;
  actions.push({ type: 'sendResync' });
}

function onBegin(
  state: RepairHost,
  repair: RepairIn,
  begin: Extract<RepairMessage, { type: 'begin' }>,
  adoptSeen: number,
  context: RepairContext,
  actions: RepairActions,
): void {
  const { mirrored, unclaimed } = context.counts;
  // This bounds the memory too: what is worth while is in proportion to this node's table.
  const believed = worthwhile(begin.total, mirrored + unclaimed) && begin.symbols <= mostSymbols(begin.total);
  if (repair.phase !== 'asked' || !believed) {
    actions.push({ type: 'refuse', cause: 'bad_repair' });
    failRepair(state, actions);
    return;
  }
  // As with a digest: while a change of ownership is on its way, the two nodes count different sets.
  if (adoptSeen !== state.adoptId || state.late || seqAfter(state.lateSeq, begin.applied)) {
    dropRepairIn(state, actions);
    return;
  }
  const most = mostSymbols(begin.total);
  state.repairIn = { ...headOf(repair), phase: 'reading', received: 0, expected: begin.symbols, most };
  actions.push({ type: 'snapshot', begin });
}

function onSymbols(
  state: RepairHost,
  repair: RepairIn,
  message: Extract<RepairMessage, { type: 'symbols' }>,
  actions: RepairActions,
): void {
  // All differences are found: symbols that were still on their way are of no use.
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

function onDry(state: RepairHost, repair: RepairIn, actions: RepairActions): void {
  if (repair.phase !== 'reading' || repair.received < repair.expected) return;
  if (repair.expected >= repair.most) {
    bulkInstead(state, actions);
    return;
  }
  repair.expected = Math.min(repair.most, repair.expected + Math.max(REPAIR.more, repair.expected >> 3));
  actions.push({ type: 'askMore', id: repair.id, symbols: repair.expected });
}

/** A message of the owner. */
export function onMirrorMessage(
  state: RepairHost,
  repair: RepairIn,
  message: RepairMessage,
  adoptSeen: number,
  context: RepairContext,
  actions: RepairActions,
): void {
  if (message.type === 'begin') onBegin(state, repair, message, adoptSeen, context, actions);
  else if (message.type === 'symbols') onSymbols(state, repair, message, actions);
  else if (message.type === 'refuse') {
    state.repairIn = null;
    actions.push({ type: 'closeMirror' });
    if (message.reason !== REFUSAL.bulk) actions.push({ type: 'sendResync' });
  }
}

/** The result of this node's work on its repair. */
export function onMirrorWork(
  state: RepairHost,
  repair: RepairIn,
  event: RepairWorkEvent,
  context: RepairContext,
  actions: RepairActions,
): void {
  repair.progressAt = context.now;
  switch (event.type) {
    case 'repairDry':
      onDry(state, repair, actions);
      break;
    case 'repairSolved':
      state.repairIn = { ...headOf(repair), phase: 'applying', differences: event.differences };
      actions.push({ type: 'applyRepair' });
      break;
    case 'repairBroken':
      actions.push({ type: 'refuse', cause: 'bad_repair' });
      failRepair(state, actions);
      break;
    case 'repairApplied':
      if (repair.phase === 'applying') repair.phase = 'proving';
      break;
    default:
      break;
  }
}
