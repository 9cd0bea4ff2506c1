/**
 * The expectations of the kernel's helpers, on both nodes. The node that forwards sends each one when it comes and when
 * it goes, behind the state of the connection that it belongs to, and the peer writes it into its kernel. So after a
 * take-over a data connection that was agreed on before still passes, and the helper goes on reading the control
 * connection.
 *
 * Expectations are not compared: they live for seconds to minutes, the kernel ends them by itself, and a lost one costs
 * one transfer. A peer that has started again gets all of them once it is in step.
 */
import type { Expectations } from '../../kernel/expect.ts';
import { decodeExpectation, encodeExpectation } from '../wire/expectation.ts';

/** So many expectations may wait to be sent; more are left out and counted. */
const MOST_WAITING = 1024;
/**
 * The kernel reports an expectation just before its helper rewrites the command that led to it. Another look at the
 * connection a little later sees what the rewriting did to the sequence numbers. At most MOST_LOOKS may be pending.
 */
const LOOK_AGAIN_MS = 10;
const MOST_LOOKS = 256;

const ENOENT = 2;

interface ExpectationPorts {
  /** A connection as the kernel has it now, a whole message: as if its event had just come. */
  connection(message: Buffer): void;
  /** Sends it behind all that waits to be sent now. False: there is no room. */
  send(content: Buffer): boolean;
  /** May the peer have this one written here? */
  allows(payload: Buffer): boolean;
  count(name: string): void;
}

export class ExpectationSync {
  private readonly kernel: Expectations;
  private readonly ports: ExpectationPorts;
  private readonly looks: { at: number; payload: Buffer }[] = [];
  private sentTo: string | null = null;

  constructor(kernel: Expectations, ports: ExpectationPorts) {
    this.kernel = kernel;
    this.ports = ports;
  }

  /** When `step` wants to be called at the latest. */
  deadline(): number {
    return this.looks[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /**
   * @param forwards this node is master of something, so its expectations are for the peer
   * @param peer the peer's nonce; `null`: there is none
   * @param inStep called only when the peer has not got all of them
   */
  step(now: number, forwards: boolean, peer: string | null, inStep: () => boolean): void {
    const { events, overrun } = this.kernel.receive();
    if (overrun) this.sentTo = null;
    while ((this.looks[0]?.at ?? Number.POSITIVE_INFINITY) <= now) this.look(this.looks.shift()?.payload);
    if (!forwards) return;
    for (const { gone, payload } of events) {
      if (!gone) this.look(payload);
      if (!gone && this.looks.length < MOST_LOOKS) this.looks.push({ at: now + LOOK_AGAIN_MS, payload });
      this.send(gone, payload);
    }
    if (peer === null || peer === this.sentTo || !inStep()) return;
    this.sentTo = peer;
    for (const payload of this.kernel.list().slice(0, MOST_WAITING)) this.send(false, payload);
  }

  /** An expectation of the peer. */
  take(content: Buffer): void {
    const message = decodeExpectation(content);
    if (message === null) {
      this.ports.count('bad_expectation');
      return;
    }
    if (!message.gone && !this.ports.allows(message.payload)) {
      this.ports.count('expectation_kept_out');
      return;
    }
    try {
      if (message.gone) this.kernel.remove(message.payload);
      else this.kernel.create(message.payload);
    } catch (error) {
      // An expectation that is gone already was used, or has ended by itself.
      const gone = message.gone && (error as { errno?: number }).errno === ENOENT;
      if (!gone) this.ports.count('expectation_refused');
    }
  }

  close(): void {
    this.kernel.close();
  }

  private look(payload: Buffer | undefined): void {
    const message = payload === undefined ? null : this.kernel.masterOf(payload);
    if (message !== null) this.ports.connection(message);
  }

  private send(gone: boolean, payload: Buffer): void {
    const content = encodeExpectation({ gone, payload });
    if (content === null || !this.ports.send(content)) this.ports.count('expectation_left_out');
  }
}
