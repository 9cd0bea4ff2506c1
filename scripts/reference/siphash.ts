/**
 * SipHash-c-d with 64 or 128 bits in plain BigInt, for comparison with the module. Source: the SipHash paper and its
 * 128-bit variant.
 */

const MASK = (1n << 64n) - 1n;

function rotl(x: bigint, n: bigint): bigint {
  return ((x << n) | (x >> (64n - n))) & MASK;
}

type Lanes = [bigint, bigint, bigint, bigint];

function round(v: Lanes): void {
  v[0] = (v[0] + v[1]) & MASK;
  v[1] = rotl(v[1], 13n) ^ v[0];
  v[0] = rotl(v[0], 32n);
  v[2] = (v[2] + v[3]) & MASK;
  v[3] = rotl(v[3], 16n) ^ v[2];
  v[0] = (v[0] + v[3]) & MASK;
  v[3] = rotl(v[3], 21n) ^ v[0];
  v[2] = (v[2] + v[1]) & MASK;
  v[1] = rotl(v[1], 17n) ^ v[2];
  v[2] = rotl(v[2], 32n);
}

function rounds(v: Lanes, n: number): void {
  for (let i = 0; i < n; i++) round(v);
}

/** @param bits 64 or 128; 128: low half first, as little-endian number */
export function siphash(key: Uint8Array, message: Uint8Array, c: number, d: number, bits: 64 | 128): bigint {
  const keys = new DataView(key.buffer, key.byteOffset, 16);
  const k0 = keys.getBigUint64(0, true);
  const k1 = keys.getBigUint64(8, true);
  const v: Lanes = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn ^ (bits === 128 ? 0xeen : 0n),
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const padded = new Uint8Array((message.length >> 3) * 8 + 8);
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  const words = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const m = words.getBigUint64(at, true);
    v[3] ^= m;
    rounds(v, c);
    v[0] ^= m;
  }
  v[2] ^= bits === 128 ? 0xeen : 0xffn;
  rounds(v, d);
  const low = v[0] ^ v[1] ^ v[2] ^ v[3];
  if (bits === 64) return low;
  v[1] ^= 0xddn;
  rounds(v, d);
  return low | ((v[0] ^ v[1] ^ v[2] ^ v[3]) << 64n);
}
