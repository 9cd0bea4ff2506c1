/**
 * Messages of a repair (repair/rules.ts), all part of the ordered stream. Big endian, except ids, which are little
 * endian as in memory. The node that asks is the mirror, the other one is the owner of the states.
 *
 *   ASK      mirror -> owner   u32 id, u32 states that may be the owner's, 256 x u32 bucket digests
 *   BEGIN    owner -> mirror   u32 id, u32 states owned, u32 symbols that follow, u32 number up to which the mirror's
 *                              stream was applied, 32 B mask of the differing buckets (bit b & 7 of byte b >> 3)
 *   SYMBOLS  owner -> mirror   u32 id, u32 index of the first, n x 16 B: xor of ids, xor of checks
 *   MORE     mirror -> owner   u32 id, u32 symbols wanted in all
 *   WANT     mirror -> owner   u32 id, u8 1 = the last, n x 8 B ids
 *   REFUSE   owner -> mirror   u32 id, u8 reason (REFUSAL)
 *   END      mirror -> owner   u32 id: given up
 *
 * A bucket digest is the low half of the upper word of the sum of fingerprints. 32 of 128 bits are enough: a bucket
 * that is wrongly taken for equal only makes this repair fail, because the whole digest is compared afterwards. Pure
 * codec.
 */
import type { Message } from './datagram.ts';
import { MSG, message } from './datagram.ts';

export const REFUSAL = { few: 1, bulk: 2, costly: 3, memory: 4 } as const;

export const MASK_SIZE = 32;
export const BUCKETS = 256;
/** Bytes of an id: the first word of the fingerprint, little endian. */
export const ID_SIZE = 8;
/** Bytes of one symbol: xor of ids u64, xor of their keyed checks u64, big endian. */
export const SYMBOL_SIZE = 16;
/** Bytes of the content of SYMBOLS and WANT before the symbols and the ids. */
const SYMBOLS_HEAD = 8;
const WANT_HEAD = 5;

export type RepairMessage =
  | { type: 'ask'; id: number; count: number; buckets: Uint32Array }
  | { type: 'begin'; id: number; total: number; symbols: number; applied: number; mask: Buffer }
  | { type: 'symbols'; id: number; first: number; symbols: Buffer }
  | { type: 'more'; id: number; symbols: number }
  | { type: 'want'; id: number; last: boolean; ids: Buffer }
  | { type: 'refuse'; id: number; reason: number }
  | { type: 'end'; id: number };

/** How many symbols, and how many ids, fit in a message with `room` bytes of content. */
export function symbolsIn(room: number): number {
  return Math.max(1, Math.floor((room - SYMBOLS_HEAD) / SYMBOL_SIZE));
}

export function idsIn(room: number): number {
  return Math.max(1, Math.floor((room - WANT_HEAD) / ID_SIZE));
}

function words(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    out.writeUInt32BE(value >>> 0, i * 4);
  });
  return out;
}

export function encodeRepair(repair: RepairMessage): Buffer {
  const { id } = repair;
  switch (repair.type) {
    case 'ask':
      return message(MSG.REPAIR_ASK, words(id, repair.count, ...repair.buckets));
    case 'begin':
      return message(
        MSG.REPAIR_BEGIN,
        Buffer.concat([words(id, repair.total, repair.symbols, repair.applied), repair.mask]),
      );
    case 'symbols':
      return message(MSG.REPAIR_SYMBOLS, Buffer.concat([words(id, repair.first), repair.symbols]));
    case 'more':
      return message(MSG.REPAIR_MORE, words(id, repair.symbols));
    case 'want':
      return message(MSG.REPAIR_WANT, Buffer.concat([words(id), Buffer.from([repair.last ? 1 : 0]), repair.ids]));
    case 'refuse':
      return message(MSG.REPAIR_REFUSE, Buffer.concat([words(id), Buffer.from([repair.reason])]));
    case 'end':
      return message(MSG.REPAIR_END, words(id));
  }
}

/** `null`: cut short, or of a length that can't be. Longer messages than known are read as far as they are known. */
export function decodeRepair(type: Message['type'], content: Buffer): RepairMessage | null {
  if (content.length < 4) return null;
  const id = content.readUInt32BE(0);
  const rest = content.subarray(4);
  switch (type) {
    case MSG.REPAIR_ASK:
      return decodeAsk(id, rest);
    case MSG.REPAIR_BEGIN:
      return decodeBegin(id, rest);
    case MSG.REPAIR_SYMBOLS:
      if (rest.length < 4 || (rest.length - 4) % SYMBOL_SIZE !== 0) return null;
      return { type: 'symbols', id, first: rest.readUInt32BE(0), symbols: Buffer.from(rest.subarray(4)) };
    case MSG.REPAIR_MORE:
      return rest.length < 4 ? null : { type: 'more', id, symbols: rest.readUInt32BE(0) };
    case MSG.REPAIR_WANT:
      if (rest.length < 1 || (rest.length - 1) % ID_SIZE !== 0) return null;
      return { type: 'want', id, last: rest.readUInt8(0) === 1, ids: Buffer.from(rest.subarray(1)) };
    case MSG.REPAIR_REFUSE:
      return rest.length < 1 ? null : { type: 'refuse', id, reason: rest.readUInt8(0) };
    case MSG.REPAIR_END:
      return { type: 'end', id };
    default:
      return null;
  }
}

function decodeAsk(id: number, rest: Buffer): RepairMessage | null {
  if (rest.length < 4 + BUCKETS * 4) return null;
  const buckets = Uint32Array.from({ length: BUCKETS }, (_, i) => rest.readUInt32BE(4 + i * 4));
  return { type: 'ask', id, count: rest.readUInt32BE(0), buckets };
}

function decodeBegin(id: number, rest: Buffer): RepairMessage | null {
  if (rest.length < 12 + MASK_SIZE) return null;
  return {
    type: 'begin',
    id,
    total: rest.readUInt32BE(0),
    symbols: rest.readUInt32BE(4),
    applied: rest.readUInt32BE(8),
    mask: Buffer.from(rest.subarray(12, 12 + MASK_SIZE)),
  };
}
