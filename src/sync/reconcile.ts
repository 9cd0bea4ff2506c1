/**
 * Repair by difference, the pure part: when to ask for it, when to give it up, how much of it is worth while. The one
 * whose digest of the peer's states does not fit is the *mirror*, the peer is the *owner*:
 *
 *   mirror                                   owner
 *   ASK (its bucket digests)           ->
 *                                      <-    BEGIN (which buckets differ), where nothing waits to be sent
 *   snapshot of those buckets                snapshot of those buckets
 *                                      <-    SYMBOLS ...
 *   MORE, until all differences are found ->
 *   drops what only it has
 *   WANT (ids of what only the owner has) -> sends those states as ordinary records
 *                                      <-    DIGEST: the proof
 *
 * Both snapshots belong to the point of the owner's stream where BEGIN stands, though both are taken in slices while
 * traffic goes on: whatever the owner changes after that point travels behind BEGIN, and the mirror never drops what was
 * told anew since BEGIN. So changes meanwhile cost a symbol or a record too many, and never a state.
 *
 * The repair itself proves nothing and need not: the digests are compared again when it has ended. When that fails twice,
 * or the differences are so many that a list of all states is cheaper, everything is sent (BULK).
 */
import type { Recon } from './reconcile-wire.ts';
import { REFUSAL } from './reconcile-wire.ts';
import type { Context, SyncAction, SyncState } from './state.ts';
import { seqAfter } from './state.ts';
import { windowOpen } from './stream.ts';

export const REPAIR = {
  /** With fewer states than this the plain list is as cheap. */
  least: 200,
  /** Repairs in a row after which the digests still differ; then everything is sent. */
  rounds: 2,
  /** Milliseconds without any progress, the peer being there, after which a repair is given up. */
  patience: 5000,
  /** Bytes of a state in a plain list, of a symbol, of an id. */
  recordCost: 26,
  symbolCost: 16,
  idCost: 8,
  /** Symbols for each difference, as published. */
  overhead: 1.4,
  /** Symbols that are sent at least, and asked for at least. */
  first: 24,
  more: 48,
} as const;

export interface RepairIn {
  id: number;
  /** `proving`: everything asked for; the next digest tells. */
  phase: 'asked' | 'reading' | 'applying' | 'proving';
  since: number;
  progressAt: number;
  /** Symbols received, symbols asked for, and how many are worth while. */
  received: number;
  expected: number;
  most: number;
  differences: number;
}

export interface RepairOut {
  id: number;
  phase: 'asked' | 'open' | 'marking';
  progressAt: number;
  expected: number;
  wanted: number;
}

export type RepairEvent =
  | { type: 'recon'; message: Recon; adoptSeen: number }
  /** The owner's BEGIN has joined the stream, with so many symbols to follow. */
  | { type: 'repairBegun'; symbols: number }
  /** What was wanted waits to be sent. */
  | { type: 'repairMarked' }
  /** All symbols received are worked in, and they are not enough. */
  | { type: 'repairDry' }
  | { type: 'repairSolved'; differences: number }
  /** The symbols are damaged, or there is no memory for them. */
  | { type: 'repairBroken' }
  /** What only the mirror had is gone, and what only the owner has is asked for. */
  | { type: 'repairApplied' };

export type RepairAction =
  | { type: 'askRepair'; id: number }
  | { type: 'refuseRepair'; id: number; reason: number }
  | { type: 'beginRepair'; id: number }
  | { type: 'makeSymbols'; to: number }
  | { type: 'takeWants'; ids: Buffer }
  | { type: 'markWants' }
  | { type: 'closeOwner' }
  | { type: 'snapshot'; begin: Extract<Recon, { type: 'begin' }> }
  | { type: 'takeSymbols'; symbols: Buffer }
  | { type: 'askMore'; id: number; symbols: number }
  | { type: 'applyRepair' }
  | { type: 'endRepair'; id: number }
  | { type: 'closeMirror' }
  | { type: 'repaired'; differences: number; since: number };

/** Is a repair by difference cheaper than the plain list, as far as the two counts tell? */
export function worthwhile(owned: number, mirrored: number): boolean {
  if (owned < REPAIR.least || mirrored === 0) return false;
  const least = Math.abs(owned - mirrored);
  const each = REPAIR.overhead * REPAIR.symbolCost + (owned > mirrored ? REPAIR.idCost + REPAIR.recordCost : 0);
  return least * each < owned * REPAIR.recordCost;
}

/** The symbols beyond which the plain list is cheaper: each difference also costs an id or a record, at half of them. */
export function mostSymbols(owned: number): number {
  const each = REPAIR.symbolCost + (REPAIR.idCost + REPAIR.recordCost) / (2 * REPAIR.overhead);
  return Math.max(512, Math.ceil((owned * REPAIR.recordCost) / each));
}

/**
 * Symbols sent at once: as many as the differences will take by what the counts and the differing buckets (of 256) say.
 * Differences fall into buckets at random, so -256 ln(1 - b/256) of them make b buckets differ.
 */
export function firstSymbols(differing: number, owned: number, mirrored: number): number {
  const full = Math.min(differing, 250);
  const guess = Math.max(-256 * Math.log(1 - full / 256), Math.abs(owned - mirrored));
  return Math.min(mostSymbols(owned), REPAIR.first + Math.ceil(REPAIR.overhead * guess));
}

// --- the mirror ---

/** The digests differ: a repair, or everything anew. */
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

