/**
 * The datagrams of the `carpio` dialect, version 1 (IP protocol 240 on the sync link). Pure codec.
 *
 * Every datagram begins with a clear header of 16 bytes, which is authenticated together with the rest:
 *
 *     0  u16  magic 0xca12
 *     2  u8   version 1
 *     3  u8   kind: 1 HELLO, 2 FAST
 *     4  u32  session mark of the sender (the first four bytes of its nonce)
 *     8  u64  counter, never used twice under one key; with the mark it is the GCM nonce
 *
 * HELLO carries the sender's 16-byte nonce in clear behind the header, then a sealed body (JSON). FAST is a sealed body
 * alone: a fixed part of 12 bytes, then messages (type u8, length u16, content) up to the end:
 *
 *     0  u32  ack: the last sequence number of the peer's stream that is applied here, in the kernel too
 *     4  u32  seq: number of this datagram in the sender's stream, 0 when it is not part of it
 *     8  u8   flags: 1 gap (a number behind `ack` is missing: send again from there), 2 acknowledge at once
 *     9  u8   reserved, 0
 *     10 u16  adoptSeen: the last ADOPT of the peer that the sender had applied
 *
 * Big endian. What version 1 writes, later versions read (invariant 8): a node skips a message type that it does not
 * know, and a change of a known layout needs a new version number in HELLO.
 */
export const MAGIC = 0xca12;
export const WIRE_VERSION = 1;
export const HEADER_SIZE = 16;
export const NONCE_SIZE = 16;
export const TAG_SIZE = 16;
export const FAST_FIXED = 12;
export const MESSAGE_HEADER = 3;

export const KIND_HELLO = 1;
export const KIND_FAST = 2;
const FLAG_GAP = 1;
/** Packets wait for the acknowledgement (worker/defer.ts): it must not wait for a datagram that carries it. */
const FLAG_URGENT = 2;

/** Message types inside FAST. Those below REPORT are only valid in a datagram that has a sequence number. */
export const MSG = {
  UPDATES: 1,
  DIGEST: 2,
  ADOPT: 3,
  BULK_BEGIN: 4,
  BULK_END: 5,
  RESYNC: 6,
  VERDICT: 7,
  /** A repair (wire/repair.ts). */
  REPAIR_ASK: 8,
  REPAIR_BEGIN: 9,
  REPAIR_SYMBOLS: 10,
  REPAIR_MORE: 11,
  REPAIR_WANT: 12,
  REPAIR_REFUSE: 13,
  REPAIR_END: 14,
  /** An expectation of a helper (wire/expectation.ts). */
  EXPECT: 15,
  REPORT: 16,
  VERIFY: 17,
  VERIFIED: 18,
  REPORT_PART: 19,
} as const;

interface Header {
  kind: number;
  mark: number;
  counter: bigint;
}

export interface FastFixed {
  ack: number;
  seq: number;
  gap: boolean;
  urgent?: boolean;
  adoptSeen: number;
}

export interface Message {
  type: number;
  /** Offset and length of the content in the body that was parsed. */
  offset: number;
  length: number;
}

export interface DigestMessage {
  /** How many states the sender owns, and the sum of their fingerprints modulo 2^128 (16 bytes). */
  count: bigint;
  sum: Buffer;
  /**
   * The sender's last ADOPT, and how far it had applied the receiver's stream: both decide whether the digest may be
   * compared.
   */
  adoptId: number;
  applied: number;
  /** Unclaimed states of the sender: until they have an owner, the digest is not its final one. */
  unclaimed: number;
}

export interface VerdictMessage {
  /** Sequence number of the datagram whose DIGEST was compared. */
  seq: number;
  equal: boolean;
  /** Mirrored states that the receiver's kernel refused. */
  missing: number;
}

/** The session mark of a node that uses this nonce (32 hex digits). */
export function markOf(nonce: string): number {
  return Number.parseInt(nonce.slice(0, 8), 16);
}

export function writeHeader(out: Buffer, header: Header): void {
  out.writeUInt16BE(MAGIC, 0);
  out.writeUInt8(WIRE_VERSION, 2);
  out.writeUInt8(header.kind, 3);
  out.writeUInt32BE(header.mark, 4);
  out.writeBigUInt64BE(header.counter, 8);
}

