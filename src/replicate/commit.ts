/**
 * A push as the replica lives it: staged, applied, and kept only when the source confirms in time. Whatever else
 * happens (the channel is lost, the source dies, the new rules cut the cable) it is undone. Pure; times in ms.
 */

export type CommitState =
  | { phase: 'idle'; committed: string | null }
  | { phase: 'applying'; id: string; by: number; undo: string | null; committed: string | null }
  | { phase: 'waiting'; id: string; by: number; committed: string | null }
  | { phase: 'undoing'; id: string; reason: string; committed: string | null };

export type CommitEvent =
  | { type: 'apply'; id: string; confirmMs: number }
  | { type: 'applied'; error: string | null }
  | { type: 'confirm'; id: string }
  | { type: 'abort'; id: string; reason: string }
  | { type: 'undone' }
  /** The confirmed one could not be kept. */
  | { type: 'uncommitted'; id: string; reason: string }
  | { type: 'tick' };

export type CommitAction =
  | { type: 'apply'; id: string }
  /** Answer the source: it stands in the kernel. */
  | { type: 'stands' }
  | { type: 'commit'; id: string }
  | { type: 'undo'; id: string; reason: string }
  /** Nothing was changed: only what was staged goes. */
  | { type: 'discard'; id: string; reason: string }
  | { type: 'refuse'; reason: string }
  | { type: 'accept' };

export const freshCommit = (): CommitState => ({ phase: 'idle', committed: null });

export function stepCommit(
  state: CommitState,
  event: CommitEvent,
  now: number,
): { state: CommitState; actions: CommitAction[] } {
  switch (event.type) {
    case 'apply':
      return onApply(state, event, now);
    case 'applied':
      return onApplied(state, event.error, now);
    case 'confirm':
      return onConfirm(state, event.id, now);
    case 'abort':
      return onAbort(state, event);
    case 'undone':
      return state.phase === 'undoing' ? become({ phase: 'idle', committed: state.committed }) : become(state);
    case 'uncommitted':
      return state.phase === 'idle' && state.committed === event.id
        ? undo({ phase: 'waiting', id: event.id, by: now, committed: null }, event.reason)
        : become(state);
    case 'tick':
      return state.phase === 'waiting' && now >= state.by ? undo(state, late(state.id)) : become(state);
  }
}

const become = (state: CommitState, ...actions: CommitAction[]): { state: CommitState; actions: CommitAction[] } => ({
  state,
  actions,
});

const late = (_id: string): string => 'the source did not confirm in time';

function undo(state: CommitState & { id: string }, reason: string): ReturnType<typeof stepCommit> {
  const { id, committed } = state;
  return become({ phase: 'undoing', id, reason, committed }, { type: 'undo', id, reason });
}

function onApply(
  state: CommitState,
  { id, confirmMs }: Extract<CommitEvent, { type: 'apply' }>,
  now: number,
): ReturnType<typeof stepCommit> {
  if (state.phase !== 'idle') {
    const what = state.phase === 'waiting' ? 'waits for its confirmation' : `is ${state.phase}`;
    return become(state, { type: 'refuse', reason: `another push ${what}; try again in some seconds` });
  }
  const { committed } = state;
  return become({ phase: 'applying', id, by: now + confirmMs, undo: null, committed }, { type: 'apply', id });
}

function onApplied(state: CommitState, error: string | null, now: number): ReturnType<typeof stepCommit> {
  if (state.phase !== 'applying') return become(state);
  const { id, by, committed } = state;
  if (error !== null) {
    return become(
      { phase: 'idle', committed },
      { type: 'discard', id, reason: error },
      { type: 'refuse', reason: error },
    );
  }
  const reason = state.undo ?? (now >= by ? 'applying it took longer than the time to confirm' : null);
  if (reason === null) return become({ phase: 'waiting', id, by, committed }, { type: 'stands' });
  const undone = undo(state, reason);
  return become(undone.state, { type: 'refuse', reason }, ...undone.actions);
}

function onConfirm(state: CommitState, id: string, now: number): ReturnType<typeof stepCommit> {
  // The answer to the first confirmation may have been lost.
  if (state.committed === id) return become(state, { type: 'accept' });
  if (state.phase !== 'waiting' || state.id !== id) {
    return become(state, { type: 'refuse', reason: 'this push is not waiting for a confirmation; it was undone' });
  }
  if (now < state.by) {
    return become({ phase: 'idle', committed: id }, { type: 'commit', id }, { type: 'accept' });
  }
  const undone = undo(state, late(id));
  return become(undone.state, { type: 'refuse', reason: late(id) }, ...undone.actions);
}

function onAbort(
  state: CommitState,
  { id, reason }: Extract<CommitEvent, { type: 'abort' }>,
): ReturnType<typeof stepCommit> {
  if (state.phase === 'applying' && state.id === id) return become({ ...state, undo: reason }, { type: 'accept' });
  if (state.phase !== 'waiting' || state.id !== id) return become(state, { type: 'accept' });
  const undone = undo(state, reason);
  return become(undone.state, ...undone.actions, { type: 'accept' });
}
