/** What the kernel reports, taken in batches into the table: events of its connections, and the lines of a dump. */
import type { Engine } from '../table/engine.ts';
import type { Audit } from './audit.ts';
import { type DataplaneIo, MOST_BATCHES } from './dataplane-io.ts';
import type { LoopFigures } from './figures.ts';
import type { Slices } from './slices.ts';

/** A pass reads the kernel's table for this long; what then is left of the batch in hand comes on top. Milliseconds. */
const DUMP_SLICE = 3;

interface IntakePorts {
  /** The kernel has dropped events; so many times since the start. */
  overrun(overruns: number): void;
  now(): number;
}

export class KernelIntake {
  readonly figures: LoopFigures = { overruns: 0, events: 0, created: 0 };
  private readonly engine: Engine;
  private readonly io: Pick<DataplaneIo, 'events' | 'dump'>;
  private readonly audit: Audit;
  private readonly slices: Slices;
  private readonly ports: IntakePorts;

  constructor(
    engine: Engine,
    io: Pick<DataplaneIo, 'events' | 'dump'>,
    audit: Audit,
    slices: Slices,
    ports: IntakePorts,
  ) {
    this.engine = engine;
    this.io = io;
    this.audit = audit;
    this.slices = slices;
    this.ports = ports;
  }

  /** @returns how many events it was */
  takeEvents(): number {
    let taken = 0;
    const { events } = this.io;
    const before = this.engine.counter('inserts');
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const result = events.receive();
      if (result.kind === 'overrun') {
        // What was lost is lost: the table is read again (audit.lost), and until then this node's digest proves
        // nothing.
        this.figures.overruns += 1;
        this.ports.overrun(this.figures.overruns);
        this.audit.lost();
        continue;
      }
      if (result.kind !== 'messages') {
        this.audit.drained(this.ports.now());
        break;
      }
      for (let i = 0; i < result.count; i++) this.engine.takeEvents(events.slotOffset(i), events.length(i));
      taken += result.count;
      if (result.count < events.slots && !this.audit.losing) break;
    }
    this.figures.created += this.engine.counter('inserts') - before;
    this.figures.events += taken;
    return taken;
  }

  /** A connection that was read from the kernel by itself counts like its event. */
  takeConnection(message: Buffer): void {
    const at = this.io.events.slotOffset(0);
    this.engine.view().set(message, at);
    this.engine.takeEvents(at, message.length);
  }

  /** One slice of a dump, if one is being read. */
  takeDump(): void {
    if (!this.audit.running()) return;
    let taken = 0;
    const { dump } = this.io;
    const begun = this.ports.now();
    let spent = 0;
    // The kernel makes the next piece while one is read, so it is never empty before its end: the clock ends the slice.
    for (let batch = 0; batch < MOST_BATCHES && spent < DUMP_SLICE; batch++) {
      const result = dump.receive();
      if (result.kind === 'overrun') this.audit.again();
      if (result.kind !== 'messages') break;
      for (let i = 0; i < result.count; i++) this.audit.take(dump.slotOffset(i), dump.length(i));
      taken += result.count;
      spent = this.ports.now() - begun;
    }
    if (taken > 0) this.slices.add(spent);
  }
}
