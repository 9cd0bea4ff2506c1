/**
 * `defer = true`: the first answer of a connection waits until the peer's kernel has the connection. What it answers is read
 * from the kernel and told, then all there is to wait for is that everything told by then is acknowledged.
 */
import type { DeferQueue } from '../../kernel/defer-queue.ts';
import { seqAfter } from '../wire/sequence.ts';

interface DeferPorts {
  /** The connection as the kernel has it now, a whole message. */
  connection(message: Buffer): void;
  /** Takes what the kernel has reported. */
  takeEvents(): void;
  /** Gives all changes to the stream, for an acknowledgement without delay. */
  flush(): void;
  /** Nothing waits to be given to the stream. */
  drained(): boolean;
  /** The last number given to the stream, and the last acknowledged; null: there is no peer to wait for. */
  stream(): { sent: number; acked: number } | null;
  /** `defer_late`: forwarded without acknowledgement; `defer_unknown`: no such connection. */
  count(name: string): void;
}

interface Held {
  id: number;
  /** The number whose acknowledgement releases it; null: not all is given to the stream yet. */
  seq: number | null;
  due: number;
}

export class Defer {
  private readonly queue: DeferQueue;
  private readonly ports: DeferPorts;
  /** A packet waits this long at most, ms; then it goes, counted: a slow link must not stop connections. */
  private readonly most: number;
  private held: Held[] = [];

  constructor(queue: DeferQueue, most: number, ports: DeferPorts) {
    this.queue = queue;
    this.most = most;
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
    // Without a peer nothing is told; the packets go on below.
    const told = this.ports.stream() !== null;
    // What was reported before is older than what is read now.
    if (told) this.ports.takeEvents();
    for (const { id, head } of packets) {
      this.held.push({ id, seq: null, due: now + this.most });
      const connection = told ? this.queue.connection(head) : null;
      if (connection !== null) this.ports.connection(connection);
      else if (told) this.ports.count('defer_unknown');
    }
    if (told) this.ports.flush();
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
