/** The words for what the session machine finds: made here and nowhere else, when a person is to read them. Pure. */
import type { SyncNotice } from '../../contract/sync-notice.ts';
import type { StepCause } from './in-step.ts';
import type { AdoptCause, SessionEvent } from './state.ts';

const ADOPTED: Readonly<Record<AdoptCause, string>> = {
  peerGone: 'master, and the peer is gone',
  peerNotMaster: 'master, and the peer is not',
  peerStartedAgain: 'master, and the peer has started again',
  peerKnowsNone: 'the peer has started again, and knows none of them',
  bothMaster: 'both are master, and the peer knows none of them',
};

export function noticeOf(event: SessionEvent): SyncNotice {
  switch (event.kind) {
    case 'sync.adopt':
      return { kind: event.kind, states: event.states, reason: ADOPTED[event.cause] };
    case 'sync.peer':
      if (event.alive) return event;
      return { kind: event.kind, alive: false, reason: `nothing heard on the sync link for ${event.silentMs} ms` };
    default:
      return event;
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** Why the pair is not in step, or why that is not known. */
export function stepReason(cause: StepCause): string {
  switch (cause.type) {
    case 'neverHeard':
      return 'the peer has not been heard on the sync link';
    case 'silent':
      return `the peer has been silent for ${seconds(cause.ms)}`;
    case 'auditing':
      return "reading the kernel's table again";
    case 'learning':
      return "learning the peer's states";
    case 'sending':
      return "sending this node's states";
    case 'repairing':
      return 'repairing the difference';
    case 'notCompared':
      return 'not yet compared';
    case 'differ':
      return 'the digests differ';
    case 'missing':
      return `${cause.at === 'peer' ? "the peer's" : 'this'} kernel lacks ${cause.states} mirrored states`;
    case 'unclaimed':
      return `${cause.states} states ${cause.at === 'peer' ? 'on the peer' : 'here'} have no owner yet`;
    case 'stale':
      return `last compared ${seconds(cause.ms)} ago`;
  }
}
