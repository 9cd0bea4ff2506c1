/**
 * The typed side of the state engine (asm/): loads the WebAssembly module, turns names and texts into its numbers and
 * offsets, and reads digests and counters back. No kernel code and no policy here; the rules stand in
 * asm/kernel/event.ts and asm/peer/rules.ts.
 */
import type { CounterName } from './engine-counters.ts';
import { COUNTER_NAMES, COUNTER_PLACES } from './engine-counters.ts';
import type { EngineExports, ModuleNumbers, Owner, WasmMemory } from './engine-exports.ts';
import { checked, OWNERS } from './engine-exports.ts';
import { type AcceptNetworks, writeAccept, writeHomes, writeLists } from './engine-lists.ts';
import { Walks } from './engine-walks.ts';
import type { Home } from './homes.ts';

export type { Owner } from './engine-exports.ts';

export type SyncWhen = 'all' | 'answered' | 'assured';
const SYNC_WHEN: Record<SyncWhen, number> = { all: 0, answered: 1, assured: 2 };

/** Slots of equal size that follow each other in the module's memory. */
export interface Area {
  offset: number;
  slots: number;
  /** Bytes of one slot. */
  size: number;
}

export interface EngineOptions {
  /** 16 random bytes, known to nobody else. */
  indexKey: Uint8Array;
  /** At most 16,777,216. */
  maxStates: number;
  syncWhen?: SyncWhen;
  /** Networks that are not synced: `address/length` or an address; at most 64 of each family. */
  ignore?: readonly string[];
  /** This node's own addresses; at most 64 of each family. */
  local?: readonly string[];
  /** Who may have opened what the peer hands over; at most 64 pairs of each family. Left out: anybody anything. */
  accept?: AcceptNetworks | null;
  /** Seconds, in the order of TIMEOUT_SYSCTLS. */
  timeouts?: readonly number[];
}

/**
 * The send buffer of a netlink socket takes about 200 KiB; the kernel's refusals of one piece must fit in its receive
 * buffer.
 */
const KERNEL_PIECE = 65536;
/** An update with everything fits in this room (asm/peer/wire.ts). */
const LEAST_ROOM = 160;
const UPDATES_MOST = 0x10000;
/** Why an audit noted a state; 0: taken back. */
const NOTES = [null, 'missing', 'changed', 'gone'] as const;
/** A state, its part of a page and its bucket (asm/state/table.ts), rounded up; and everything else in the memory. */
const BYTES_A_STATE = 149;
const FIXED = 2 ** 21;
const BUCKETS = 256;
const BUCKET_SIZE = 24;

export class Engine {
  readonly x: EngineExports;
  readonly memory: WasmMemory;
  /** Where the host reads and writes in bulk. */
  readonly areas: { netlink: Area; datagrams: Area; kernel: Area; sync: Area };
  readonly walks: Walks;
  /** For more instances of the same code (repair/coded-symbols.ts). */
  readonly module: WebAssembly.Module;
  /** Offsets and sizes as the module has them. */
  readonly at: ModuleNumbers;
  private bytes: Uint8Array;
  private words: DataView;

  constructor(module: WebAssembly.Module, exports: EngineExports, at: ModuleNumbers, options: EngineOptions) {
    this.module = module;
    this.x = exports;
    this.memory = exports.memory;
    this.at = at;
    this.walks = new Walks(this);
    this.areas = {
      netlink: { offset: at.NL_RX, slots: at.NL_RX_SLOTS, size: at.NL_RX_SLOT },
      datagrams: { offset: at.SYNC_RX, slots: at.SYNC_RX_SLOTS, size: at.SYNC_RX_SLOT },
      kernel: { offset: at.NL_TX, slots: 1, size: at.NL_TX_SIZE },
      sync: { offset: at.SYNC_TX, slots: at.SYNC_TX_SLOTS, size: at.SYNC_TX_SLOT },
    };
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new DataView(this.memory.buffer);
    this.putKey(options.indexKey);
    if (exports.init(at.OUT, options.maxStates) === 0) throw new Error('the state engine got no memory');
    exports.setSyncWhen(SYNC_WHEN[options.syncWhen ?? 'answered']);
    this.setLists(options.ignore ?? [], options.local ?? []);
    writeAccept(this.view(), this.at, this.x, options.accept ?? null);
    if (options.timeouts !== undefined) this.setTimeouts(options.timeouts);
  }

