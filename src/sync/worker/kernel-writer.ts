/**
 * Changes of the kernel's connection table: takes them out of the module, gives them to the kernel, and brings its refusals back.
 *
 * A piece that the kernel did not take (no memory for the message: it has read nothing of it) is kept and given again
 * before anything else, so that nothing is lost and nothing overtakes. Until then the module believes to be in the kernel what is not: no
 * dump may be compared with the table, or an adopted state that only waits here would be taken for an ended one.
 */

import type { Engine } from '../table/engine.ts';
import type { DataplaneIo } from './dataplane-io.ts';

/** Ms until a piece is given again. */
const AGAIN = 10;

interface WriterPorts {
  /** The kernel takes nothing (true), or has taken all that it had not (false). */
  blocked(blocked: boolean): void;
  /** Refusals were lost: nobody knows what the kernel holds. */
  lost(): void;
  /** Something was refused: takes the events that wait. */
  refused(): void;
  count(name: string): void;
  now(): number;
}

export class KernelWriter {
  private readonly engine: Engine;
  private readonly io: Pick<DataplaneIo, 'change' | 'refusals'>;
  private readonly ports: WriterPorts;
  /** Bytes in `areas.kernel` that the kernel has not taken; 0: none. */
  private kept = 0;
  private againAt = Number.POSITIVE_INFINITY;

  constructor(engine: Engine, io: Pick<DataplaneIo, 'change' | 'refusals'>, ports: WriterPorts) {
    this.engine = engine;
    this.io = io;
    this.ports = ports;
  }

  /** When `flush` must be called again at the latest, ms. */
  deadline(): number {
    return this.againAt;
  }

  /** Gives the kernel what waits for it. */
  flush(): void {
    if (this.kept > 0) {
      if (this.ports.now() < this.againAt || !this.give(this.kept)) return;
      this.kept = 0;
      this.againAt = Number.POSITIVE_INFINITY;
      this.ports.blocked(false);
    }
    while (this.engine.kernelPending() > 0) {
      const length = this.engine.fillKernel();
      if (length === 0) return;
      if (this.give(length)) continue;
      this.kept = length;
      this.ports.blocked(true);
      return;
    }
  }

  private give(length: number): boolean {
    try {
      this.io.change(this.engine.areas.kernel.offset, length);
    } catch {
      this.ports.count('kernel_send');
      this.againAt = this.ports.now() + AGAIN;
      return false;
    }
    // An entry that had just timed out: its end is among the events already (nf_ct_delete tells it first). Read after the entry has
    // been made anew, it would be taken for the end of that one.
    if (this.takeReplies()) this.ports.refused();
    return true;
  }

  /** Whether there was any. */
  private takeReplies(): boolean {
    const { refusals } = this.io;
    for (let any = false; ; any = true) {
      const result = refusals.receive();
      if (result.kind === 'overrun') {
        this.ports.count('kernel_overrun');
        this.ports.lost();
        return true;
      }
      if (result.kind !== 'messages') return any;
      for (let i = 0; i < result.count; i++) this.engine.takeReply(refusals.slotOffset(i), refusals.length(i));
    }
  }
}
