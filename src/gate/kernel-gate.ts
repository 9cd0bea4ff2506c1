/**
 * The gate in the kernel: the table `netdev carpio_gate` (table.ts) and the frames on the loopback device that open,
 * renew and close it.
 */
import { randomInt } from 'node:crypto';
import { messageOf } from '../contract/message-of.ts';
import type { VhidKey } from '../contract/vhid-key.ts';
import { applyNft } from '../kernel/nft.ts';
import { PacketSocket } from '../kernel/packet-socket.ts';
import type { Prefix } from '../net/ip.ts';
import type { GateOrder } from './runner.ts';
import { BEAT_CLOSE, BEAT_OPEN, type GatedHost, gateInPlace, gateTable, REMOVE_GATE } from './table.ts';

/** Every network namespace has its loopback device at this index (net/core: LOOPBACK_IFINDEX). */
const LOOPBACK = { ifindex: 1, name: 'lo' };
const ETHERNET_HEADER = 14;
const LARGEST_MARK = 0xffff_ffff;

/** A virtual host whose packets pass its gate. */
export interface GateHost {
  readonly key: VhidKey;
  readonly mode: 'virtual' | 'physical';
  readonly device: string;
  readonly addresses: readonly Prefix[];
}

export class KernelGate {
  readonly #marks = new Map<VhidKey, number>();
  readonly #passMarks = new Map<VhidKey, number>();
  #socket: PacketSocket | null = null;
  /** What the table holds; null: not known. */
  #loaded: readonly GatedHost[] | null = null;

  /**
   * Brings the table to these hosts in one transaction, and does nothing when it holds them. Gates that are open stay
   * open, unless the table has to be made anew. The devices must exist.
   * @param open asked late: the gates that are open now
   * @returns null, or what nft said: the table is as it was then
   */
  async load(hosts: readonly GateHost[], open: () => readonly VhidKey[] = () => []): Promise<string | null> {
    const wanted = hosts.map(({ key, ...host }) => ({
      ...host,
      mark: this.#markOf(key),
      passMark: this.#passMarkOf(key),
    }));
    const before = this.#loaded;
    if (before !== null && sameHosts(before, wanted)) return null;
    this.#loaded = null;
    try {
      let failed = before === null ? 'not known' : await applyNft(gateInPlace(before, wanted));
      const marks = open().map((key) => this.#markOf(key));
      if (failed !== null) failed = await applyNft(gateTable(wanted, marks));
      if (failed === null) this.#loaded = wanted;
      return failed;
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Somebody has changed the kernel's rules, or a device is another one: the next `load` makes the table anew. */
  forget(): void {
    this.#loaded = null;
  }

  /** Removes the table: what it gated must be gone already. Returns what nft said, or null. */
  async remove(): Promise<string | null> {
    this.#socket?.close();
    this.#socket = null;
    return applyNft(REMOVE_GATE);
  }

  /**
   * One frame for each key (two to close). It has its effect before this returns: the loopback device hands a frame
   * to its ingress hook in the sender's own system call.
   * @throws SysError, ENETDOWN when the loopback device is down
   */
  send(kind: GateOrder, keys: readonly VhidKey[]): void {
    if (keys.length === 0) return;
    const frame = Buffer.alloc(ETHERNET_HEADER);
    frame.writeUInt16BE(kind === 'close' ? BEAT_CLOSE : BEAT_OPEN, 12);
    this.#socket ??= new PacketSocket(LOOPBACK);
    for (const key of keys) {
      if (kind !== 'pass') this.#sendMarked(this.#socket, this.#markOf(key), frame);
      if (kind !== 'open') this.#sendMarked(this.#socket, this.#passMarkOf(key), frame);
    }
  }

  #sendMarked(socket: PacketSocket, mark: number, frame: Uint8Array): void {
    socket.mark(mark);
    socket.send(frame);
  }

  #markOf(key: VhidKey): number {
    return this.#drawn(this.#marks, key);
  }

  #passMarkOf(key: VhidKey): number {
    return this.#drawn(this.#passMarks, key);
  }

  /** No two are the same: one frame must not open another gate. */
  #drawn(marks: Map<VhidKey, number>, key: VhidKey): number {
    const known = marks.get(key);
    if (known !== undefined) return known;
    const taken = new Set([...this.#marks.values(), ...this.#passMarks.values()]);
    let mark = randomInt(1, LARGEST_MARK);
    while (taken.has(mark)) mark = randomInt(1, LARGEST_MARK);
    marks.set(key, mark);
    return mark;
  }
}

/** The addresses of a virtual device are in no rule: another one changes nothing here. */
const sameHosts = (a: readonly GatedHost[], b: readonly GatedHost[]): boolean => gateTable(a) === gateTable(b);
