/**
 * SipHash-1-3 of a key of two words, and of the five words of an IPv4 fingerprint: what sip13 in hash.ts computes, the
 * words in locals and the rounds written out. Every look-up begins with the first and every change ends in the second;
 * a way through memory and a loop with a test in it cost as much again as the rounds. Longer than a function should be:
 * there is no way here to name a round of four locals, so there is one such body, and it serves both.
 */

/** Two words, 64 bits. */
export function sipOfTwo(a: u64, b: u64, k0: u64, k1: u64): u64 {
  return sip(a, b, 0, 0, 0, k0, k1, false, 0);
}

/** Five words, 128 bits, written to `out`. */
export function sipOfFive(a: u64, b: u64, c: u64, d: u64, e: u64, k0: u64, k1: u64, out: u32): void {
  sip(a, b, c, d, e, k0, k1, true, out);
}

/**
 * `wide`: all five words and 128 bits, else two and 64; the same at each call from one place, so its tests are
 * foreseen.
 */
function sip(a: u64, b: u64, c: u64, d: u64, e: u64, k0: u64, k1: u64, wide: bool, out: u32): u64 {
  let v0: u64 = k0 ^ 0x736f6d6570736575;
  let v1: u64 = k1 ^ 0x646f72616e646f6d ^ (wide ? 0xee : 0);
  let v2: u64 = k0 ^ 0x6c7967656e657261;
  let v3: u64 = k1 ^ 0x7465646279746573;
  v3 ^= a;
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  v0 ^= a;
  v3 ^= b;
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  v0 ^= b;
  if (wide) {
    v3 ^= c;
    v0 += v1;
    v2 += v3;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 = rotl<u64>(v0, 32) + v3;
    v2 += v1;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v2 = rotl<u64>(v2, 32);
    v0 ^= c;
    v3 ^= d;
    v0 += v1;
    v2 += v3;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 = rotl<u64>(v0, 32) + v3;
    v2 += v1;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v2 = rotl<u64>(v2, 32);
    v0 ^= d;
    v3 ^= e;
    v0 += v1;
    v2 += v3;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 = rotl<u64>(v0, 32) + v3;
    v2 += v1;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v2 = rotl<u64>(v2, 32);
    v0 ^= e;
  }
  // The block of the length: 40 or 16 bytes.
  const length: u64 = wide ? 0x2800000000000000 : 0x1000000000000000;
  v3 ^= length;
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  v0 ^= length;
  v2 ^= wide ? 0xee : 0xff;
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  const low = v0 ^ v1 ^ v2 ^ v3;
  if (!wide) return low;
  store<u64>(out, low);
  v1 ^= 0xdd;
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  v0 += v1;
  v2 += v3;
  v1 = rotl<u64>(v1, 13) ^ v0;
  v3 = rotl<u64>(v3, 16) ^ v2;
  v0 = rotl<u64>(v0, 32) + v3;
  v2 += v1;
  v3 = rotl<u64>(v3, 21) ^ v0;
  v1 = rotl<u64>(v1, 17) ^ v2;
  v2 = rotl<u64>(v2, 32);
  store<u64>(out, v0 ^ v1 ^ v2 ^ v3, 8);
  return low;
}
