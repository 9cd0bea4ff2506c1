/** What the dataplane loop finds around it in the simulation: queues in place of sockets, the model of the kernel. */

import type { Batch } from '../../../src/kernel/batch.ts';
import type { Area, Engine } from '../../../src/sync/table/engine.ts';
import type { BatchSource, DataplaneIo } from '../../../src/sync/worker/dataplane-io.ts';
import type { Conntrack } from './conntrack.ts';

const IP_HEADER = Buffer.alloc(20);
IP_HEADER.writeUInt8(0x45, 0);
IP_HEADER.writeUInt8(255, 8);

/** A socket's buffer, read in batches into the module's memory. */
class Queue implements BatchSource {
  /**
   * Messages that have room. What comes when it is full is lost, the reader is told once, and as in the kernel
   * (netlink's "congested") everything that follows is lost too, without a word, until the reader has emptied it.
   */
  most = 20_000;
  lost = 0;
  readonly slots: number;
  private readonly engine: Engine;
  private readonly area: Area;
  private waiting: Buffer[] = [];
  private lengths: number[] = [];
  private overrun = false;
  private congested = false;

  constructor(engine: Engine, area: Area) {
    this.engine = engine;
    this.area = area;
    this.slots = area.slots;
  }

  get size(): number {
    return this.waiting.length;
  }

  /** Is there something to read? */
  get ready(): boolean {
    return this.overrun || this.waiting.length > 0;
  }

  push(bytes: Buffer): void {
    if (this.waiting.length < this.most && !this.congested) {
      this.waiting.push(bytes);
      return;
    }
    this.lost += 1;
    if (!this.congested) this.overrun = true;
    this.congested = true;
  }

  clear(): void {
    this.waiting = [];
    this.overrun = false;
    this.congested = false;
  }

  receive(): Batch {
    if (this.overrun) {
      this.overrun = false;
      return { kind: 'overrun' };
    }
    const taken = this.waiting.splice(0, this.slots);
    if (this.waiting.length === 0) this.congested = false;
    if (taken.length === 0) return { kind: 'empty' };
    const memory = new Uint8Array(this.engine.memory.buffer);
    taken.forEach((bytes, i) => {
      memory.set(bytes, this.slotOffset(i));
    });
    this.lengths = taken.map((bytes) => bytes.length);
    return { kind: 'messages', count: taken.length };
  }

  slotOffset(slot: number): number {
    return this.area.offset + slot * this.area.size;
  }

  length(slot: number): number {
    return this.lengths[slot] ?? 0;
  }

  truncated(): boolean {
    return false;
  }
}

interface HostPorts {
  kernel: Conntrack;
  nowMs(): number;
  nowUs(): number;
  peer: string;
  transmit(datagram: Buffer): void;
  /** Something can be read. */
  wake(): void;
  later(us: number, call: () => void): void;
}

/** The worker's netlink port. */
export const CONTROL_PORT = 4711;
/** How long a dump takes to come, us. */
const DUMP_US = 3000;

export class SimIo implements DataplaneIo {
  readonly wakeFd = -1;
  readonly controlPort = CONTROL_PORT;
  readonly events: Queue;
  readonly refusals: Queue;
  readonly dump: Queue;
  readonly datagrams: Queue;
  readonly engine: Engine;
  /** Bytes given to the kernel. */
  changed = 0;
  /** The kernel takes nothing now (no memory for the message). */
  deaf = false;
  private readonly ports: HostPorts;

  constructor(engine: Engine, ports: HostPorts) {
    this.engine = engine;
    this.ports = ports;
    const { netlink, datagrams } = engine.areas;
    this.events = new Queue(engine, netlink);
    this.refusals = new Queue(engine, netlink);
    this.dump = new Queue(engine, netlink);
    this.datagrams = new Queue(engine, datagrams);
    this.datagrams.most = 4000;
  }

  get ready(): boolean {
    return this.events.ready || this.dump.ready || this.datagrams.ready;
  }

  /** A datagram from the link. */
  arrive(datagram: Buffer): void {
    this.datagrams.push(Buffer.concat([IP_HEADER, datagram]));
    this.ports.wake();
  }

  sender(): string {
    return this.ports.peer;
  }

  requestDump(sequence: number): void {
    this.ports.later(DUMP_US, () => {
      for (const piece of this.ports.kernel.dump(sequence, this.ports.nowUs())) this.dump.push(piece);
      this.ports.wake();
    });
  }

  change(offset: number, length: number): void {
    if (this.deaf) throw new Error('change the connection table: ENOBUFS');
    this.changed += length;
    const bytes = Buffer.from(new Uint8Array(this.engine.memory.buffer, offset, length));
    for (const refusal of this.ports.kernel.change(bytes, CONTROL_PORT, this.ports.nowUs()))
      this.refusals.push(refusal);
  }

  transmit(datagram: Buffer): void {
    this.ports.transmit(Buffer.from(datagram));
  }

  sleep(): void {
    // The calendar calls when it is time.
  }

  idle(): boolean {
    return !this.dump.ready;
  }

  now(): number {
    return this.ports.nowMs();
  }

  close(): void {
    // nothing is open
  }
}
