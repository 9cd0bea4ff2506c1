/** Conntrack netlink messages in plain TypeScript: what the kernel sends, and taking apart what the module writes. */
import { type Extra, hasPorts, isIcmp, numbersOf, SCTP, type State, TCP, type Tuple } from './state.ts';

const NESTED = 0x8000;

function attr(type: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const out = Buffer.alloc((4 + body.length + 3) & ~3);
  out.writeUInt16LE(4 + body.length, 0);
  out.writeUInt16LE(type, 2);
  body.copy(out, 4);
  return out;
}

function nest(type: number, ...parts: Uint8Array[]): Buffer {
  return attr(type | NESTED, ...parts);
}

function u8(type: number, value: number): Buffer {
  return attr(type, Uint8Array.of(value));
}

function u16(type: number, value: number): Buffer {
  return attr(type, Uint8Array.of(value >> 8, value & 0xff));
}

function u32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return attr(type, bytes);
}

function tuple(type: number, state: State, one: Tuple, zone = 0): Buffer {
  const v4 = state.family === 2;
  const ip = nest(1, attr(v4 ? 1 : 3, one.src), attr(v4 ? 2 : 4, one.dst));
  const l4 = [u8(1, state.proto)];
  if (isIcmp(state)) {
    const base = v4 ? 4 : 7;
    l4.push(u16(base, one.sport), u8(base + 1, one.dport >> 8), u8(base + 2, one.dport & 0xff));
  } else if (hasPorts(state.proto)) {
    l4.push(u16(2, one.sport), u16(3, one.dport));
  }
  return nest(type, ip, nest(2, ...l4), ...(zone === 0 ? [] : [u16(3, zone)]));
}

function protoInfo(state: State): Buffer[] {
  if (state.proto === TCP) {
    const [a, b] = state.flags;
    const [wa, wb] = state.wscale;
    const parts = [u8(1, state.l4), u8(2, wa), u8(3, wb), attr(4, Uint8Array.of(a, 0)), attr(5, Uint8Array.of(b, 0))];
    return [nest(4, nest(1, ...parts))];
  }
  if (state.proto === SCTP && state.vtags !== null) {
    return [nest(4, nest(3, u8(1, state.l4), u32(2, state.vtags[0]), u32(3, state.vtags[1])))];
  }
  return [];
}

export interface MessageOptions {
  /** 0 new or update, 2 delete. */
  message?: number;
  flags?: number;
  /** Port id in the header. */
  pid?: number;
  seq?: number;
  /** Leave PROTOINFO out, as the kernel does in events in which it did not change. */
  withoutInfo?: boolean;
  /** Leave labels and sequence adjustment out, as the kernel does in events in which they did not change. */
  withoutExtra?: boolean;
  extra?: Buffer[];
}

function extraAttributes({ labels, helper, seq }: Extra): Buffer[] {
  const out: Buffer[] = [];
  if (helper) out.push(nest(5, attr(1, Buffer.from(`${helper}\0`))));
  if (labels) out.push(attr(22, labels));
  for (const [i, type] of seq ? [15, 16].entries() : []) {
    const one = (seq ?? []).slice(3 * i, 3 * i + 3).map((value, at) => attr(at + 1, numbersOf([value])));
    out.push(nest(type, ...one));
  }
  return out;
}

/** One message as the kernel sends it. */
export function kernelMessage(state: State, options: MessageOptions = {}): Buffer {
  const only = state.extra?.zone;
  const zones = [only?.direction === 1 ? state.zone : 0, only?.direction === 2 ? only.zone : 0];
  const body: Buffer[] = [tuple(1, state, state.orig, zones[0]), tuple(2, state, state.reply, zones[1])];
  body.push(u32(12, 0x1234), u32(3, state.status));
  if (options.message !== 2) {
    body.push(u32(7, state.timeout));
    if (!options.withoutInfo) body.push(...protoInfo(state));
  }
  if (state.mark !== 0) body.push(u32(8, state.mark));
  if (state.zone !== 0 && only === undefined) body.push(u16(18, state.zone));
  if (options.message !== 2 && !options.withoutExtra) body.push(...extraAttributes(state.extra ?? {}));
  body.push(...(options.extra ?? []));
  return netlink(0x100 | (options.message ?? 0), options, [Buffer.from([state.family, 0, 0, 0]), ...body]);
}

/** A netlink message around a payload. */
export function netlink(type: number, options: MessageOptions, payload: Uint8Array[]): Buffer {
  const body = Buffer.concat(payload);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(options.flags ?? 0, 6);
  header.writeUInt32LE(options.seq ?? 0, 8);
  header.writeUInt32LE(options.pid ?? 0, 12);
  return Buffer.concat([header, body]);
}

/** NLMSG_ERROR for a message with this sequence number; `errno` positive, 0 an acknowledgement. */
export function errorMessage(seq: number, errno: number): Buffer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno, 0);
  body.writeUInt32LE(20, 4);
  body.writeUInt32LE(seq, 12);
  return netlink(2, { seq }, [body]);
}

export const attributes = { attr, nest, u8, u16, u32 };

export type Attributes = Map<number, Uint8Array | Attributes>;

export interface Taken {
  type: number;
  flags: number;
  seq: number;
  family: number;
  attributes: Attributes;
  bytes: Buffer;
}

function takeAttributes(bytes: Buffer): Attributes {
  const out: Attributes = new Map();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    const type = bytes.readUInt16LE(at + 2);
    if (length < 4 || at + length > bytes.length) throw new Error('attribute does not fit');
    const body = bytes.subarray(at + 4, at + length);
    out.set(type & 0x3fff, (type & NESTED) !== 0 ? takeAttributes(body) : Uint8Array.from(body));
    at += (length + 3) & ~3;
  }
  return out;
}

/** All conntrack messages in a buffer; throws when a length is wrong. */
export function takeMessages(bytes: Buffer): Taken[] {
  const out: Taken[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < 20 || at + length > bytes.length || length % 4 !== 0) throw new Error('message does not fit');
    const one = bytes.subarray(at, at + length);
    out.push({
      type: one.readUInt16LE(4),
      flags: one.readUInt16LE(6),
      seq: one.readUInt32LE(8),
      family: one.readUInt8(16),
      attributes: takeAttributes(one.subarray(20)),
      bytes: Buffer.from(one),
    });
    at += length;
  }
  return out;
}

/** Follows nested attributes; `undefined` when one is missing. */
export function attribute(from: Attributes, ...path: number[]): Uint8Array | undefined {
  let at: Uint8Array | Attributes | undefined = from;
  for (const type of path) {
    if (!(at instanceof Map)) return undefined;
    at = at.get(type);
  }
  return at instanceof Map ? undefined : at;
}