  /** The whole memory. Take it again after every call that may insert states: growth detaches the old view. */
  view(): Uint8Array {
    if (this.bytes.buffer !== this.memory.buffer) this.bytes = new Uint8Array(this.memory.buffer);
    return this.bytes;
  }

  private numbers(): DataView {
    if (this.words.buffer !== this.memory.buffer) this.words = new DataView(this.memory.buffer);
    return this.words;
  }

  private dataView(offset: number, length: number): DataView {
    return new DataView(this.memory.buffer, offset, length);
  }

  /**
   * Makes the memory as large as this many states need, now: address space only, but each later growth makes V8 collect
   * all garbage. At most 256 MiB; without them, or beyond, it grows as it fills.
   */
  reserve(states: number): void {
    const wanted = Math.min(states * BYTES_A_STATE + FIXED, 2 ** 28) - this.memory.buffer.byteLength;
    if (wanted <= 0) return;
    try {
      this.memory.grow(Math.ceil(wanted / 65536));
    } catch {
      // The machine allows no such promise: it grows in steps.
    }
  }

  // --- what the host tells ---

  /** @param ms host time, for the order of ages only */
  setNow(ms: number): void {
    this.x.setNow(ms);
  }

  /** Port id of the socket that injects: its echoes are not events. */
  setOwnPort(port: number): void {
    this.x.setOwnPort(port);
  }

  /**
   * In a conflict the peer's version wins. Never may both nodes be set so.
   * @param undecided it will, but may not yet: until then the peer's claims are not answered (asm/state/answers.ts)
   */
  setPreferPeer(on: boolean, undecided = false): void {
    this.x.setPreferPeer(on ? 1 : 0);
    this.x.setUndecided(undecided ? 1 : 0);
  }

  /**
   * false while handing over: an event on a state of the peer's goes to it as "yours" instead of claiming the state.
   */
  setClaimEvents(on: boolean): void {
    this.x.setClaimEvents(on ? 1 : 0);
  }

  private ignored: readonly string[] = [];

  /** Replaces the networks that are not synced and the own addresses. States already in the table stay. */
  setLists(ignore: readonly string[], local: readonly string[]): void {
    this.ignored = ignore;
    writeLists(this.view(), this.at, this.x, ignore, local);
  }

  /** Replaces this node's own addresses; what is beyond 64 of a family is left out. */
  setLocal(addresses: readonly string[]): void {
    this.setLists(this.ignored, addresses);
  }

  /** Replaces the virtual addresses and whose they are; an empty list: each state stays whose it is. */
  setHomes(homes: readonly Home[]): void {
    writeHomes(this.view(), this.at, this.x, homes);
  }

  /** Claims what is this node's by them, from a cursor (0 first); `null` at the end. */
  claimHomes(from: number, slots: number): number | null {
    const next = this.x.homesClaim(from, slots) >>> 0;
    return next === 0xffffffff ? null : next;
  }

  /** Seconds, in the order of TIMEOUT_SYSCTLS. */
  setTimeouts(seconds: readonly number[]): void {
    const view = this.dataView(this.at.TIMEOUTS, 4 * 32);
    seconds.slice(0, 32).forEach((value, i) => {
      view.setUint32(i * 4, value, true);
    });
  }

  private putKey(key: Uint8Array): void {
    if (key.length < 16) throw new Error(`a key of the state engine has 16 bytes, not ${key.length}`);
    this.view().set(key.subarray(0, 16), this.at.OUT);
  }

