/**
 * Changes of the kernel's connection table: takes them out of the module, gives them to the kernel, and brings the
 * kernel's refusals back.
 *
 * When the kernel has no memory for a message it reads nothing of it. That piece is kept and given again before
 * anything else, so that nothing is lost and nothing overtakes. Until then the module takes for written what is not. No
 * dump may be compared with the table meanwhile: an adopted state that only waits here would count as ended.
 */
import type { Engine } from '../table/engine.ts';
import type { DataplaneIo } from './dataplane-io.ts';

/** Until a piece is given again. */
const AGAIN_MS = 10;

interface WriterPorts {
  /** True: the kernel takes nothing. False: it has taken what was kept. */
  blocked(blocked: boolean): void;
  /** Refusals were lost: nobody knows what the kernel holds. */
  lost(): void;
  /** Something was refused: the events that wait must be read now. */
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
      this.againAt = this.ports.now() + AGAIN_MS;
      return false;
    }
    // The entry may have timed out just now. The event of its end is in the socket already, because nf_ct_delete
    // reports the end first. Read after the entry has been created again, that event would count as the end of the new
    // entry.
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
