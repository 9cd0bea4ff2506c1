/**
 * A model of the kernel's connection tracking, as far as Carpio touches it: entries made by traffic, their timeouts and
 * events; creation, change and deletion over ctnetlink with the kernel's refusals; dumps; a full table.
 *
 * What it claims of the kernel is compared with the real one by test/lab/sim-conntrack.test.ts, with the same script of
 * operations for both.
 */
import type { Attributes, Taken } from '../../reference/ctmsg.ts';
import { attribute, errorMessage, kernelMessage, netlink, takeMessages } from '../../reference/ctmsg.ts';
import { tupleText } from '../../reference/fake-kernel.ts';
import type { State, Tuple } from '../../reference/state.ts';
import { hasPorts, inverse, isIcmp } from '../../reference/state.ts';

export const SEEN_REPLY = 0x2;
export const ASSURED = 0x4;
export const CONFIRMED = 0x8;
const ENOENT = 2;
const ENOMEM = 12;
const EBUSY = 16;
const EEXIST = 17;
const EINVAL = 22;
const EOPNOTSUPP = 95;
const BE_LIBERAL = 8;
const NLM_F_CREATE = 0x400;
const NLM_F_EXCL = 0x200;
const DONE = 3;
const MULTI = 2;

/** Seconds by protocol state: net.netfilter.nf_conntrack_*_timeout*, the kernel's defaults. */
const TCP_TIMEOUTS = [432000, 120, 60, 432000, 120, 60, 30, 120, 10, 120];

/** How long an entry lives that only traffic keeps, seconds. */
export function timeoutOf(state: State): number {
  if (state.proto === 6) return TCP_TIMEOUTS[state.l4] ?? 432000;
  if (state.proto === 17) return (state.status & ASSURED) !== 0 ? 120 : 30;
  return 30;
}

export interface Entry {
  state: State;
  orig: string;
  reply: string;
  /** Us of the clock that is given to each call. */
  expiresUs: number;
  /** Came over netlink, not by traffic. */
  injected: boolean;
  /** Us: when the entry, or what it maps to, last changed. */
  changedUs: number;
}

export interface TableOptions {
  /** Entries that have room (nf_conntrack_max). */
  most: number;
  /** Told of each change: `port` is who made it, 0 the traffic. */
  event(message: Buffer): void;
  /** A full table has given this one up. */
  evicted(entry: Entry): void;
}

export class Conntrack {
  readonly entries = new Map<string, Entry>();
  /** When an entry went, by its original tuple. */
  readonly gone = new Map<string, number>();
  most: number;
  private readonly replies = new Map<string, string>();
  private readonly tell: (message: Buffer) => void;
  private readonly evicted: (entry: Entry) => void;
  /** The entry that ends first ends not before this. */
  private firstEndUs = Number.POSITIVE_INFINITY;

  constructor({ most, event, evicted }: TableOptions) {
    this.most = most;
    this.tell = event;
    this.evicted = evicted;
  }

  // --- traffic ---

  lookup(orig: string, nowUs: number): Entry | null {
    this.collect(nowUs);
    return this.entries.get(orig) ?? null;
  }

  /** The first packet of a connection. Null: the table is full, or its mapping is taken. */
  open(state: State, nowUs: number): Entry | null {
    this.collect(nowUs);
    const orig = tupleText(state, state.orig);
    const reply = tupleText(state, state.reply);
    if (this.taken(orig) || this.taken(reply) || !this.room(nowUs)) return null;
    const entry: Entry = {
      state: { ...state, timeout: timeoutOf(state) },
      ...{ orig, reply, injected: false, changedUs: nowUs, expiresUs: 0 },
    };
    this.put(entry, nowUs);
    this.report(entry, 0, 0);
    return entry;
  }

  /** A packet changes what the entry says: an event; else only its timeout starts anew. */
  pass(entry: Entry, change: Partial<Pick<State, 'status' | 'l4' | 'mark'>>, nowUs: number): void {
    const { state } = entry;
    const status = state.status | (change.status ?? 0);
    const l4 = change.l4 ?? state.l4;
    const mark = change.mark ?? state.mark;
    const changed = status !== state.status || l4 !== state.l4 || mark !== state.mark;
    Object.assign(state, { status, l4, mark });
    this.setTimeout(entry, timeoutOf(state), nowUs);
    if (!changed) return;
    entry.changedUs = nowUs;
    this.report(entry, 0, 0);
  }

  /** An entry is deleted by hand, or because its time is over. */
  drop(entry: Entry, nowUs: number, port = 0): void {
    this.remove(entry, nowUs);
    this.report(entry, 2, port);
  }

