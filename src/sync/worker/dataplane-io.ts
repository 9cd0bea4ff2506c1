/**
 * What the dataplane loop needs of the outside: batches of messages in the module's memory, two ways to the kernel, the
 * sync link, a clock and entropy. The worker has Linux behind it (kernel-io.ts) and the simulator a model of Linux, so
 * that both run the same loop.
 */
import type { AeadMaker } from '../../contract/aead.ts';
import type { Batch } from '../../kernel/batch.ts';
import type { DeferQueue } from '../../kernel/defer-queue.ts';
import type { Expectations } from '../../kernel/expect.ts';
import type { Engine } from '../table/engine.ts';
import type { WorkerConfig } from './messages.ts';

/** One pass takes at most so many batches of one socket, so that no socket starves the others. */
export const MOST_BATCHES = 16;

/** One socket that is read in batches into slots of the module's memory. */
export interface BatchSource {
  readonly slots: number;
  /** Never blocks. */
  receive(): Batch;
  slotOffset(slot: number): number;
  length(slot: number): number;
  truncated(slot: number): boolean;
}

export interface DataplaneIo {
  /** Wakes the loop out of `sleep`; -1 where nothing needs to. */
  readonly wakeFd: number;
  /** Netlink port of the socket that changes the table. */
  readonly controlPort: number;
  /** The kernel's events, its refusals of changes, and the lines of a dump. */
  readonly events: BatchSource;
  readonly refusals: BatchSource;
  readonly dump: BatchSource;
  /** Datagrams of the sync link, IP header included. */
  readonly datagrams: BatchSource;
  /** Packets that wait for the peer; a text says why there is no such queue though the configuration asks for it. */
  readonly defer?: DeferQueue | string;
  /** Expectations of the kernel's helpers; left out where there are none. */
  readonly expectations?: Expectations;
  /** The IPv4 address that the datagram in this slot came from. */
  sender(slot: number): string;
  /** Asks the kernel for a dump. @throws Error when the kernel does not take the request now */
  requestDump(sequence: number): void;
  /** Gives `length` bytes of messages at `offset` of the module's memory to the kernel. @throws Error */
  change(offset: number, length: number): void;
  /** `address` null: to the group. */
  transmit(datagram: Buffer, address: string | null): void;
  /** The longest packet that the sync link's device has refused for its size since this was asked, bytes; 0: none. */
  tooLong?(): number;
  /** The sync link's device was made anew, with this index. @throws Error when it is gone again */
  follow?(ifindex: number): void;
  /**
   * Sleeps until there is something to read or `ms` are over. After a pass with `events` of the kernel it lets more
   * events gather. When the peer sends nothing but acknowledgements (`quiet`) it lets these gather too, but nothing
   * else.
   */
  sleep(events: number, ms: number, quiet: boolean): void;
  /** Whether the last sleep was ended by `wakeFd`; left out where that is not known. */
  woken?(): boolean;
  /** By what the last sleep saw, nothing has come but events and datagrams. */
  idle(): boolean;
  /** Monotonic milliseconds. */
  now(): number;
  close(): void;
}

export interface DataplaneHost {
  random(bytes: number): Buffer;
  /** @throws Error naming what the kernel or the machine lacks */
  open(config: WorkerConfig, engine: Engine): DataplaneIo;
  /** What seals the sync link's datagrams; Node's own ciphers when left out. */
  aead?: AeadMaker;
}