/** The name of the counter of refused input, or the header. */
export function readHeader(datagram: Buffer): Header | 'short' | 'magic' | 'version' | 'kind' {
  if (datagram.length < HEADER_SIZE + TAG_SIZE) return 'short';
  if (datagram.readUInt16BE(0) !== MAGIC) return 'magic';
  if (datagram.readUInt8(2) !== WIRE_VERSION) return 'version';
  const kind = datagram.readUInt8(3);
  if (kind !== KIND_HELLO && kind !== KIND_FAST) return 'kind';
  return { kind, mark: datagram.readUInt32BE(4), counter: datagram.readBigUInt64BE(8) };
}

export function writeFastFixed(out: Buffer, offset: number, fixed: FastFixed): void {
  out.writeUInt32BE(fixed.ack, offset);
  out.writeUInt32BE(fixed.seq, offset + 4);
  out.writeUInt8((fixed.gap ? FLAG_GAP : 0) | (fixed.urgent === true ? FLAG_URGENT : 0), offset + 8);
  out.writeUInt8(0, offset + 9);
  out.writeUInt16BE(fixed.adoptSeen, offset + 10);
}

export function readFastFixed(body: Buffer): FastFixed | null {
  if (body.length < FAST_FIXED) return null;
  const flags = body.readUInt8(8);
  return {
    ...(flags & FLAG_URGENT ? { urgent: true } : {}),
    ack: body.readUInt32BE(0),
    seq: body.readUInt32BE(4),
    gap: (flags & FLAG_GAP) !== 0,
    adoptSeen: body.readUInt16BE(10),
  };
}

/** Writes a message header; returns the offset of its content. */
export function writeMessageHeader(out: Buffer, offset: number, type: number, length: number): number {
  out.writeUInt8(type, offset);
  out.writeUInt16BE(length, offset + 1);
  return offset + MESSAGE_HEADER;
}

/** A whole message as bytes. */
export function message(type: number, content: Buffer): Buffer {
  const out = Buffer.alloc(MESSAGE_HEADER + content.length);
  writeMessageHeader(out, 0, type, content.length);
  content.copy(out, MESSAGE_HEADER);
  return out;
}

/** The messages behind the fixed part; `null` when a length leads out of the body. */
export function readMessages(body: Buffer): Message[] | null {
  const messages: Message[] = [];
  let offset = FAST_FIXED;
  while (offset < body.length) {
    if (offset + MESSAGE_HEADER > body.length) return null;
    const type = body.readUInt8(offset);
    const length = body.readUInt16BE(offset + 1);
    offset += MESSAGE_HEADER;
    if (offset + length > body.length) return null;
    messages.push({ type, offset, length });
    offset += length;
  }
  return messages;
}

const DIGEST_SIZE = 8 + 16 + 2 + 4 + 4;

export function encodeDigest(digest: DigestMessage): Buffer {
  const out = Buffer.alloc(DIGEST_SIZE);
  out.writeBigUInt64BE(digest.count, 0);
  digest.sum.copy(out, 8, 0, 16);
  out.writeUInt16BE(digest.adoptId, 24);
  out.writeUInt32BE(digest.applied, 26);
  out.writeUInt32BE(digest.unclaimed, 30);
  return message(MSG.DIGEST, out);
}

export function decodeDigest(content: Buffer): DigestMessage | null {
  if (content.length < DIGEST_SIZE) return null;
  return {
    count: content.readBigUInt64BE(0),
    sum: Buffer.from(content.subarray(8, 24)),
    adoptId: content.readUInt16BE(24),
    applied: content.readUInt32BE(26),
    unclaimed: content.readUInt32BE(30),
  };
}

const VERDICT_SIZE = 9;

export function encodeVerdict(verdict: VerdictMessage): Buffer {
  const out = Buffer.alloc(VERDICT_SIZE);
  out.writeUInt32BE(verdict.seq, 0);
  out.writeUInt8(verdict.equal ? 1 : 0, 4);
  out.writeUInt32BE(verdict.missing, 5);
  return message(MSG.VERDICT, out);
}

export function decodeVerdict(content: Buffer): VerdictMessage | null {
  if (content.length < VERDICT_SIZE) return null;
  return { seq: content.readUInt32BE(0), equal: content.readUInt8(4) === 1, missing: content.readUInt32BE(5) };
}

export function encodeAdopt(id: number): Buffer {
  const out = Buffer.alloc(2);
  out.writeUInt16BE(id, 0);
  return message(MSG.ADOPT, out);
}

export function decodeAdopt(content: Buffer): number | null {
  return content.length < 2 ? null : content.readUInt16BE(0);
}