  /**
   * Both nodes must use the same 16 bytes, or no digest will ever match. Re-hashes the whole table before it returns
   * (about 0.1 s for a million states); `x.setFingerprintKey` and `x.rekeyStep` do it in slices.
   */
  setFingerprintKey(key: Uint8Array): void {
    this.putKey(key);
    this.x.setFingerprintKey(this.at.OUT);
    while (this.x.rekeyStep(65536) !== 0);
  }

  // --- kernel ---

  /** Netlink messages of the event socket, in the module's memory. */
  takeEvents(offset: number, length: number): number {
    return this.x.ctInput(offset, length, 0);
  }

  /** `unclaimed`: what the dump shows and the table has not belongs to nobody yet; else it is mine. */
  dumpBegin(unclaimed: boolean): void {
    this.x.dumpBegin(unclaimed ? 0 : 1);
  }

  /** A piece of the dump. Returns bits: 1 complete, 2 error (`x.ctError`), 4 interrupted; -1 malformed. */
  takeDump(offset: number, length: number): number {
    return this.x.ctInput(offset, length, 1);
  }

  /**
   * After the dump: takes what has left the kernel out of the table. 1 while there is more to do; read the waiting
   * events between the first call and the next. Every dumpBegin needs its dumpEnd (or another dumpBegin).
   */
  dumpEnd(slots: number): number {
    return this.x.dumpEnd(slots);
  }

  /** Operations that wait for the kernel. */
  kernelPending(): number {
    return this.x.kernelPending();
  }

  /** Fills `areas.kernel` with messages for the kernel; returns their bytes, 0 when nothing waits. */
  fillKernel(): number {
    return this.x.nlFill(this.at.NL_TX, KERNEL_PIECE);
  }

  /** The kernel's refusals, in the module's memory. */
  takeReply(offset: number, length: number): number {
    return this.x.nlReply(offset, length);
  }

  /** States of this owner that the kernel does not hold: waiting to be written, or refused. */
  kernelMissing(owner: Owner = 'mirrored'): number {
    return this.x.kernelMissing(OWNERS[owner]);
  }

  // --- peer ---

  /**
   * The next updates for the peer, at most `room` bytes: a view, good until the next call. `null` when there is nothing
   * to send (or `room` is less than LEAST_ROOM).
   */
  takeUpdates(room: number): Buffer | null {
    for (;;) {
      const length = this.x.txFill(this.at.SYNC_TX, Math.min(room, UPDATES_MOST));
      if (length > 0) return Buffer.from(this.memory.buffer, this.at.SYNC_TX, length);
      if (this.x.bulkActive() === 0 || room < LEAST_ROOM) return null;
    }
  }

  /**
   * Applies updates of the peer. `stale`: it had not seen this node's last adoption when it sent them. Returns how
   * many were applied; -1 minus that when one was refused (the rest is dropped, counted).
   */
  applyUpdates(updates: Uint8Array, stale: boolean): number {
    if (updates.length > this.at.OUT_SIZE) return -1;
    this.view().set(updates, this.at.OUT);
    return this.x.rxApply(this.at.OUT, updates.length, stale ? 1 : 0);
  }

  /** Answers to the peer's word that wait for the next round (asm/state/answers.ts); a sweep says them. */
  owedAnswers(): number {
    return this.x.owedAnswers();
  }

  dirtyCount(): number {
    return this.x.dirtyCount();
  }

  bulkBegin(): void {
    this.x.bulkBegin();
  }

  bulkActive(): number {
    return this.x.bulkActive();
  }

  peerBulkBegin(): void {
    this.x.peerBulkBegin();
  }

  peerBulkEnd(slots: number): number {
    return this.x.peerBulkEnd(slots);
  }

  // --- ownership ---

  adoptPeer(): void {
    this.x.adoptPeer();
  }

  disownPeer(): void {
    this.x.disownPeer();
  }

  adoptUnclaimed(): void {
    this.x.adoptUnclaimed();
  }

  yieldOwn(): void {
    this.x.yieldOwn();
  }

