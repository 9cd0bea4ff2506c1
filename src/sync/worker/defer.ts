/**
 * `defer = true`: the first answer of a connection waits until the peer's kernel has the connection. The connection is
 * read from the kernel and sent to the peer; the packet goes when all that was sent by then is acknowledged.
 */
import type { DeferQueue } from '../../kernel/defer-queue.ts';
import { seqAfter } from '../wire/sequence.ts';

interface DeferPorts {
  /** The connection as the kernel has it now, a whole message. */
  connection(message: Buffer): void;
  /** Takes the events that wait. */
  takeEvents(): void;
  /** Gives all changes to the stream, and asks for an acknowledgement without delay. */
  flush(): void;
  /** Nothing waits to be given to the stream. */
  drained(): boolean;
  /** The last number that was sent, and the last that was acknowledged; null: there is no peer to wait for. */
  stream(): { sent: number; acked: number } | null;
  /** `defer_late`: released without acknowledgement; `defer_unknown`: no such connection. */
  count(name: string): void;
}

interface Held {
  id: number;
  /** The acknowledgement of this number releases the packet; null: not all changes are in the stream yet. */
  seq: number | null;
  due: number;
}

export class Defer {
  private readonly queue: DeferQueue;
  private readonly ports: DeferPorts;
  /** A packet waits so long at most; then it is released and counted: a slow link must not stop connections. */
  private readonly mostMs: number;
  private held: Held[] = [];

  constructor(queue: DeferQueue, mostMs: number, ports: DeferPorts) {
    this.queue = queue;
    this.mostMs = mostMs;
    this.ports = ports;
  }

  /** When `step` wants to be called at the latest. */
  deadline(): number {
    return this.held[0]?.due ?? Number.POSITIVE_INFINITY;
  }

  step(now: number): void {
    this.take(now);
    this.mark();
    this.release(now);
  }

  private take(now: number): void {
    const packets = this.queue.receive();
    if (packets.length === 0) return;
    // Without a peer nothing is sent, and `release` lets the packets go.
    const peer = this.ports.stream() !== null;
    // The events that wait are older than what is read now.
    if (peer) this.ports.takeEvents();
    for (const { id, head } of packets) {
      this.held.push({ id, seq: null, due: now + this.mostMs });
      const connection = peer ? this.queue.connection(head) : null;
      if (connection !== null) this.ports.connection(connection);
      else if (peer) this.ports.count('defer_unknown');
    }
    if (peer) this.ports.flush();
  }

  private mark(): void {
    const stream = this.ports.stream();
    if (stream === null || !this.ports.drained()) return;
    for (const one of this.held) one.seq ??= stream.sent;
  }

  private release(now: number): void {
    const stream = this.ports.stream();
    let done = 0;
    for (const { seq, due } of this.held) {
      const known = stream === null || (seq !== null && !seqAfter(seq, stream.acked));
      if (!known && now < due) break;
      if (!known) this.ports.count('defer_late');
      done += 1;
    }
    const last = this.held[done - 1];
    if (last === undefined) return;
    this.queue.release(last.id);
    this.held = this.held.slice(done);
  }
}
