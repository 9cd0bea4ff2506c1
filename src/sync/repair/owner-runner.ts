/** The owner's work on a repair: makes symbols of its states, and sends the states that are wanted. */
import { createHmac } from 'node:crypto';
import type { Engine } from '../table/engine.ts';
import type { RepairMessage } from '../wire/repair.ts';
import { ID_SIZE, MASK_SIZE, symbolsIn } from '../wire/repair.ts';
import { CodedSymbols } from './coded-symbols.ts';
import { firstSymbols } from './cost.ts';

/** One slice visits so many slots of the table: about a millisecond. */
export const WALK_SLOTS = 65_536;
/** Ids that one set of picks takes (asm/repair/difference.ts). */
export const PICK_MOST = 20_000;

/** The key of checks and indices: new for every repair, and known to the pair only. */
export function repairKey(fingerprintKey: Buffer, id: number): Buffer {
  const text = Buffer.from(`carpio repair ${id}`);
  return createHmac('sha256', fingerprintKey).update(text).digest().subarray(0, 16);
}

/** The table has one set of picks for both directions. */
export interface PickLock {
  holder: object | null;
}

/** Bucket digests as ASK carries them: 32 bits of each sum. */
export function shortDigests(buckets: readonly { sum: bigint }[]): Uint32Array {
  return Uint32Array.from(buckets, ({ sum }) => Number((sum >> 64n) & 0xffff_ffffn));
}

export class RepairOwner {
  readonly begin: Extract<RepairMessage, { type: 'begin' }>;
  private readonly engine: Engine;
  private readonly lock: PickLock;
  private readonly id: number;
  private readonly coded: CodedSymbols;
  private readonly mask = Buffer.alloc(MASK_SIZE);
  /** Where the walk for the snapshot continues; `null`: it has ended. */
  private cursor: number | null = 0;
  private passing = false;
  private target: number;
  private sent = 0;
  private wants: Buffer[] = [];
  private marking: { ids: Buffer; at: number; end: number; cursor: number | null } | null = null;
  private broken = false;

  /**
   * At the point of the stream where BEGIN stands; the walk for the snapshot may follow later (rules.ts).
   * @throws RangeError without memory for the symbols
   */
  constructor(
    engine: Engine,
    lock: PickLock,
    key: Buffer,
    ask: Extract<RepairMessage, { type: 'ask' }>,
    applied: number,
  ) {
    this.engine = engine;
    this.lock = lock;
    this.id = ask.id;
    const buckets = engine.buckets('own');
    let differing = 0;
    let expected = 0;
    shortDigests(buckets).forEach((digest, bucket) => {
      if (digest === ask.buckets[bucket]) return;
      differing += 1;
      expected += Number(buckets[bucket]?.count ?? 0n);
      this.mask.writeUInt8(this.mask.readUInt8(bucket >> 3) | (1 << (bucket & 7)), bucket >> 3);
    });
    this.coded = new CodedSymbols(engine.module, repairKey(key, ask.id), expected);
    const total = engine.countOf('own');
    this.target = firstSymbols(differing, total, ask.count);
    this.begin = { type: 'begin', id: ask.id, total, symbols: this.target, applied, mask: this.mask };
  }

  makeUpTo(symbols: number): void {
    this.target = symbols;
  }

  takeWants(ids: Buffer): void {
    this.wants.push(ids);
  }

  /** The last WANT has come: marks the states that are to be sent. */
  mark(): void {
    this.marking = { ids: Buffer.concat(this.wants), at: 0, end: 0, cursor: null };
    this.wants = [];
  }

  close(): void {
    if (this.lock.holder === this) this.lock.holder = null;
  }

  /** One slice of work. `idle`: wait for the mirror; `marked`: all that was wanted waits to be sent. */
  step(): 'more' | 'idle' | 'marked' | 'broken' {
    if (this.broken) return 'broken';
    if (this.marking !== null) return this.stepMarking(this.marking) ? 'more' : 'marked';
    if (this.cursor !== null) return this.stepCopy(this.cursor);
    if (this.passing) {
      this.passing = this.coded.step();
      return 'more';
    }
    if (this.coded.made >= this.target) return 'idle';
    if (!this.coded.pass(this.target)) return 'broken';
    this.passing = true;
    return 'more';
  }

  private stepCopy(from: number): 'more' {
    const { engine, mask, coded } = this;
    let at: number | null = from;
    while (at !== null && at < from + WALK_SLOTS) {
      at = engine.walks.copyIds(at, from + WALK_SLOTS - at, ['own'], mask, (ids) => {
        if (!coded.add(ids)) this.broken = true;
      });
    }
    this.cursor = at;
    if (at === null) coded.seal();
    return 'more';
  }

  private stepMarking(marking: NonNullable<typeof this.marking>): boolean {
    if (this.lock.holder !== this) {
      if (this.lock.holder !== null) return true;
      this.lock.holder = this;
    }
    if (marking.cursor === null) {
      if (marking.end === marking.ids.length) {
        this.lock.holder = null;
        return false;
      }
      marking.at = marking.end;
      marking.end = Math.min(marking.ids.length, marking.at + PICK_MOST * ID_SIZE);
      this.engine.walks.pick(marking.ids.subarray(marking.at, marking.end));
      marking.cursor = 0;
      return true;
    }
    marking.cursor = this.engine.walks.sendPicked(marking.cursor, WALK_SLOTS);
    return true;
  }

  /** The next symbols for the stream, if some are made and not yet sent. */
  nextMessage(room: number): Extract<RepairMessage, { type: 'symbols' }> | null {
    if (this.passing || this.cursor !== null || this.sent >= this.coded.made) return null;
    const n = Math.min(symbolsIn(room), this.coded.made - this.sent);
    const first = this.sent;
    this.sent += n;
    return { type: 'symbols', id: this.id, first, symbols: this.coded.read(first, n) };
  }
}
