/** The mirror's work on a repair: finds what differs, drops what only it has, asks for what it has not. */
import type { Engine } from '../table/engine.ts';
import type { RepairMessage } from '../wire/repair.ts';
import { BUCKETS, ID_SIZE, idsIn, MASK_SIZE } from '../wire/repair.ts';
import { CodedSymbols } from './coded-symbols.ts';
import type { PickLock } from './owner-runner.ts';
import { PICK_MOST, repairKey, shortDigests, WALK_SLOTS } from './owner-runner.ts';

/** The states that may be the peer's: the mirrored ones, and the unclaimed ones that the dump of the kernel showed. */
const CANDIDATES = ['mirrored', 'unclaimed'] as const;
/** A slice that drops states visits so many slots; it also ends when the kernel's queue is long. */
const APPLY_SLOTS = 16_384;

type MirrorWork =
  | { type: 'more' }
  | { type: 'idle' }
  | { type: 'dry' }
  | { type: 'solved'; differences: number }
  | { type: 'applied' }
  | { type: 'broken' };

/** Some buckets and all differing ids in them. */
interface Group {
  mask: Buffer;
  ids: Buffer;
}

/** ASK: the bucket digests of what may be the peer's. */
export function askFor(engine: Engine, id: number): Extract<RepairMessage, { type: 'ask' }> {
  const [peer, none] = CANDIDATES.map((owner) => engine.buckets(owner));
  const sums = (peer ?? []).map(({ sum, count }, i) => ({
    sum: (sum + (none?.[i]?.sum ?? 0n)) & ((1n << 128n) - 1n),
    count: count + (none?.[i]?.count ?? 0n),
  }));
  const count = sums.reduce((total, bucket) => total + Number(bucket.count), 0);
  return { type: 'ask', id, count, buckets: shortDigests(sums) };
}

export class RepairMirror {
  private readonly engine: Engine;
  private readonly lock: PickLock;
  private readonly id: number;
  private readonly mask: Buffer;
  private coded: CodedSymbols | null;
  private cursor: number | null = 0;
  private working = false;
  private pending: Buffer[] = [];
  private groups: Group[] | null = null;
  private applyFrom: number | null = null;
  private wants: Buffer[] = [];
  private queue: Buffer | null = null;
  private broken = false;

  /**
   * At the place of BEGIN in the stream: from here on, what the owner sends is marked.
   * @throws RangeError without memory for the symbols
   */
  constructor(engine: Engine, lock: PickLock, key: Buffer, begin: Extract<RepairMessage, { type: 'begin' }>) {
    this.engine = engine;
    this.lock = lock;
    this.id = begin.id;
    this.mask = begin.mask;
    const here = CANDIDATES.reduce((sum, owner) => sum + engine.countOf(owner), 0);
    const expected = Math.ceil((here * bitsOf(begin.mask)) / BUCKETS);
    this.coded = new CodedSymbols(engine.module, repairKey(key, begin.id), expected);
    engine.peerBulkBegin();
  }

  take(symbols: Buffer): void {
    this.pending.push(symbols);
  }

  close(): void {
    if (this.lock.holder === this) this.lock.holder = null;
    this.coded = null;
    this.pending = [];
  }

  /** One slice of work. */
  step(): MirrorWork {
    if (this.broken) return { type: 'broken' };
    if (this.groups !== null) return this.stepApply(this.groups);
    const { coded } = this;
    if (coded === null) return { type: 'idle' };
    if (this.cursor !== null) return this.stepCopy(coded, this.cursor);
    if (!this.working) return this.stepTake(coded);
    const result = coded.solve();
    if (result === 'more') return { type: 'more' };
    this.working = false;
    if (result === 'damaged') return { type: 'broken' };
    if (result === 'solved') return { type: 'solved', differences: coded.found };
    return this.pending.length > 0 ? { type: 'more' } : { type: 'dry' };
  }

  private stepCopy(coded: CodedSymbols, from: number): MirrorWork {
    let at: number | null = from;
    while (at !== null && at < from + WALK_SLOTS) {
      at = this.engine.walks.copyIds(at, from + WALK_SLOTS - at, CANDIDATES, this.mask, (ids) => {
        if (!coded.add(ids)) this.broken = true;
      });
    }
    this.cursor = at;
    if (at === null) coded.seal();
    return { type: 'more' };
  }

