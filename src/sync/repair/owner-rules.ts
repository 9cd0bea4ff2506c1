/** The owner's rules of a repair (rules.ts): whether it is worth while, and what the mirror may ask. Pure. */
import type { RepairMessage } from '../wire/repair.ts';
import { REFUSAL } from '../wire/repair.ts';
import { mostSymbols, REPAIR, worthwhile } from './cost.ts';
import type { RepairActions, RepairContext, RepairHost, RepairOut, RepairWorkEvent } from './state.ts';

/** The mirror asks for a repair. One that still runs is dropped. */
export function onAsk(
  state: RepairHost,
  ask: Extract<RepairMessage, { type: 'ask' }>,
  context: RepairContext,
  actions: RepairActions,
): void {
  dropRepairOut(state, actions);
  const { own } = context.counts;
  if (state.bulkOut !== 'no') actions.push({ type: 'refuseRepair', id: ask.id, reason: REFUSAL.bulk });
  else if (!worthwhile(own, ask.count)) actions.push({ type: 'refuseRepair', id: ask.id, reason: REFUSAL.few });
  else state.repairOut = { id: ask.id, phase: 'asked', progressAt: context.now };
}

/** Ends what this node does for the peer's repair. */
export function dropRepairOut(state: RepairHost, actions: RepairActions): void {
  if (state.repairOut === null) return;
  state.repairOut = null;
  actions.push({ type: 'closeOwner' });
}

function onMore(
  state: RepairHost,
  repair: RepairOut,
  symbols: number,
  context: RepairContext,
  actions: RepairActions,
): void {
  if (repair.phase !== 'open' || symbols <= repair.expected || symbols > mostSymbols(context.counts.own) * 2) {
    actions.push({ type: 'refuse', cause: 'bad_repair' });
    refuse(state, repair, REFUSAL.costly, actions);
    return;
  }
  repair.expected = symbols;
  actions.push({ type: 'makeSymbols', to: symbols });
}

function onWant(
  state: RepairHost,
  repair: RepairOut,
  message: Extract<RepairMessage, { type: 'want' }>,
  context: RepairContext,
  actions: RepairActions,
): void {
  const wanted = message.ids.length / REPAIR.idCost + (repair.phase === 'open' ? repair.wanted : 0);
  if (repair.phase !== 'open' || wanted > mostSymbols(context.counts.own) * 2) {
    actions.push({ type: 'refuse', cause: 'bad_repair' });
    refuse(state, repair, REFUSAL.costly, actions);
    return;
  }
  actions.push({ type: 'takeWants', ids: message.ids });
  repair.wanted = wanted;
  if (!message.last) return;
  state.repairOut = { id: repair.id, progressAt: repair.progressAt, phase: 'marking' };
  actions.push({ type: 'markWants' });
}

function refuse(state: RepairHost, repair: RepairOut, reason: number, actions: RepairActions): void {
  actions.push({ type: 'refuseRepair', id: repair.id, reason });
  dropRepairOut(state, actions);
}

/** A message of the mirror. */
export function onOwnerMessage(
  state: RepairHost,
  repair: RepairOut,
  message: RepairMessage,
  context: RepairContext,
  actions: RepairActions,
): void {
  if (message.type === 'more') onMore(state, repair, message.symbols, context, actions);
  else if (message.type === 'want') onWant(state, repair, message, context, actions);
  else if (message.type === 'end') {
    dropRepairOut(state, actions);
    state.digestNow = true;
  }
}

/** The result of this node's work on the peer's repair. */
export function onOwnerWork(
  state: RepairHost,
  repair: RepairOut,
  event: RepairWorkEvent,
  context: RepairContext,
): void {
  repair.progressAt = context.now;
  if (event.type === 'repairBegun') {
    const { id, progressAt } = repair;
    state.repairOut = { id, progressAt, phase: 'open', expected: event.symbols, wanted: 0 };
  } else {
    state.repairOut = null;
    state.digestNow = true;
  }
}