  /** Power is gone: nothing is told to anybody. */
  wipe(): void {
    this.entries.clear();
    this.replies.clear();
    this.gone.clear();
  }

  /** Ends what has timed out. */
  collect(nowUs: number): void {
    if (nowUs < this.firstEndUs) return;
    let first = Number.POSITIVE_INFINITY;
    for (const entry of [...this.entries.values()]) {
      if (entry.expiresUs <= nowUs) this.drop(entry, nowUs);
      else first = Math.min(first, entry.expiresUs);
    }
    this.firstEndUs = first;
    for (const [key, at] of this.gone) if (nowUs - at > 120_000_000) this.gone.delete(key);
  }

  // --- ctnetlink ---

  /** Works on messages in order; returns the refusals, one message each. `port`: who sends them. */
  change(bytes: Buffer, port: number, nowUs: number): Buffer[] {
    this.collect(nowUs);
    const refusals: Buffer[] = [];
    for (const message of takeMessages(bytes)) {
      const errno = (message.type & 0xff) === 2 ? this.erase(message, port, nowUs) : this.write(message, port, nowUs);
      if (errno !== 0) refusals.push(errorMessage(message.seq, errno));
    }
    return refusals;
  }

  /** The whole table as pieces of a dump, `per` lines each, and its end. */
  dump(seq: number, nowUs: number, per = 16): Buffer[] {
    this.collect(nowUs);
    const lines = [...this.entries.values()].map((entry) =>
      kernelMessage({ ...entry.state, timeout: this.left(entry, nowUs) }, { seq, flags: MULTI }),
    );
    const pieces: Buffer[] = [];
    for (let i = 0; i < lines.length; i += per) pieces.push(Buffer.concat(lines.slice(i, i + per)));
    pieces.push(netlink(DONE, { seq, flags: MULTI }, [Buffer.alloc(4)]));
    return pieces;
  }

  /** Seconds that the entry still lives without traffic. */
  left(entry: Entry, nowUs: number): number {
    return Math.max(0, Math.ceil((entry.expiresUs - nowUs) / 1e6));
  }

  private erase(message: Taken, port: number, nowUs: number): number {
    const entry = this.find(message);
    if (entry === null) return ENOENT;
    this.drop(entry, nowUs, port);
    return 0;
  }

  private write(message: Taken, port: number, nowUs: number): number {
    const found = this.find(message);
    if ((message.flags & NLM_F_CREATE) === 0) {
      return found === null ? ENOENT : this.update(found, message.attributes, port, nowUs);
    }
    if (found !== null) {
      if ((message.flags & NLM_F_EXCL) !== 0) return EEXIST;
      return this.update(found, message.attributes, port, nowUs);
    }
    return this.create(message, port, nowUs);
  }

  private create(message: Taken, port: number, nowUs: number): number {
    const one = tupleOf(message, 1);
    const other = tupleOf(message, 2);
    const from = message.attributes;
    const timeout = number(attribute(from, 7));
    const status = number(attribute(from, 3)) ?? CONFIRMED;
    if (one === null || other === null || timeout === undefined) return EINVAL;
    if ((status & CONFIRMED) === 0 || (status & 0x201) !== 0) return EBUSY;
    if (!this.room(nowUs)) return ENOMEM;
    const base = { ...EMPTY, ...one.state, orig: one.tuple };
    const reply = translated(one.state, other.tuple, from);
    const state: State = { ...base, reply, status, timeout, ...contentOf(from, base) };
    const orig = tupleText(state, state.orig);
    const text = tupleText(state, reply);
    if (this.taken(text) || this.taken(orig)) return EEXIST;
    const entry: Entry = { state, orig, reply: text, injected: true, changedUs: nowUs, expiresUs: 0 };
    this.put(entry, nowUs);
    this.setTimeout(entry, timeout, nowUs);
    this.report(entry, 0, port);
    return 0;
  }

  private update(entry: Entry, from: Attributes, port: number, nowUs: number): number {
    if (from.has(6) || from.has(13)) return EOPNOTSUPP;
    const { state } = entry;
    const status = number(attribute(from, 3));
    if (status !== undefined && (state.status & ~status & (SEEN_REPLY | ASSURED)) !== 0) return EBUSY;
    if (status !== undefined) state.status |= status;
    Object.assign(state, contentOf(from, state));
    const timeout = number(attribute(from, 7));
    if (timeout !== undefined) this.setTimeout(entry, timeout, nowUs);
    this.report(entry, 0, port);
    return 0;
  }

  private find(message: Taken): Entry | null {
    const which = tupleOf(message, 1) ?? tupleOf(message, 2);
    if (which === null) throw new Error('a message without a tuple: a delete would flush the table');
    const text = tupleText(which.state, which.tuple);
    return this.entries.get(text) ?? this.entries.get(this.replies.get(text) ?? '') ?? null;
  }

