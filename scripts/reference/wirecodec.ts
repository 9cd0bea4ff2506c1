/** The sync record in plain TypeScript (layout: asm/peer/wire.ts), written apart from the module for comparison. */
import { type Extra, hasPorts, inverse, isIcmp, numbersOf, SCTP, type State, TCP, type Tuple } from './state.ts';

const DELETE = 0x01;
const IPV6 = 0x02;
const YOURS = 0x04;
const SNAT = 0x08;
const DNAT = 0x10;
const MARK = 0x20;
const ZONE = 0x40;
const L4 = 0x80;
/** In the status byte. */
const EXTRA = 0x80;

function u16(value: number): number[] {
  return [value >> 8, value & 0xff];
}

function u32(value: number): number[] {
  return [...u16(value >>> 16), ...u16(value & 0xffff)];
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function numbered(state: State): boolean {
  return hasPorts(state.proto) || isIcmp(state);
}

function l4Part(state: State): number[] | null {
  if (state.l4 === 0) return null;
  if (state.proto === TCP) {
    const scale = (state.wscale[0] << 4) | state.wscale[1];
    const flags = ((state.flags[0] & 7) << 4) | (state.flags[1] & 7);
    const rest = [...(scale ? [scale] : []), ...(flags ? [flags] : [])];
    return [state.l4 | (scale ? 0x10 : 0) | (flags ? 0x20 : 0), ...rest];
  }
  if (state.proto !== SCTP) return null;
  return state.vtags === null ? [state.l4] : [state.l4 | 0x10, ...u32(state.vtags[0]), ...u32(state.vtags[1])];
}

function keyPart(state: State): number[] {
  const ports = numbered(state) ? [...u16(state.orig.sport), ...u16(state.orig.dport)] : [];
  return [...(state.zone ? u16(state.zone) : []), ...state.orig.src, ...state.orig.dst, ...ports];
}

function headBits(state: State, yours: boolean): number {
  return (state.family === 10 ? IPV6 : 0) | (yours ? YOURS : 0) | (state.zone ? ZONE : 0);
}

export function encodeDelete(state: State, yours = false): Buffer {
  return Buffer.from([headBits(state, yours) | DELETE, state.proto, ...keyPart(state)]);
}

function extraPart({ labels, helper, seq, zone }: Extra): number[] {
  return [
    (labels ? 1 : 0) | (helper ? 2 : 0) | (seq ? 4 : 0) | (zone ? 8 : 0),
    ...(labels ?? []),
    ...(helper ? [helper.length, ...Buffer.from(helper)] : []),
    ...numbersOf(seq ?? []),
    ...(zone ? [zone.direction, ...u16(zone.zone)] : []),
  ];
}

function decodeExtra(take: (n: number) => Buffer): Extra {
  const parts = take(1).readUInt8(0);
  const extra: Extra = {};
  if (parts & 1) extra.labels = Uint8Array.from(take(16));
  if (parts & 2) extra.helper = take(take(1).readUInt8(0)).toString();
  if (parts & 4) extra.seq = Array.from({ length: 6 }, () => take(4).readUInt32BE(0));
  if (parts & 8) extra.zone = { direction: take(1).readUInt8(0) as 1 | 2, zone: take(2).readUInt16BE(0) };
  return extra;
}

export function encodeUpdate(state: State, yours = false): Buffer {
  const plain = inverse(state);
  const { reply } = state;
  const icmp = isIcmp(state);
  const snat = !same(reply.dst, plain.dst) || (icmp ? reply.sport !== plain.sport : reply.dport !== plain.dport);
  const dnat = !same(reply.src, plain.src) || (!icmp && reply.sport !== plain.sport);
  const number = (value: number): number[] => (numbered(state) ? u16(value) : []);
  const l4 = l4Part(state);
  const head =
    headBits(state, yours) | (snat ? SNAT : 0) | (dnat ? DNAT : 0) | (state.mark ? MARK : 0) | (l4 === null ? 0 : L4);
  return Buffer.from([
    head,
    state.proto,
    ...keyPart(state),
    (state.status & 6) | (state.extra === undefined ? 0 : EXTRA),
    ...(snat ? [...reply.dst, ...number(icmp ? reply.sport : reply.dport)] : []),
    ...(dnat ? [...reply.src, ...number(reply.sport)] : []),
    ...(state.mark ? u32(state.mark) : []),
    ...(l4 ?? []),
    ...(state.extra === undefined ? [] : extraPart(state.extra)),
  ]);
}

export interface Decoded {
  delete: boolean;
  yours: boolean;
  /** Of a delete only the key means something. */
  state: State;
}

/** All records in a datagram; throws when one does not fit. */
export function decodeRecords(bytes: Buffer): Decoded[] {
  const out: Decoded[] = [];
  let at = 0;
  const take = (n: number): Buffer => {
    if (at + n > bytes.length) throw new Error(`record cut short at ${at}`);
    at += n;
    return bytes.subarray(at - n, at);
  };
  while (at < bytes.length) out.push(decodeOne(take));
  return out;
}

function decodeOne(take: (n: number) => Buffer): Decoded {
  const head = take(1).readUInt8(0);
  const proto = take(1).readUInt8(0);
  const family = head & IPV6 ? 10 : 2;
  const size = family === 10 ? 16 : 4;
  const zone = head & ZONE ? take(2).readUInt16BE(0) : 0;
  const src = Uint8Array.from(take(size));
  const dst = Uint8Array.from(take(size));
  const counted = hasPorts(proto) || isIcmp({ proto, family });
  const orig: Tuple = { src, dst, sport: 0, dport: 0 };
  if (counted) {
    orig.sport = take(2).readUInt16BE(0);
    orig.dport = take(2).readUInt16BE(0);
  }
  const state: State = {
    ...{ family, proto, zone, orig, reply: inverse({ family, proto, orig }) },
    ...{ status: 8, mark: 0, l4: 0, wscale: [0, 0], flags: [0, 0], vtags: null, timeout: 0 },
  };
  if ((head & DELETE) === 0) decodeValue(state, head, size, counted, take);
  return { delete: (head & DELETE) !== 0, yours: (head & YOURS) !== 0, state };
}

function decodeValue(state: State, head: number, size: number, counted: boolean, take: (n: number) => Buffer): void {
  const icmp = isIcmp(state);
  const status = take(1).readUInt8(0);
  state.status |= status & ~EXTRA;
  if (head & SNAT) {
    state.reply.dst = Uint8Array.from(take(size));
    if (counted) state.reply[icmp ? 'sport' : 'dport'] = take(2).readUInt16BE(0);
  }
  if (head & DNAT) {
    state.reply.src = Uint8Array.from(take(size));
    if (counted) state.reply.sport = take(2).readUInt16BE(0);
  }
  if (head & MARK) state.mark = take(4).readUInt32BE(0);
  decodeL4(state, head, take);
  if (status & EXTRA) state.extra = decodeExtra(take);
}

function decodeL4(state: State, head: number, take: (n: number) => Buffer): void {
  if ((head & L4) === 0) return;
  const first = take(1).readUInt8(0);
  state.l4 = first & 15;
  if (state.proto === SCTP) {
    if (first & 0x10) state.vtags = [take(4).readUInt32BE(0), take(4).readUInt32BE(0)];
    return;
  }
  const scale = first & 0x10 ? take(1).readUInt8(0) : 0;
  const flags = first & 0x20 ? take(1).readUInt8(0) : 0;
  state.wscale = [scale >> 4, scale & 15];
  state.flags = [flags >> 4, flags & 15];
}