function failRepair(state: SyncState, actions: SyncAction[]): void {
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

// --- the owner ---

function onAsk(state: SyncState, ask: Extract<Recon, { type: 'ask' }>, context: Context, actions: SyncAction[]): void {
  dropRepairOut(state, actions);
  const { own } = context.counts;
  if (state.bulkOut !== 'no') actions.push({ type: 'refuseRepair', id: ask.id, reason: REFUSAL.bulk });
  else if (!worthwhile(own, ask.count)) actions.push({ type: 'refuseRepair', id: ask.id, reason: REFUSAL.few });
  else state.repairOut = { id: ask.id, phase: 'asked', progressAt: context.now, expected: 0, wanted: 0 };
}

/** Ends what this node does for the peer's repair. */
export function dropRepairOut(state: SyncState, actions: SyncAction[]): void {
  if (state.repairOut === null) return;
  state.repairOut = null;
  actions.push({ type: 'closeOwner' });
}

/** As for a digest: BEGIN must describe exactly what the stream has carried. */
export function beginReady(state: SyncState, context: Context): boolean {
  const { dirty, unsure } = context.counts;
  if (state.repairOut?.phase !== 'asked' || state.bulkOut !== 'no') return false;
  return state.alive && windowOpen(state) && dirty === 0 && !unsure;
}

function onMore(state: SyncState, repair: RepairOut, symbols: number, context: Context, actions: SyncAction[]): void {
  if (repair.phase !== 'open' || symbols <= repair.expected || symbols > mostSymbols(context.counts.own) * 2) {
    actions.push({ type: 'refuse', cause: 'bad_repair' });
    refuse(state, repair, REFUSAL.costly, actions);
    return;
  }
  repair.expected = symbols;
  actions.push({ type: 'makeSymbols', to: symbols });
}

function onWant(
  state: SyncState,
  repair: RepairOut,
  message: Extract<Recon, { type: 'want' }>,
  context: Context,
  actions: SyncAction[],
): void {
  repair.wanted += message.ids.length / REPAIR.idCost;
  if (repair.phase !== 'open' || repair.wanted > mostSymbols(context.counts.own) * 2) {
    actions.push({ type: 'refuse', cause: 'bad_repair' });
    refuse(state, repair, REFUSAL.costly, actions);
    return;
  }
  actions.push({ type: 'takeWants', ids: message.ids });
  if (!message.last) return;
  repair.phase = 'marking';
  actions.push({ type: 'markWants' });
}

function refuse(state: SyncState, repair: RepairOut, reason: number, actions: SyncAction[]): void {
  actions.push({ type: 'refuseRepair', id: repair.id, reason });
  dropRepairOut(state, actions);
}

// --- both ---

export function onRepair(state: SyncState, event: RepairEvent, context: Context, actions: SyncAction[]): void {
  if (event.type === 'recon') onMessage(state, event.message, event.adoptSeen, context, actions);
  else if (state.repairOut !== null && (event.type === 'repairBegun' || event.type === 'repairMarked')) {
    onOwnerWork(state, state.repairOut, event, context);
  } else if (state.repairIn !== null) onMirrorWork(state, state.repairIn, event, context, actions);
}

function onMessage(state: SyncState, message: Recon, adoptSeen: number, context: Context, actions: SyncAction[]): void {
  if (message.type === 'ask') {
    onAsk(state, message, context, actions);
    return;
  }
  const { repairIn, repairOut } = state;
  const toMirror = message.type === 'begin' || message.type === 'symbols' || message.type === 'refuse';
  const repair = toMirror ? repairIn : repairOut;
  // What was on its way when one side gave up.
  if (repair === null || repair.id !== message.id) return;
  repair.progressAt = context.now;
  if (toMirror && repairIn !== null) onMirrorMessage(state, repairIn, message, adoptSeen, context, actions);
  else if (repairOut !== null) onOwnerMessage(state, repairOut, message, context, actions);
}

function onMirrorMessage(
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

function onOwnerMessage(
  state: SyncState,
  repair: RepairOut,
  message: Recon,
  context: Context,
  actions: SyncAction[],
): void {
  if (message.type === 'more') onMore(state, repair, message.symbols, context, actions);
  else if (message.type === 'want') onWant(state, repair, message, context, actions);
  else if (message.type === 'end') {
    dropRepairOut(state, actions);
    state.digestNow = true;
  }
}

function onOwnerWork(state: SyncState, repair: RepairOut, event: RepairEvent, context: Context): void {
  repair.progressAt = context.now;
  if (event.type === 'repairBegun') {
    repair.phase = 'open';
    repair.expected = event.symbols;
  } else {
    state.repairOut = null;
    state.digestNow = true;
  }
}

function onMirrorWork(
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

/** @param between no datagram is being applied just now: a BEGIN says how far the peer's stream was applied */
export function repairTimers(state: SyncState, between: boolean, context: Context, actions: SyncAction[]): void {
  const { repairIn, repairOut } = state;
  if (between && repairOut !== null && beginReady(state, context))
    actions.push({ type: 'beginRepair', id: repairOut.id });
  for (const repair of [repairIn, repairOut]) {
    // A cut link stops the stream, not the repair: it goes on where it was.
    if (repair !== null && !state.alive) repair.progressAt = context.now;
  }
  if (repairIn !== null && context.now - repairIn.progressAt >= REPAIR.patience) failRepair(state, actions);
  if (repairOut !== null && context.now - repairOut.progressAt >= REPAIR.patience) dropRepairOut(state, actions);
}

export function repairDeadline(state: SyncState, context: Context): number {
  if (beginReady(state, context)) return context.now;
  const times = [state.repairIn, state.repairOut].map((repair) => repair?.progressAt ?? Number.POSITIVE_INFINITY);
  return Math.min(...times) + REPAIR.patience;
}