  unclaimedDrop(slots: number): number {
    return this.x.unclaimedDrop(slots);
  }

  /** Goes over the table once more, also to try again what the kernel refused. */
  sweepBegin(): void {
    this.x.sweepBegin();
  }

  sweep(slots: number): number {
    return this.x.sweep(slots);
  }

  /** A walk after a change of ownership is not at its end, or what it wants of the kernel is not given to it yet. */
  sweeping(): boolean {
    return this.x.sweepActive() !== 0 || this.x.kernelPending() > 0;
  }

  // --- what it knows ---

  countOf(owner: Owner): number {
    return this.x.countOwner(OWNERS[owner]);
  }

  /** How many states, and the sum of their fingerprints modulo 2^128 as 16 bytes, big endian. */
  digest(owner: Owner): { count: bigint; sum: Buffer } {
    this.x.digestWrite(OWNERS[owner], this.at.OUT);
    const view = this.dataView(this.at.OUT, 24);
    const sum = Buffer.alloc(16);
    sum.writeBigUInt64BE(view.getBigUint64(16, true), 0);
    sum.writeBigUInt64BE(view.getBigUint64(8, true), 8);
    return { count: view.getBigUint64(0, true), sum };
  }

  /** The digests of the 256 buckets (bucket = low byte of the fingerprint). */
  buckets(owner: Owner): { count: bigint; sum: bigint }[] {
    this.x.bucketsWrite(OWNERS[owner], this.at.OUT);
    const view = this.dataView(this.at.OUT, BUCKETS * BUCKET_SIZE);
    return Array.from({ length: BUCKETS }, (_, i) => ({
      sum: view.getBigUint64(i * BUCKET_SIZE, true) | (view.getBigUint64(i * BUCKET_SIZE + 8, true) << 64n),
      count: view.getBigUint64(i * BUCKET_SIZE + 16, true),
    }));
  }

  // --- what audits found (asm/state/notes.ts) ---

  clearNotes(): void {
    this.x.notesClear();
  }

  /**
   * Differences between kernel and table that the last audit found, the first 100; `state` as `readState` takes it.
   */
  notes(): { why: 'missing' | 'changed' | 'gone'; state: number }[] {
    return Array.from({ length: this.x.notesCount() }, (_, i) => {
      const at = this.at.NOTES + 16 + i * 160;
      return { why: NOTES[this.numbers().getUint32(at, true)] ?? null, state: at + 16 };
    }).filter((note) => note.why !== null) as { why: 'missing' | 'changed' | 'gone'; state: number }[];
  }

  counter(name: CounterName): number {
    const at = this.at.COUNTERS + COUNTER_PLACES[name] * 8;
    const view = this.numbers();
    return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
  }

  counters(): Record<CounterName, number> {
    const view = this.dataView(this.at.COUNTERS, COUNTER_NAMES.length * 8);
    const entries = COUNTER_NAMES.map((name, i) => [name, Number(view.getBigUint64(i * 8, true))]);
    return Object.fromEntries(entries) as Record<CounterName, number>;
  }

  /** The live state after the one at this offset (0: the first); 0 at the end. */
  next(state: number): number {
    return this.x.next(state) >>> 0;
  }

  /** Who owns the state at this offset. */
  ownerOf(state: number): Owner {
    const owner = this.x.ownerOf(state);
    return owner === OWNERS.own ? 'own' : owner === OWNERS.mirrored ? 'mirrored' : 'unclaimed';
  }
}

/**
 * Compiles and starts the module.
 * @throws Error when `wasm` is not the module this version was made for, or the lists do not fit
 */
export function loadEngine(wasm: Uint8Array | WebAssembly.Module, options: EngineOptions): Engine {
  const module = wasm instanceof WebAssembly.Module ? wasm : new WebAssembly.Module(wasm as BufferSource);
  const { x, at } = checked(new WebAssembly.Instance(module).exports);
  return new Engine(module, x, at, options);
}
