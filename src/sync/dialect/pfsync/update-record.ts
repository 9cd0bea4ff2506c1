/**
 * Connections as the state engine takes and gives them: updates in the layout of asm/peer/wire.ts. A driver of pfsync
 * feeds the same table through the same door as Carpio's own dialect, so ownership, kernel and digests stay one. Pure.
 */
import { formatIp, parseIp } from '../../../net/ip.ts';
import type { Connection, Tuple } from './connection.ts';
import { CLOSE_INIT, hasPorts, isIcmp, SCTP, TCP, WINDOW_SCALE } from './numbers.ts';

const DELETE = 0x01;
const IPV6 = 0x02;
const YOURS = 0x04;
const SNAT = 0x08;
const DNAT = 0x10;
const MARK = 0x20;
const ZONE = 0x40;
const L4 = 0x80;
const SEEN_REPLY = 0x02;
const ASSURED = 0x04;
const EXTRA = 0x80;
const X_LABELS = 1;
const X_HELPER = 2;
const X_SEQ = 4;
const X_ZONE = 8;
const LONGEST = 320;

/** What one update says. */
interface Update {
  connection: Connection;
  ended: boolean;
  /** The engine gives the state to the peer, or answers about one of the peer's. */
  yours: boolean;
  /** What pf has no field for, by name. */
  notCarried: string[];
}

class Writer {
  readonly bytes = Buffer.alloc(LONGEST);
  at = 0;

  u8(value: number): void {
    this.bytes[this.at++] = value;
  }

  u16(value: number): void {
    this.at = this.bytes.writeUInt16BE(value, this.at);
  }

  u32(value: number): void {
    this.at = this.bytes.writeUInt32BE(value >>> 0, this.at);
  }

  address(text: string): void {
    const bytes = parseIp(text);
    if (bytes === null) throw new RangeError(`${text} is no address`);
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }
}

const familyBit = (connection: Connection): number => (connection.family === 6 ? IPV6 : 0);

function putKey(out: Writer, head: number, { proto, orig }: Connection): void {
  out.u8(head);
  out.u8(proto);
  out.address(orig.src);
  out.address(orig.dst);
  if (!hasPorts(proto) && !isIcmp(proto)) return;
  out.u16(orig.sport);
  out.u16(orig.dport);
}

function putL4(out: Writer, { tcpState, wscale, closedBy }: Connection): void {
  const scaled = wscale !== null;
  const closed = closedBy === null ? 0 : closedBy === 0 ? CLOSE_INIT << 4 : CLOSE_INIT;
  const flags = (scaled ? (WINDOW_SCALE << 4) | WINDOW_SCALE : 0) | closed;
  const scale = scaled ? (wscale[0] << 4) | wscale[1] : 0;
  out.u8(tcpState | (scale === 0 ? 0 : 0x10) | (flags === 0 ? 0 : 0x20));
  if (scale !== 0) out.u8(scale);
  if (flags !== 0) out.u8(flags);
}

/** An update for `Engine.applyUpdates`: the peer says that it owns this connection. */
export function encodeUpdate(connection: Connection): Buffer {
  const { proto, orig, after, tcpState, seqDiff } = connection;
  const ports = hasPorts(proto) || isIcmp(proto);
  const snat = after.src !== orig.src || after.sport !== orig.sport;
  const dnat = after.dst !== orig.dst || (after.dport !== orig.dport && !isIcmp(proto));
  const l4 = proto === TCP && tcpState !== 0;
  const shifted = seqDiff[0] !== 0 || seqDiff[1] !== 0;
  const out = new Writer();
  putKey(out, familyBit(connection) | (snat ? SNAT : 0) | (dnat ? DNAT : 0) | (l4 ? L4 : 0), connection);
  out.u8((connection.seenReply ? SEEN_REPLY : 0) | (connection.assured ? ASSURED : 0) | (shifted ? EXTRA : 0));
  if (snat) {
    out.address(after.src);
    if (ports) out.u16(after.sport);
  }
  if (dnat) {
    out.address(after.dst);
    // Conntrack has the identifier of ICMP once: the source's part stands for both.
    if (ports) out.u16(isIcmp(proto) ? after.sport : after.dport);
  }
  if (l4) putL4(out, connection);
  if (shifted) {
    out.u8(X_SEQ);
    // No position, and the same before and after it: the whole stream is shifted (docs/protocol/mapping.md section 2).
    for (const diff of seqDiff) for (const value of [0, diff, diff]) out.u32(value);
  }
  return out.bytes.subarray(0, out.at);
}

