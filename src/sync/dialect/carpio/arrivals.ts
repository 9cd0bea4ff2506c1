/** The way of a datagram of the peer: opened (inbox.ts), judged by the session machine, applied (applier.ts). */
import type { SyncAction, SyncEvent, SyncState } from '../../session/state.ts';
import { seqAdd } from '../../wire/sequence.ts';
import type { Applier } from './applier.ts';
import type { Datagram, Inbox, OpenedHello } from './inbox.ts';
import type { KeyRoll } from './key-roll.ts';

interface ArrivalParts {
  /** This node's name; the tie-break between equals. */
  readonly name: string;
  readonly state: SyncState;
  readonly inbox: Inbox;
  readonly applier: Applier;
  readonly roll: KeyRoll;
  /** Runs one event through the session machine. */
  decide(event: SyncEvent): SyncAction[];
  perform(action: SyncAction): void;
  /** Both at once. */
  step(event: SyncEvent): void;
  count(name: string): void;
  /** A session with this peer has begun. */
  peerName(name: string): void;
  /** The peer asks for a HELLO: it wants to know this node's keys. */
  helloAsked(): void;
}

export class Arrivals {
  private readonly parts: ArrivalParts;

  constructor(parts: ArrivalParts) {
    this.parts = parts;
  }

  take(bytes: Buffer, now: number): void {
    const { inbox, state, count } = this.parts;
    const arrival = inbox.open(bytes, now);
    if (arrival.kind === 'refused') count(arrival.cause);
    else if (arrival.kind === 'hello') this.onHello(arrival.hello);
    else {
      this.judge(arrival.datagram);
      this.parts.applier.takeLoose(arrival.datagram);
      for (;;) {
        const next = inbox.release(seqAdd(state.rxSeq, 1));
        if (next === null) return;
        // Its loose messages were taken when it came: only its place in the stream is new.
        this.judge(next);
      }
    }
  }

  /**
   * The machine's verdict on the datagram is among its actions, in its place: what it decides behind that comes after.
   */
  private judge(datagram: Datagram): void {
    const { inbox, applier, decide, perform } = this.parts;
    for (const action of decide({ type: 'fast', fixed: datagram.fixed })) {
      if (action.type === 'apply') applier.apply(datagram);
      else if (action.type === 'hold') inbox.hold(datagram);
      else perform(action);
    }
  }

  private onHello(hello: OpenedHello): void {
    const { name, state, roll, step, peerName, helloAsked } = this.parts;
    const { nonce, counter, node, echo, keys, ask } = hello;
    const before = state.peerNonce;
    step({ type: 'hello', nonce, echo, junior: name > node });
    if (state.peerNonce !== before) peerName(node);
    if (state.peerNonce !== nonce) return;
    roll.heard({ nonce, counter, node, ids: keys });
    if (ask) helloAsked();
  }
}
