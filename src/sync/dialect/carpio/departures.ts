/** What leaves on the stream, and in which order: states first, then what follows them, then the pieces of repairs. */
import type { Repairer } from '../../repair/runner.ts';
import type { SyncEvent, SyncState } from '../../session/state.ts';
import { LIMITS } from '../../session/state.ts';
import type { Engine } from '../../table/engine.ts';
import { MSG, message } from '../../wire/datagram.ts';
import type { Outbox } from './outbox.ts';

/** Messages that may wait for the states before them, and how many of them are given to the stream at once. */
const MOST_BEHIND = 1024;
const BEHIND_AT_ONCE = 64;

interface DepartureParts {
  readonly engine: Engine;
  readonly state: SyncState;
  readonly outbox: Outbox;
  readonly repairer: Repairer;
  step(event: SyncEvent): void;
}

export class Departures {
  private readonly parts: DepartureParts;
  private claimsSeen = 0;
  /** Messages that follow every state that waits now. */
  private behind: Buffer[] = [];

  constructor(parts: DepartureParts) {
    this.parts = parts;
  }

  /** The session has ended. */
  close(): void {
    this.behind = [];
  }

  /** Nothing is to be sent but states that kernel events have changed. */
  idle(): boolean {
    const { state, outbox } = this.parts;
    const settled = state.bulkOut === 'no' && !state.late && this.claims() === this.claimsSeen;
    return settled && this.behind.length === 0 && outbox.empty();
  }

  /** Gives datagrams to the stream while there is something to send and the window is open. */
  fill(): void {
    while (this.parts.outbox.fill()) this.parts.step({ type: 'sent' });
  }

  /** A message that follows all states that wait now. False: too many wait already. */
  follow(bytes: Buffer): boolean {
    if (this.behind.length >= MOST_BEHIND) return false;
    this.behind.push(bytes);
    return true;
  }

  pump(): void {
    const { engine, state, outbox, step } = this.parts;
    this.noteClaims();
    this.fill();
    this.sendBehind();
    this.sendRepairs();
    if (engine.dirtyCount() > 0 || !outbox.empty()) return;
    if (state.bulkOut === 'running' && engine.bulkActive() === 0) {
      step({ type: 'bulkSent' });
      outbox.push(message(MSG.BULK_END, Buffer.alloc(0)));
      this.fill();
    }
    if (state.late && engine.owedAnswers() === 0) step({ type: 'drained' });
  }

  private sendBehind(): void {
    const { engine, outbox } = this.parts;
    while (this.behind.length > 0 && engine.dirtyCount() === 0 && outbox.empty()) {
      for (const bytes of this.behind.splice(0, BEHIND_AT_ONCE)) outbox.push(bytes);
      this.fill();
    }
  }

  /** Symbols and ids leave half of the window to the states. */
  private sendRepairs(): void {
    const { state, outbox, repairer } = this.parts;
    while (outbox.empty() && ((state.txSeq - state.txAcked) | 0) < LIMITS.window / 2) {
      const next = repairer.nextMessage(outbox.messageRoom);
      if (next === null) return;
      outbox.push(next);
      this.fill();
    }
  }

  /** Traffic or a conflict has changed the owner of a state: until the peer knows, its digest is about another set. */
  private noteClaims(): void {
    const claims = this.claims();
    if (claims === this.claimsSeen) return;
    this.claimsSeen = claims;
    this.parts.step({ type: 'late' });
  }

  private claims(): number {
    const { engine } = this.parts;
    return engine.counter('claims') + engine.counter('conflicts');
  }
}
