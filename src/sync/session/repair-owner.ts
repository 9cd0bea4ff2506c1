/** The owner's rules of a repair by difference (reconcile.ts): whether it is worth while, and what the mirror may ask. Pure. */
import type { Recon } from '../wire/repair.ts';
import { REFUSAL } from '../wire/repair.ts';
import { mostSymbols, REPAIR, worthwhile } from '../wire/repair-cost.ts';
import type { RepairEvent, RepairOut } from '../wire/repair-types.ts';
import type { Context, SyncAction, SyncState } from './state.ts';
import { windowOpen } from './stream.ts';

// --- the owner ---

/** The mirror asks for a repair; one that still ran is forgotten. */
export function onAsk(
  state: SyncState,
  ask: Extract<Recon, { type: 'ask' }>,
  context: Context,
  actions: SyncAction[],
): void {
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

/** A message of the mirror's. */
export function onOwnerMessage(
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

/** What this node's own work for the repair has come to. */
export function onOwnerWork(state: SyncState, repair: RepairOut, event: RepairEvent, context: Context): void {
  repair.progressAt = context.now;
  if (event.type === 'repairBegun') {
    repair.phase = 'open';
    repair.expected = event.symbols;
  } else {
    state.repairOut = null;
    state.digestNow = true;
  }
}
