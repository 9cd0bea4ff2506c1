/**
 * The helpers' expectations on both nodes. The node that forwards tells each one as it comes and goes, behind the state of
 * the connection it belongs to; the peer puts it into its kernel. After a take-over the data connection that was agreed
 * on before still passes, and the helper reads on in the control connection.
 *
 * They are not compared: they live for seconds to minutes, the kernel ends them by itself, and a lost one costs one
 * transfer. A peer that has begun anew is told all of them once it is in step.
 */
import type { Expectations } from '../../kernel/expect.ts';
import { decodeExpectation, encodeExpectation } from '../wire/expectation.ts';

/** Expectations that may wait to be told; more are left out, counted. */
const MOST_WAITING = 1024;
/**
 * The helper tells of an expectation just before it rewrites the command that led to it: what that did to the sequence
 * numbers is seen by another look at the connection a little later. Milliseconds, and how many of them may be pending.
 */
const LOOK_AGAIN = 10;
const MOST_LOOKS = 256;

const ENOENT = 2;

interface ExpectationPorts {
  /** A connection as the kernel has it now, a whole message: as if its event had just come. */
  connection(message: Buffer): void;
  /** Behind all that waits to be told now. False: there is no room. */
  send(content: Buffer): boolean;
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
   * @param forwards this node is master of something: what its kernel expects is news for the peer
   * @param peer the peer's nonce; `null`: there is none
   * @param inStep asked only when the peer has not been told all of them
   */
  step(now: number, forwards: boolean, peer: string | null, inStep: () => boolean): void {
    const { events, overrun } = this.kernel.receive();
    if (overrun) this.sentTo = null;
    while ((this.looks[0]?.at ?? Number.POSITIVE_INFINITY) <= now) this.look(this.looks.shift()?.payload);
    if (!forwards) return;
    for (const { gone, payload } of events) {
      if (!gone) this.look(payload);
      if (!gone && this.looks.length < MOST_LOOKS) this.looks.push({ at: now + LOOK_AGAIN, payload });
      this.send(gone, payload);
    }
    if (peer === null || peer === this.sentTo || !inStep()) return;
    this.sentTo = peer;
    for (const payload of this.kernel.list().slice(0, MOST_WAITING)) this.send(false, payload);
  }

  /** What the peer tells. */
  take(content: Buffer): void {
    const message = decodeExpectation(content);
    if (message === null) {
      this.ports.count('bad_expectation');
      return;
    }
    try {
      if (message.gone) this.kernel.remove(message.payload);
      else this.kernel.create(message.payload);
    } catch (error) {
      // One that is gone already has been used or has ended by itself.
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