  private stepTake(coded: CodedSymbols): MirrorWork {
    if (this.pending.length === 0) return { type: 'idle' };
    for (const symbols of this.pending) if (!coded.take(symbols)) return { type: 'broken' };
    this.pending = [];
    if (!coded.pass(coded.taken)) return { type: 'broken' };
    this.working = true;
    return { type: 'more' };
  }

  /** All differences are known: from now on the table is changed. */
  apply(): void {
    const ids = this.coded?.differences() ?? Buffer.alloc(0);
    this.coded = null;
    this.groups = groupsOf(ids, this.engine.countOf('unclaimed') > 0);
    if (this.groups.some((group) => group.ids.length > PICK_MOST * ID_SIZE)) this.broken = true;
  }

  private stepApply(groups: Group[]): MirrorWork {
    const group = groups[0];
    if (group === undefined) {
      if (this.lock.holder === this) this.lock.holder = null;
      if (this.queue !== null) return { type: 'idle' };
      this.queue = Buffer.concat(this.wants);
      return { type: 'applied' };
    }
    if (this.lock.holder !== this) {
      if (this.lock.holder !== null) return { type: 'more' };
      this.lock.holder = this;
    }
    if (this.applyFrom === null) {
      this.engine.walks.pick(group.ids);
      this.applyFrom = 0;
    }
    this.applyFrom = this.engine.walks.applyPicked(this.applyFrom, APPLY_SLOTS, group.mask);
    if (this.applyFrom !== null) return { type: 'more' };
    // What no walk has met is not here.
    this.wants.push(this.engine.walks.unseenPicks());
    groups.shift();
    return { type: 'more' };
  }

  /** The next WANT for the stream. The last one says so, even when it asks for nothing. */
  nextMessage(room: number): Extract<RepairMessage, { type: 'want' }> | null {
    const { queue, id } = this;
    if (queue === null) return null;
    const n = idsIn(room) * ID_SIZE;
    const last = queue.length <= n;
    this.queue = last ? null : queue.subarray(n);
    return { type: 'want', id, last, ids: queue.subarray(0, n) };
  }
}

function bitsOf(mask: Buffer): number {
  let bits = 0;
  for (const byte of mask) for (let rest: number = byte; rest !== 0; rest &= rest - 1) bits += 1;
  return bits;
}

/** The ids in the order of their buckets, and where each bucket begins. */
function sortByBucket(ids: Buffer): { sorted: Buffer; starts: Uint32Array } {
  // An id is two words, the bucket the low byte of the first (little endian, as WebAssembly memory is).
  const words = new Uint32Array(ids.buffer, ids.byteOffset, ids.length / 4);
  const starts = new Uint32Array(BUCKETS + 1);
  for (let at = 0; at < words.length; at += 2) {
    const next = ((words[at] ?? 0) & 0xff) + 1;
    starts[next] = (starts[next] ?? 0) + 1;
  }
  for (let i = 0; i < BUCKETS; i++) starts[i + 1] = (starts[i + 1] ?? 0) + (starts[i] ?? 0);
  const next = starts.slice();
  const sorted = new Uint32Array(words.length);
  for (let at = 0; at < words.length; at += 2) {
    const bucket = (words[at] ?? 0) & 0xff;
    const place = next[bucket] ?? 0;
    next[bucket] = place + 1;
    sorted[place * 2] = words[at] ?? 0;
    sorted[place * 2 + 1] = words[at + 1] ?? 0;
  }
  return { sorted: Buffer.from(sorted.buffer), starts };
}

/**
 * Parts the ids by bucket into sets that fit the table's set of picks. `all`: buckets without differences count too.
 */
function groupsOf(ids: Buffer, all: boolean): Group[] {
  const { sorted, starts } = sortByBucket(ids);
  const groups: Group[] = [];
  let first = 0;
  let mask = Buffer.alloc(MASK_SIZE);
  let touched = false;
  const close = (end: number): void => {
    if (touched) groups.push({ mask, ids: sorted.subarray(first * ID_SIZE, end * ID_SIZE) });
    first = end;
    mask = Buffer.alloc(MASK_SIZE);
    touched = false;
  };
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const [start, end] = [starts[bucket] ?? 0, starts[bucket + 1] ?? 0];
    if (start === end && !all) continue;
    if (end - first > PICK_MOST) close(start);
    mask.writeUInt8(mask.readUInt8(bucket >> 3) | (1 << (bucket & 7)), bucket >> 3);
    touched = true;
  }
  close(ids.length / ID_SIZE);
  return groups;
}