/** The peer says that this connection has ended. */
export function encodeEnd(connection: Connection): Buffer {
  const out = new Writer();
  putKey(out, familyBit(connection) | DELETE, connection);
  return out.bytes.subarray(0, out.at);
}

class Reader {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  u8(): number {
    return this.bytes.readUInt8(this.at++);
  }

  u16(): number {
    this.at += 2;
    return this.bytes.readUInt16BE(this.at - 2);
  }

  u32(): number {
    this.at += 4;
    return this.bytes.readUInt32BE(this.at - 4);
  }

  address(size: number): string {
    this.at += size;
    return formatIp(this.bytes.subarray(this.at - size, this.at));
  }
}

function readAfter(input: Reader, head: number, orig: Tuple, proto: number): Tuple {
  const size = head & IPV6 ? 16 : 4;
  const ports = hasPorts(proto) || isIcmp(proto);
  const after = { ...orig };
  if (head & SNAT) {
    after.src = input.address(size);
    if (ports) after.sport = input.u16();
  }
  if (head & DNAT) {
    after.dst = input.address(size);
    const port = ports ? input.u16() : 0;
    if (isIcmp(proto)) after.sport = port;
    else if (ports) after.dport = port;
  }
  return after;
}

type L4Part = Pick<Connection, 'tcpState' | 'wscale' | 'closedBy'>;
const NO_L4: L4Part = { tcpState: 0, wscale: null, closedBy: null };

function readL4(input: Reader, head: number, proto: number): L4Part {
  if ((head & L4) === 0) return NO_L4;
  const first = input.u8();
  if (proto !== TCP) {
    if (proto === SCTP && first & 0x10) input.at += 8;
    return NO_L4;
  }
  const scale = first & 0x10 ? input.u8() : 0;
  const flags = first & 0x20 ? input.u8() : 0;
  const scaled = ((flags >> 4) & flags & WINDOW_SCALE) !== 0;
  const closedBy = flags & (CLOSE_INIT << 4) ? 0 : flags & CLOSE_INIT ? 1 : null;
  return { tcpState: first & 15, wscale: scaled ? [scale >> 4, scale & 15] : null, closedBy };
}

/** @returns the shifts of the sequence numbers */
function readExtra(input: Reader, notCarried: string[]): readonly [number, number] {
  const parts = input.u8();
  let diff: readonly [number, number] = [0, 0];
  if (parts & X_LABELS) {
    input.at += 16;
    notCarried.push('labels');
  }
  if (parts & X_HELPER) {
    input.at += 1 + input.bytes.readUInt8(input.at);
    notCarried.push('helper');
  }
  if (parts & X_SEQ) {
    const [, , orig = 0, , , reply = 0] = [0, 0, 0, 0, 0, 0].map(() => input.u32());
    diff = [orig, reply];
  }
  if (parts & X_ZONE) {
    input.at += 3;
    notCarried.push('zone');
  }
  return diff;
}

/** One update of what `Engine.takeUpdates` gives. */
function readUpdate(input: Reader): Update {
  const notCarried: string[] = [];
  const head = input.u8();
  const proto = input.u8();
  if (head & ZONE && input.u16() !== 0) notCarried.push('zone');
  const size = head & IPV6 ? 16 : 4;
  const [src, dst] = [input.address(size), input.address(size)];
  const ports = hasPorts(proto) || isIcmp(proto);
  const orig = { src, dst, sport: ports ? input.u16() : 0, dport: ports ? input.u16() : 0 };
  const family = head & IPV6 ? (6 as const) : (4 as const);
  const [ended, yours] = [(head & DELETE) !== 0, (head & YOURS) !== 0];
  const bare = { family, proto, orig, after: orig, ...NO_L4, seenReply: false, assured: false };
  if (ended) return { connection: { ...bare, seqDiff: [0, 0] }, ended, yours, notCarried };
  const status = input.u8();
  const after = readAfter(input, head, orig, proto);
  if (head & MARK && input.u32() !== 0) notCarried.push('mark');
  const l4 = readL4(input, head, proto);
  const seqDiff = status & EXTRA ? readExtra(input, notCarried) : ([0, 0] as const);
  const [seenReply, assured] = [(status & SEEN_REPLY) !== 0, (status & ASSURED) !== 0];
  return { connection: { ...bare, after, ...l4, seenReply, assured, seqDiff }, ended, yours, notCarried };
}

/** All updates of a piece of the engine. @throws RangeError when the engine has another layout */
export function readUpdates(bytes: Buffer): Update[] {
  const input = new Reader(bytes, 0);
  const updates: Update[] = [];
  while (input.at < bytes.length) updates.push(readUpdate(input));
  return updates;
}
