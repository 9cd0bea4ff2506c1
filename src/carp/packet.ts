/**
 * CARP version 2 advertisement, 36 bytes, all fields big endian:
 *
 *     0      1      2        3        4       5        6..7      8..15    16..35
 *     0x21   vhid   advskew  authlen  demote  advbase  checksum  counter  HMAC-SHA1
 *
 * Checksum: Internet checksum over the 36 bytes, no pseudo header. The HMAC covers neither the timers nor the demotion
 * byte: it proves the key, the vhid and the address list, nothing else.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { internetChecksum } from '../net/checksum.ts';
import { addressBytes, isLinkLocal6 } from '../net/ip.ts';
import type { HeardAdvert } from './types.ts';

export const ADVERT_BYTES = 36;
const KEY_BYTES = 20;
const VERSION_AND_TYPE = 0x21;
const AUTHLEN = 7;

/** What an advertisement says, beside the timers. `counter` is a 64-bit number. */
export interface AdvertFields extends HeardAdvert {
  vhid: number;
  counter: bigint;
}

export interface Advert extends AdvertFields {
  authlen: number;
  digest: Buffer;
}

/** The virtual addresses in the order the HMAC wants them, with and without link-local ones. */
export interface HmacAddresses {
  withLinkLocal: Buffer;
  withoutLinkLocal: Buffer;
}

/** The first failing check of the advertisement itself, by the name of the BSD counter. */
type AdvertFault = 'hdrops' | 'badsum' | 'badver';

export type Decoded = { ok: true; advert: Advert } | { ok: false; counter: AdvertFault };

/** The key of a pass phrase of 20 bytes at most: its bytes, filled up with zeros. All CARP hosts do it this way. */
export function keyOf(password: Buffer): Buffer {
  const key = Buffer.alloc(KEY_BYTES);
  password.copy(key);
  return key;
}

function sortedUnique(list: Buffer[]): Buffer {
  const sorted = list.toSorted(Buffer.compare);
  return Buffer.concat(sorted.filter((entry, i) => i === 0 || !entry.equals(sorted[i - 1]!)));
}

/** Kernels keep the interface scope in bytes 2 and 3 of a link-local address and clear it before hashing. */
function withoutScope(bytes: Buffer): Buffer {
  if (!isLinkLocal6(bytes)) return bytes;
  const clean = Buffer.from(bytes);
  clean.writeUInt16BE(0, 2);
  return clean;
}

/**
 * Virtual addresses (text, a prefix length is ignored) as the HMAC covers them: IPv4 ascending, then IPv6 ascending,
 * each once, never 0.0.0.0 or 255.255.255.255. Text that is no address is left out: configuration refuses it before.
 */
export function hmacAddresses(addresses: readonly string[]): HmacAddresses {
  const all = addresses.map(addressBytes).filter((bytes) => bytes !== null);
  const v4 = all.filter((b) => b.length === 4 && b.readUInt32BE(0) !== 0 && b.readUInt32BE(0) !== 0xffffffff);
  const v6 = all.filter((b) => b.length === 16).map(withoutScope);
  const four = sortedUnique(v4);
  return {
    withLinkLocal: Buffer.concat([four, sortedUnique(v6)]),
    withoutLinkLocal: Buffer.concat([four, sortedUnique(v6.filter((b) => !isLinkLocal6(b)))]),
  };
}

/**
 * Inner message of the HMAC: 02 01, [hand-set MAC of an OpenBSD carp interface], vhid, addresses, counter.
 * @param lladdr only to understand OpenBSD hosts with a hand-set MAC; empty otherwise.
 */
export function hmacMessage(
  vhid: number,
  addresses: HmacAddresses,
  counter: bigint,
  withLinkLocal: boolean,
  lladdr: Uint8Array = new Uint8Array(0),
): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeBigUInt64BE(counter);
  const list = withLinkLocal ? addresses.withLinkLocal : addresses.withoutLinkLocal;
  return Buffer.concat([Buffer.of(2, 1), lladdr, Buffer.of(vhid), list, tail]);
}

/** HMAC-SHA1 of an advertisement, 20 bytes. */
export function hmac(
  key20: Uint8Array,
  vhid: number,
  addresses: HmacAddresses,
  counter: bigint,
  withLinkLocal: boolean,
): Buffer {
  return createHmac('sha1', key20)
    .update(hmacMessage(vhid, addresses, counter, withLinkLocal))
    .digest();
}

/**
 * Which digest the advertisement carries. OpenBSD sends it without link-local addresses and accepts both; FreeBSD and
 * NetBSD send it with them. Both are always computed and compared in constant time.
 * @returns null when neither fits (counter `badauth`).
 */
export function verifyHmac(
  advert: Advert,
  key20: Uint8Array,
  addresses: HmacAddresses,
): 'withLinkLocal' | 'withoutLinkLocal' | null {
  const fitsWith = timingSafeEqual(hmac(key20, advert.vhid, addresses, advert.counter, true), advert.digest);
  const fitsWithout = timingSafeEqual(hmac(key20, advert.vhid, addresses, advert.counter, false), advert.digest);
  if (fitsWith) return 'withLinkLocal';
  return fitsWithout ? 'withoutLinkLocal' : null;
}

/**
 * The 36 bytes of an advertisement.
 * @param withLinkLocal the digest covers link-local addresses (FreeBSD, NetBSD; OpenBSD accepts it as well).
 */
export function encodeAdvert(
  fields: AdvertFields,
  key20: Uint8Array,
  vips: HmacAddresses,
  withLinkLocal = true,
): Buffer {
  const bytes = Buffer.alloc(ADVERT_BYTES);
  bytes.set([VERSION_AND_TYPE, fields.vhid, fields.advskew, AUTHLEN, fields.demote, fields.advbase]);
  bytes.writeBigUInt64BE(fields.counter, 8);
  hmac(key20, fields.vhid, vips, fields.counter, withLinkLocal).copy(bytes, 16);
  bytes.writeUInt16BE(internetChecksum(bytes), 6);
  return bytes;
}

/**
 * Reads an advertisement without looking at the HMAC. Bytes after the 36th are not part of the protocol.
 * Type nibble and authlen are not required: no receiver checks them.
 */
export function decodeAdvert(payload: Uint8Array): Decoded {
  if (payload.length < ADVERT_BYTES) return { ok: false, counter: 'hdrops' };
  const bytes = Buffer.from(payload.subarray(0, ADVERT_BYTES));
  if (internetChecksum(bytes) !== 0) return { ok: false, counter: 'badsum' };
  if (bytes.readUInt8(0) >> 4 !== 2) return { ok: false, counter: 'badver' };
  return { ok: true, advert: readFields(bytes) };
}

function readFields(bytes: Buffer): Advert {
  return {
    vhid: bytes.readUInt8(1),
    advskew: bytes.readUInt8(2),
    authlen: bytes.readUInt8(3),
    demote: bytes.readUInt8(4),
    advbase: bytes.readUInt8(5),
    counter: bytes.readBigUInt64BE(8),
    digest: bytes.subarray(16, ADVERT_BYTES),
  };
}
