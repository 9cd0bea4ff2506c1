/**
 * Repair: makes two tables equal by their difference. These are its pure rules: when to ask for one, when to give it
 * up, how much of it is worth while. The node whose digest of the peer's states does not fit is the *mirror*, the peer
 * is the *owner*:
 *
 *   mirror                                   owner
 *   ASK (its bucket digests)           ->
 *                                      <-    BEGIN (which buckets differ), where nothing waits to be sent
 *   snapshot of those buckets                snapshot of those buckets
 *                                      <-    SYMBOLS ...
 *   MORE, until all differences are found ->
 *   drops what only it has
 *   WANT (ids of what only the owner has) -> sends those states as ordinary updates
 *                                      <-    DIGEST: the proof
 *
 * Both snapshots belong to the point of the owner's stream where BEGIN stands, though both are taken in slices while
 * traffic goes on. Whatever the owner changes after that point travels behind BEGIN, and the mirror never drops a state
 * that came behind BEGIN. So a change meanwhile costs a symbol or an update too many, and never a state.
 *
 * The repair itself proves nothing: the digests are compared again when it has ended. After two repairs that left a
 * difference, or when a list of all states is cheaper, everything is sent (BULK). Pure.
 */
import type { RepairMessage } from '../wire/repair.ts';
import { REPAIR } from './cost.ts';
import { failRepair, onMirrorMessage, onMirrorWork } from './mirror-rules.ts';
import { dropRepairOut, onAsk, onOwnerMessage, onOwnerWork } from './owner-rules.ts';
import type { RepairActions, RepairContext, RepairEvent, RepairHost } from './state.ts';

export function onRepair(state: RepairHost, event: RepairEvent, context: RepairContext, actions: RepairActions): void {
  if (event.type === 'repairMessage') onMessage(state, event.message, event.adoptSeen, context, actions);
  else if (state.repairOut !== null && (event.type === 'repairBegun' || event.type === 'repairMarked')) {
    onOwnerWork(state, state.repairOut, event, context);
  } else if (state.repairIn !== null) onMirrorWork(state, state.repairIn, event, context, actions);
}

function onMessage(
  state: RepairHost,
  message: RepairMessage,
  adoptSeen: number,
  context: RepairContext,
  actions: RepairActions,
): void {
  if (message.type === 'ask') {
    onAsk(state, message, context, actions);
    return;
  }
  const { repairIn, repairOut } = state;
  const toMirror = message.type === 'begin' || message.type === 'symbols' || message.type === 'refuse';
  const repair = toMirror ? repairIn : repairOut;
  // A message that was on its way when one side gave up.
  if (repair === null || repair.id !== message.id) return;
  repair.progressAt = context.now;
  if (toMirror && repairIn !== null) onMirrorMessage(state, repairIn, message, adoptSeen, context, actions);
  else if (repairOut !== null) onOwnerMessage(state, repairOut, message, context, actions);
}

/** @param mayBegin BEGIN may join the stream now: it would describe exactly what the stream has carried */
export function repairTimers(
  state: RepairHost,
  mayBegin: boolean,
  context: RepairContext,
  actions: RepairActions,
): void {
  const { repairIn, repairOut } = state;
  if (mayBegin && repairOut !== null) actions.push({ type: 'beginRepair', id: repairOut.id });
  for (const repair of [repairIn, repairOut]) {
    // A cut link stops the stream, not the repair: the repair goes on where it was.
    if (repair !== null && !state.alive) repair.progressAt = context.now;
  }
  if (repairIn !== null && context.now - repairIn.progressAt >= REPAIR.patience) failRepair(state, actions);
  if (repairOut !== null && context.now - repairOut.progressAt >= REPAIR.patience) dropRepairOut(state, actions);
}

/** When a repair is given up if nothing comes of it. */
export function repairDeadline(state: RepairHost): number {
  const times = [state.repairIn, state.repairOut].map((repair) => repair?.progressAt ?? Number.POSITIVE_INFINITY);
  return Math.min(...times) + REPAIR.patience;
}
