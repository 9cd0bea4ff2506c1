/**
 * A digest and the BEGIN of a repair describe exactly what the stream has carried: when they may join it. Pure.
 */
import type { Context, SyncState } from './state.ts';
import { windowOpen } from './stream.ts';

/** May this node's digest be appended to the stream now? Only when it describes exactly what the stream has carried. */
export function digestReady(state: SyncState, context: Context): boolean {
  const { counts } = context;
  return (
    state.alive &&
    windowOpen(state) &&
    counts.dirty === 0 &&
    !counts.unsure &&
    state.bulkOut === 'no' &&
    state.repairOut === null
  );
}

/** May the BEGIN of a repair that the peer has asked for be appended to the stream now? */
export function beginReady(state: SyncState, context: Context): boolean {
  const { dirty, unsure } = context.counts;
  if (state.repairOut?.phase !== 'asked' || state.bulkOut !== 'no') return false;
  return state.alive && windowOpen(state) && dirty === 0 && !unsure;
}
