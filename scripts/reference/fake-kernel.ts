/**
 * A kernel's connection table as far as ctnetlink's answers go (mapping.md section 5), for tests of what the module
 * writes.
 */
import { type Attributes, attribute, errorMessage, type Taken } from './ctmsg.ts';
import { hasPorts, inverse, isIcmp, type State, type Tuple } from './state.ts';

const ENOENT = 2;
const EBUSY = 16;
const EEXIST = 17;
const EINVAL = 22;
const EOPNOTSUPP = 95;

interface KernelEntry {
  orig: string;
  reply: string;
  status: number;
  timeout: number;
  mark: number;
  l4: number;
  liberal: boolean;
}

function number(bytes: Uint8Array | undefined): number | undefined {
  return bytes === undefined ? undefined : Number.parseInt(Buffer.from(bytes).toString('hex'), 16);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function tupleText(state: { family: number; proto: number; zone: number }, tuple: Tuple): string {
  const { src, dst, sport, dport } = tuple;
  const counted = hasPorts(state.proto) || isIcmp(state);
  const numbers = counted ? `${sport} ${dport}` : '';
  return `${state.family} ${state.proto} ${state.zone} ${hex(src)} ${hex(dst)} ${numbers}`;
}

export class FakeKernel {
  readonly entries = new Map<string, KernelEntry>();
  /** Reply tuple to original tuple: an entry is found by either. */
  private readonly replies = new Map<string, string>();
  /** Makes the next create fail with this errno. */
  failCreate = 0;
  /** Makes the next update fail with this errno. */
  failUpdate = 0;

  /** Works on messages in order; returns the refusals, as the kernel sends them. */
  handle(messages: Taken[]): Buffer {
    const answers = messages.map((message) => {
      const errno = (message.type & 0xff) === 2 ? this.remove(message) : this.change(message);
      return errno === 0 ? Buffer.alloc(0) : errorMessage(message.seq, errno);
    });
    return Buffer.concat(answers);
  }

  /** An entry made by traffic. */
  put(state: State): void {
    this.add(tupleText(state, state.orig), tupleText(state, state.reply), {
      ...{ orig: '', reply: '', status: state.status, timeout: state.timeout, mark: state.mark, l4: state.l4 },
      liberal: false,
    });
  }

  drop(state: State): void {
    this.erase(tupleText(state, state.orig));
  }

  get(state: State): KernelEntry | undefined {
    return this.entries.get(tupleText(state, state.orig));
  }

  private add(orig: string, reply: string, entry: KernelEntry): void {
    this.entries.set(orig, { ...entry, orig, reply });
    this.replies.set(reply, orig);
  }

  private erase(orig: string): boolean {
    const entry = this.entries.get(orig);
    if (entry === undefined) return false;
    this.entries.delete(orig);
    this.replies.delete(entry.reply);
    return true;
  }

  private tuple(
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

  private lookUp(message: Taken): string | null {
    const byOrig = this.tuple(message, 1);
    const found = byOrig ?? this.tuple(message, 2);
    if (found === null) throw new Error('a message without a tuple: a delete would flush the table');
    const text = tupleText(found.state, found.tuple);
    return this.entries.has(text) ? text : (this.replies.get(text) ?? null);
  }

  private remove(message: Taken): number {
    const orig = this.lookUp(message);
    return orig !== null && this.erase(orig) ? 0 : ENOENT;
  }

  private change(message: Taken): number {
    const orig = this.lookUp(message);
    if ((message.flags & 0x400) === 0) return orig === null ? ENOENT : this.update(orig, message.attributes);
    if (orig !== null) return EEXIST;
    return this.create(message);
  }

  private create(message: Taken): number {
    if (this.failCreate !== 0) {
      const errno = this.failCreate;
      this.failCreate = 0;
      return errno;
    }
    const one = this.tuple(message, 1);
    const other = this.tuple(message, 2);
    const from = message.attributes;
    const timeout = number(attribute(from, 7));
    const status = number(attribute(from, 3)) ?? 8;
    if (one === null || other === null || timeout === undefined || timeout === 0) return EINVAL;
    if ((status & 8) === 0 || (status & 0x201) !== 0) return EBUSY;
    const plain = tupleText(one.state, inverse({ ...one.state, orig: one.tuple }));
    if (tupleText(other.state, other.tuple) !== plain) throw new Error('the reply tuple must be the plain inverse');
    const reply = translated(one.state, other.tuple, from);
    const text = tupleText(one.state, reply);
    if (this.replies.has(text) || this.entries.has(text)) return EEXIST;
    this.add(tupleText(one.state, one.tuple), text, { orig: '', reply: '', status, timeout, ...l4Of(from) });
    return 0;
  }

  private update(orig: string, from: Attributes): number {
    const entry = this.entries.get(orig);
    if (this.failUpdate !== 0 || entry === undefined) {
      const errno = this.failUpdate;
      this.failUpdate = 0;
      return errno;
    }
    if (from.has(6) || from.has(13)) return EOPNOTSUPP;
    const status = number(attribute(from, 3));
    if (status !== undefined && (entry.status & ~status & 6) !== 0) return EBUSY;
    if (status !== undefined) entry.status |= status;
    entry.timeout = number(attribute(from, 7)) ?? entry.timeout;
    const { mark, l4, liberal } = l4Of(from);
    if (from.has(8)) entry.mark = mark;
    if (l4 !== 0) entry.l4 = l4;
    entry.liberal ||= liberal;
    return 0;
  }
}

function l4Of(from: Attributes): { mark: number; l4: number; liberal: boolean } {
  const flags = attribute(from, 4, 1, 4);
  return {
    mark: number(attribute(from, 8)) ?? 0,
    l4: number(attribute(from, 4, 1, 1)) ?? number(attribute(from, 4, 3, 1)) ?? 0,
    liberal: flags !== undefined && ((flags[0] ?? 0) & (flags[1] ?? 0) & 8) !== 0,
  };
}

function translated(state: Pick<State, 'family' | 'proto'>, reply: Tuple, from: Attributes): Tuple {
  const out = { ...reply };
  const v4 = state.family === 2;
  const icmp = isIcmp(state);
  for (const [type, end, port] of [
    [6, 'dst', icmp ? 'sport' : 'dport'],
    [13, 'src', 'sport'],
  ] as const) {
    const least = attribute(from, type, v4 ? 1 : 4);
    const most = attribute(from, type, v4 ? 2 : 5);
    if (least === undefined || most === undefined) continue;
    if (hex(least) !== hex(most)) throw new Error('a range of addresses');
    out[end] = least;
    if (!hasPorts(state.proto) && !icmp) continue;
    const value = number(attribute(from, type, 3, 1));
    if (value === undefined || value !== number(attribute(from, type, 3, 2))) throw new Error('a range of ports');
    out[port] = value;
  }
  return out;
}
