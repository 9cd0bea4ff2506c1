/**
 * The counter of an advertisement as a proof. CARP's HMAC covers the 64-bit counter and no BSD judges it, so between
 * two Carpio boxes with a pair key it carries what CARP lacks: that this very advertisement, with these timers and from
 * this address, was sent by the peer, and that it comes for the first time.
 *
 *     63..40: the lowest 24 bits of the sequence number      39..0: the first 40 bits of the MAC
 *
 * MAC: HMAC-SHA256 under a key that HKDF makes of the pair's secret, over epoch, whole sequence number, vhid, family,
 * source address, advbase, advskew and demotion. A BSD host sees a counter like any other. Pure.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import type { Family } from '../../carp/types.ts';
import { addressBytes } from '../../net/ip.ts';

const MAC_BITS = 40n;
const MAC_MASK = (1n << MAC_BITS) - 1n;
const SEQUENCE_SPAN = 1 << 24;
/** version, sequence (8), vhid, family, source (16), advbase, advskew, demotion */
const CLEAR_BYTES = 30;
const VERSION = 1;

/** What an advertisement says and the proof covers. */
export interface Provable {
  vhid: number;
  family: Family;
  /** The IP source address. */
  source: string;
  advbase: number;
  advskew: number;
  demote: number;
}

export function proofKey(secret: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'carpio/1 advert', 32));
}

function mac(key: Buffer, epoch: string, sequence: number, advert: Provable): bigint {
  const clear = Buffer.alloc(CLEAR_BYTES);
  clear.writeUInt8(VERSION, 0);
  clear.writeBigUInt64BE(BigInt(sequence), 1);
  clear.writeUInt8(advert.vhid, 9);
  clear.writeUInt8(advert.family, 10);
  addressBytes(advert.source)?.copy(clear, 11);
  clear.writeUInt8(advert.advbase, 27);
  clear.writeUInt8(advert.advskew, 28);
  clear.writeUInt8(advert.demote, 29);
  const digest = createHmac('sha256', key).update(clear).update(epoch).digest();
  return digest.readBigUInt64BE(0) >> (64n - MAC_BITS);
}

export function proofCounter(key: Buffer, epoch: string, sequence: number, advert: Provable): bigint {
  return (BigInt(sequence % SEQUENCE_SPAN) << MAC_BITS) | mac(key, epoch, sequence, advert);
}

/**
 * The sequence number that a counter proves.
 * @param after the last one that was taken: the window looks ahead from there, 2^24 numbers, and never back
 * @returns null when it proves nothing
 */
export function provenSequence(
  keys: readonly Buffer[],
  epoch: string,
  after: number,
  advert: Provable,
  counter: bigint,
): number | null {
  const low = Number(counter >> MAC_BITS);
  const first = after + 1;
  const sequence = first + ((low - (first % SEQUENCE_SPAN) + SEQUENCE_SPAN) % SEQUENCE_SPAN);
  const claimed = counter & MAC_MASK;
  return keys.some((key) => mac(key, epoch, sequence, advert) === claimed) ? sequence : null;
}
