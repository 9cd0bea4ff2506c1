/**
 * Reading the kernel's whole connection table again: at the start, after lost events, and when somebody asks for proof.
 * Events go on meanwhile; the module knows which lines of the dump they have made old. While it lasts this node's
 * digest proves nothing, so none is sent.
 */
import { dumpSequence, dumpState } from '../../kernel/conntrack.ts';
import type { Engine } from '../table/engine.ts';

/** Records that one slice of the final walk looks at. */
const SLICE = 4000;
/** Ms between two dumps when one after the other turns out to be in vain: a kernel in trouble is not helped by haste. */
const AGAIN = 100;
/** A dump that makes no progress for this long (ms) is asked for again. */
const STUCK = 5000;

type Phase = 'idle' | 'dumping' | 'closing';

interface AuditPorts {
  /** @throws Error when the kernel does not take the request now */
  requestDump(sequence: number): void;
  /** The table is being read again. */
  unsure(unsure: boolean): void;
}

export class Audit {
  /** Differences between table and kernel that finished audits have mended. */
  corrections = 0;
  /** Audits that have ended. */
  finished = 0;
  private readonly engine: Engine;
  private readonly ports: AuditPorts;
  private phase: Phase = 'idle';
  private wanted = false;
  /** Events were lost, and older ones still wait in the socket. */
  private lossy = false;
  /** The kernel takes no changes: what the table believes to be in it may not be. */
  private stuck = false;
  /** Something of the dump that runs, or all of it, is from such a time, and is not read. */
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

  /** The dump is read, and the table is walked for what it did not show. */
  closing(): boolean {
    return this.phase === 'closing';
  }

  busy(): boolean {
    return this.phase !== 'idle' || this.lossy || this.stuck;
  }

  /**
   * Events were lost; what still waits in the socket is older than the loss. Read after the dump has begun, it would count
   * as newer than the dump, and what was lost of it (its end) would never be missed. And until the socket is empty the
   * kernel loses everything further without another word (netlink_overrun, NETLINK_S_CONGESTED). So first `drained`.
   */
  lost(): void {
    this.ports.unsure(true);
    this.lossy = true;
  }

  get losing(): boolean {
    return this.lossy;
  }

  /** The events' socket has been read until it was empty. */
  drained(now: number): void {
    if (!this.lossy) return;
    this.lossy = false;
    this.begin('audit', now);
  }

  /**
   * The kernel takes no changes, or does again (kernel-writer.ts). What waits to be given is in the table as if the kernel had it
   * (or had it no more), so a dump of that time would end or bring back what it must not.
   */
  blocked(blocked: boolean, now: number): void {
    this.stuck = blocked;
    this.ports.unsure(true);
    if (blocked) this.tainted = true;
    else this.begin('audit', now);
  }

  /** `start`: what is found belongs to nobody yet. `audit`: what is found and was not known is this node's own. */
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

  /** The dump's own buffer ran over: pieces are missing, so it is asked for again when this one has ended. */
  again(): void {
    this.wanted = true;
  }

  /** One received piece in the module's memory. */
  take(offset: number, length: number): void {
    const piece = Buffer.from(this.engine.memory.buffer, offset, length);
    // Left of a dump that was asked for again: its end is not this one's, and all that it did not show would be taken for gone.
    if (dumpSequence(piece) !== this.sequence) return;
    this.progressAt = 0;
    // The module meets every message of a piece anyway. What it says nothing special of has no end in it.
    if (!this.tainted && this.engine.takeDump(offset, length) === 0) return;
    // Taken again: the table may have grown, and then the view of before is empty.
    const state = dumpState(Buffer.from(this.engine.memory.buffer, offset, length));
    if (typeof state === 'number') this.wanted = true;
    if (state !== 'more') this.phase = 'closing';
  }

  /** When `step` has something to do, ms; `Infinity`: other things must come first, and the loop turns for them anyway. */
  deadline(now: number): number {
    if (this.phase !== 'closing' || this.lossy || this.stuck) return Number.POSITIVE_INFINITY;
    if (this.wanted) return this.askedAt + AGAIN;
    return this.engine.sweeping() ? Number.POSITIVE_INFINITY : now;
  }

  step(now: number): void {
    if (this.phase === 'dumping') {
      if (this.progressAt === 0) this.progressAt = now;
      if (now - this.progressAt > STUCK) this.ask(now);
      return;
    }
    if (this.phase !== 'closing' || this.lossy || this.stuck) return;
    if (this.wanted) {
      if (now - this.askedAt < AGAIN) return;
      // Something was lost while reading: nothing may be concluded from what was not seen.
      this.wanted = false;
      this.phase = 'dumping';
      this.engine.dumpBegin(this.atStart);
      this.ask(now);
      return;
    }
    // An adoption goes over what it took: what is not in the kernel was gone before, and must not be taken for ended.
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
      // EBUSY: the last dump is still being read from this socket. Asked again when it makes no progress.
      this.progressAt = now;
    }
  }
}