  // --- the table ---

  private taken(text: string): boolean {
    return this.entries.has(text) || this.replies.has(text);
  }

  /** A full table gives up an entry that is not assured, if it has one (early_drop). */
  private room(nowUs: number): boolean {
    if (this.entries.size < this.most) return true;
    for (const entry of this.entries.values()) {
      if ((entry.state.status & ASSURED) !== 0) continue;
      this.drop(entry, nowUs);
      this.evicted(entry);
      return true;
    }
    return false;
  }

  private put(entry: Entry, nowUs: number): void {
    this.entries.set(entry.orig, entry);
    this.replies.set(entry.reply, entry.orig);
    this.gone.delete(entry.orig);
    this.setTimeout(entry, entry.state.timeout, nowUs);
  }

  private remove(entry: Entry, nowUs: number): void {
    this.entries.delete(entry.orig);
    this.replies.delete(entry.reply);
    this.gone.set(entry.orig, nowUs);
  }

  private setTimeout(entry: Entry, seconds: number, nowUs: number): void {
    entry.expiresUs = nowUs + seconds * 1e6;
    this.firstEndUs = Math.min(this.firstEndUs, entry.expiresUs);
  }

  private report(entry: Entry, message: 0 | 2, pid: number): void {
    this.tell(kernelMessage({ ...entry.state }, { message, pid }));
  }
}

const EMPTY = {
  zone: 0,
  status: CONFIRMED,
  mark: 0,
  l4: 0,
  wscale: [0, 0] as [number, number],
  flags: [0, 0] as [number, number],
  vtags: null,
  timeout: 0,
};

/** Does the entry let packets pass whatever its window says? Those made by traffic know their window. */
export function passesWindow(entry: Entry): boolean {
  if (entry.state.proto !== 6 || !entry.injected) return true;
  return entry.state.flags.every((flags) => (flags & BE_LIBERAL) !== 0);
}

function number(bytes: Uint8Array | undefined): number | undefined {
  return bytes === undefined ? undefined : Number.parseInt(Buffer.from(bytes).toString('hex'), 16);
}

function tupleOf(
  message: Taken,
  which: number,
): { state: Pick<State, 'family' | 'proto' | 'zone'>; tuple: Tuple } | null {
  const from = message.attributes;
  const family = message.family === 2 ? 2 : 10;
  const proto = number(attribute(from, which, 2, 1));
  const src = attribute(from, which, 1, family === 2 ? 1 : 3);
  const dst = attribute(from, which, 1, family === 2 ? 2 : 4);
  if (proto === undefined || src === undefined || dst === undefined) return null;
  const state = { family, proto, zone: number(attribute(from, 18)) ?? 0 } as const;
  const at = (type: number): number => number(attribute(from, which, 2, type)) ?? 0;
  const base = family === 2 ? 4 : 7;
  const ports = isIcmp(state)
    ? { sport: at(base), dport: (at(base + 1) << 8) | at(base + 2) }
    : { sport: at(2), dport: at(3) };
  return { state, tuple: { src, dst, ...ports } };
}

/** What a message says of mark and protocol; what it leaves out stays. */
function contentOf(
  from: Attributes,
  before: Pick<State, 'mark' | 'l4' | 'flags'>,
): Pick<State, 'mark' | 'l4' | 'flags'> {
  const flags = ([4, 5] as const).map((type, i) => {
    const [value, mask] = attribute(from, 4, 1, type) ?? [];
    const old = before.flags[i] ?? 0;
    return value === undefined || mask === undefined ? old : (old & ~mask) | (value & mask);
  });
  return {
    mark: number(attribute(from, 8)) ?? before.mark,
    l4: number(attribute(from, 4, 1, 1)) ?? number(attribute(from, 4, 3, 1)) ?? before.l4,
    flags: [flags[0] ?? 0, flags[1] ?? 0],
  };
}

/** The reply tuple that the NAT attributes make of the plain inverse one. */
function translated(state: Pick<State, 'family' | 'proto'>, reply: Tuple, from: Attributes): Tuple {
  const out = { ...reply };
  const v4 = state.family === 2;
  const icmp = isIcmp(state);
  for (const [type, end, port] of [
    [6, 'dst', icmp ? 'sport' : 'dport'],
    [13, 'src', 'sport'],
  ] as const) {
    const address = attribute(from, type, v4 ? 1 : 4);
    if (address === undefined) continue;
    out[end] = address;
    const value = number(attribute(from, type, 3, 1));
    if (value !== undefined && (hasPorts(state.proto) || icmp)) out[port] = value;
  }
  return out;
}

export { inverse, tupleText };
