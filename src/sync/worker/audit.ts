/**
 * An audit: reads the kernel's whole connection table again, at the start, after lost events, and when somebody asks
 * for proof. Events go on meanwhile; the module knows which lines of the dump they have overtaken. During an audit this
 * node's digest proves nothing, so none is sent.
 */
import { dumpSequence, dumpState } from '../../kernel/conntrack.ts';
import type { Engine } from '../table/engine.ts';

/** One slice of the final walk visits so many states. */
const SLICE = 4000;
/** Between two dumps when one after the other fails: haste does not help a kernel in trouble. */
const AGAIN_MS = 100;
/** A dump without progress for so long is asked for again. */
const STUCK_MS = 5000;

type Phase = 'idle' | 'dumping' | 'closing';

interface AuditPorts {
  /** @throws Error when the kernel does not take the request now */
  requestDump(sequence: number): void;
  /** The table is being read again. */
  unsure(unsure: boolean): void;
}

export class Audit {
  /** Differences between table and kernel that finished audits have corrected. */
  corrections = 0;
  finished = 0;
  private readonly engine: Engine;
  private readonly ports: AuditPorts;
  private phase: Phase = 'idle';
  private wanted = false;
  /** Events were lost, and older events still wait in the socket. */
  private lossy = false;
  /** The kernel takes no changes: what the table takes for its content may not be there. */
  private stuck = false;
  /** Part of the running dump, or all of it, is from such a time, and is not read. */
  private tainted = false;
  private atStart = false;
  private sequence = 0;
  private progressAt = 0;
  private askedAt = Number.NEGATIVE_INFINITY;
  private correctedBefore = 0;

  constructor(engine: Engine, ports: AuditPorts) {
    this.engine = engine;
    this.ports = ports;
  }

  running(): boolean {
    return this.phase === 'dumping';
  }

  /** The dump is read, and the table is walked for states that the dump did not show. */
  closing(): boolean {
    return this.phase === 'closing';
  }

  busy(): boolean {
    return this.phase !== 'idle' || this.lossy || this.stuck;
  }

  /**
   * Events were lost. The events that still wait in the socket are older than the loss. Read after the dump has begun,
   * they would count as newer than the dump, and the lost end of one of their states would never be noticed. Also,
   * until the socket is empty the kernel drops every further event without another report (netlink_overrun,
   * NETLINK_S_CONGESTED). So the dump waits for `drained`.
   */
  lost(): void {
    this.ports.unsure(true);
    this.lossy = true;
  }

  get losing(): boolean {
    return this.lossy;
  }

  /** The socket of the events has been read until it was empty. */
  drained(now: number): void {
    if (!this.lossy) return;
    this.lossy = false;
    this.begin('audit', now);
  }

  /**
   * The kernel takes no changes, or takes them again (kernel-writer.ts). The table counts a waiting change as done, so
   * a dump of that time would end states that only wait to be written, and bring back states that only wait to be
   * removed.
   */
  blocked(blocked: boolean, now: number): void {
    this.stuck = blocked;
    this.ports.unsure(true);
    if (blocked) this.tainted = true;
    else this.begin('audit', now);
  }

  /**
   * `start`: states that are found are unclaimed. `audit`: states that are found and were not known are this node's
   * own.
   */
  begin(kind: 'start' | 'audit', now: number): void {
    this.ports.unsure(true);
    if (this.lossy || this.stuck) return;
    if (this.phase !== 'idle') {
      this.wanted = true;
      return;
    }
    this.correctedBefore = this.engine.counter('corrections');
    this.engine.clearNotes();
    this.phase = 'dumping';
    this.atStart = kind === 'start';
    this.engine.dumpBegin(this.atStart);
    this.ask(now);
  }

  /** The dump's buffer ran over: pieces are missing, so another dump is asked for when this one has ended. */
  again(): void {
    this.wanted = true;
  }

  /** One received piece in the module's memory. */
  take(offset: number, length: number): void {
    const piece = Buffer.from(this.engine.memory.buffer, offset, length);
    // A rest of an earlier dump. Its end is not the end of this one: all that it did not show would count as gone.
    if (dumpSequence(piece) !== this.sequence) return;
    this.progressAt = 0;
    // The module reads every message of a piece anyway. Where it reports nothing special, the dump's end is not in it.
    if (!this.tainted && this.engine.takeDump(offset, length) === 0) return;
    // A new view: the table may have grown, and then the old view is empty.
    const state = dumpState(Buffer.from(this.engine.memory.buffer, offset, length));
    if (typeof state === 'number') this.wanted = true;
    if (state !== 'more') this.phase = 'closing';
  }

  /** When `step` has something to do, ms; `Infinity`: other work must come first, and the loop turns for it anyway. */
  deadline(now: number): number {
    if (this.phase !== 'closing' || this.lossy || this.stuck) return Number.POSITIVE_INFINITY;
    if (this.wanted) return this.askedAt + AGAIN_MS;
    return this.engine.sweeping() ? Number.POSITIVE_INFINITY : now;
  }

  step(now: number): void {
    if (this.phase === 'dumping') {
      if (this.progressAt === 0) this.progressAt = now;
      if (now - this.progressAt > STUCK_MS) this.ask(now);
      return;
    }
    if (this.phase !== 'closing' || this.lossy || this.stuck) return;
    if (this.wanted) {
      if (now - this.askedAt < AGAIN_MS) return;
      // Something of the dump was lost: a state that it did not show may still be there.
      this.wanted = false;
      this.phase = 'dumping';
      this.engine.dumpBegin(this.atStart);
      this.ask(now);
      return;
    }
    // The sweep after an adoption visits what was adopted. What is not in the kernel may not have been written yet, and
    // must not count as ended.
    if (this.engine.sweeping() || this.engine.dumpEnd(SLICE) !== 0) return;
    this.phase = 'idle';
    this.finished += 1;
    this.corrections += this.engine.counter('corrections') - this.correctedBefore;
    this.ports.unsure(false);
  }

  private ask(now: number): void {
    this.progressAt = now;
    this.askedAt = now;
    this.tainted = false;
    this.sequence += 1;
    try {
      this.ports.requestDump(this.sequence);
    } catch {
      // EBUSY: the last dump is still being read from this socket. `step` asks again when there is no progress.
      this.progressAt = now;
    }
  }
}
