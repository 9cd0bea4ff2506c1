/**
 * Keyed hashes. Outsiders choose addresses and ports, so an unkeyed hash would let them build long chains and pairs of
 * states that cancel in the digest.
 *
 * SipHash with 1 compression and 3 finalisation rounds: 64-bit adds, rotates and xors only, all native in WebAssembly
 * (a multiply-based hash would need 64x64->128, which WebAssembly has not). The index takes 64 bits cut to 32; the
 * fingerprint takes the 128-bit output, under a key of its own that both nodes share.
 *
 * Hashed bytes, as little-endian words (n = 1 word per address pair for IPv4, 4 for IPv6):
 *   key    word: zone u16, protocol u8, family u8, orig sport u16, orig dport u16
 *          n words: orig src, orig dst
 *   value  n words: reply src, reply dst
 *          word: reply sport u16, reply dport u16, mark u32
 *          word: coarse protocol class u8, status bits u8 (SEEN_REPLY 2, ASSURED 4), 0
 *          only when there are such: word: parts u8 (extra.ts), zone of a reply-only zone u16, zone direction u8, 0;
 *          then by part labels 2 words, helper's name 2 words, sequence adjustment 3 words
 */

import { extraOf, extraWords } from './extra';
import {
  AF_INET,
  IPPROTO_TCP,
  IPS_SYNCED,
  S_FAMILY,
  S_FP_LO,
  S_KEYWORD,
  S_L4STATE,
  S_ODST,
  S_OSRC,
  S_PROTO,
  S_RDST,
  S_RPORTS,
  S_RSRC,
  S_STATUS,
} from './layout';
import { HMSG } from './memory';
import { sipOfFive, sipOfTwo } from './sip';

let indexK0: u64 = 0;
let indexK1: u64 = 0;
let fpK0: u64 = 0;
let fpK1: u64 = 0;

/** Takes 16 bytes at `off` as the key of the index. */
export function loadIndexKey(off: u32): void {
  indexK0 = load<u64>(off);
  indexK1 = load<u64>(off, 8);
}

/** Takes 16 bytes at `off` as the key of the fingerprints. */
export function loadFingerprintKey(off: u32): void {
  fpK0 = load<u64>(off);
  fpK1 = load<u64>(off, 8);
}

/**
 * SipHash-1-3 of `n` words at `p`. The word after them is overwritten with the length block. Returns the 64-bit hash,
 * or with `out` not 0 writes the 128-bit hash there (and returns its low half).
 */
export function sip13(p: u32, n: u32, k0: u64, k1: u64, out: u32): u64 {
  store<u64>(p + (n << 3), u64(n << 3) << 56);
  let v0: u64 = k0 ^ 0x736f6d6570736575;
  let v1: u64 = k1 ^ 0x646f72616e646f6d ^ (out ? 0xee : 0);
  let v2: u64 = k0 ^ 0x6c7967656e657261;
  let v3: u64 = k1 ^ 0x7465646279746573;
  const end = p + (n << 3);
  for (; p <= end; p += 8) {
    const m = load<u64>(p);
    v3 ^= m;
    v0 += v1;
    v2 += v3;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 = rotl<u64>(v0, 32) + v3;
    v2 += v1;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v2 = rotl<u64>(v2, 32);
    v0 ^= m;
  }
  v2 ^= out ? 0xee : 0xff;
  let low: u64 = 0;
  for (let round: u32 = 1; ; round++) {
    v0 += v1;
    v2 += v3;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 = rotl<u64>(v0, 32) + v3;
    v2 += v1;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v2 = rotl<u64>(v2, 32);
    if (round == 3) {
      low = v0 ^ v1 ^ v2 ^ v3;
      if (!out) return low;
      v1 ^= 0xdd;
    } else if (round == 6) {
      store<u64>(out, low);
      store<u64>(out, v0 ^ v1 ^ v2 ^ v3, 8);
      break;
    }
  }
  return low;
}

/** Two IPv4 addresses as one word: put together here, for two small stores that are read back as one word are slow. */
function pair4(first: u32, second: u32): u64 {
  return u64(first) | (u64(second) << 32);
}

/** Writes the words of the key to HMSG; returns how many. */
function keyWords(r: u32): u32 {
  store<u64>(HMSG, load<u64>(r, S_KEYWORD));
  if (load<u8>(r, S_FAMILY) == AF_INET) {
    store<u64>(HMSG, pair4(load<u32>(r, S_OSRC), load<u32>(r, S_ODST)), 8);
    return 2;
  }
  memory.copy(HMSG + 8, r + <u32>S_OSRC, 32);
  return 5;
}

/** Hash of the key of state `r` for the index. */
export function indexHash(r: u32): u32 {
  if (load<u8>(r, S_FAMILY) == AF_INET) {
    return u32(sipOfTwo(load<u64>(r, S_KEYWORD), pair4(load<u32>(r, S_OSRC), load<u32>(r, S_ODST)), indexK0, indexK1));
  }
  const n = keyWords(r);
  return u32(sip13(HMSG, n, indexK0, indexK1, 0));
}

/**
 * What of the protocol state both nodes must agree on. TCP: 1 opening (SYN_SENT, SYN_RECV, SYN_SENT2), 2 established,
 * 3 closing (FIN_WAIT, CLOSE_WAIT, LAST_ACK), 4 closed (TIME_WAIT, CLOSE), 0 not known; other protocols 0.
 */
function coarseClass(proto: u32, state: u32): u32 {
  if (proto != IPPROTO_TCP || state > 9) return 0;
  return u32((<u64>0x1443332110 >> (state << 2)) & 7);
}

/** The last word that every fingerprint has: class and synced status bits. */
export function stateWord(r: u32): u64 {
  const status: u32 = load<u16>(r, S_STATUS) & IPS_SYNCED;
  return u64(coarseClass(load<u8>(r, S_PROTO), load<u8>(r, S_L4STATE)) | (status << 8));
}

/** Computes the fingerprint of state `r` and stores it in the state. */
export function fingerprint(r: u32): void {
  const out = r + <u32>S_FP_LO;
  const ipv4 = load<u8>(r, S_FAMILY) == AF_INET;
  if (ipv4 && !extraOf(r)) {
    const key = load<u64>(r, S_KEYWORD);
    const pairs = pair4(load<u32>(r, S_OSRC), load<u32>(r, S_ODST));
    sipOfFive(
      key,
      pairs,
      pair4(load<u32>(r, S_RSRC), load<u32>(r, S_RDST)),
      load<u64>(r, S_RPORTS),
      stateWord(r),
      fpK0,
      fpK1,
      out,
    );
    return;
  }
  let n = keyWords(r);
  let p = HMSG + (n << 3);
  if (ipv4) {
    store<u64>(p, pair4(load<u32>(r, S_RSRC), load<u32>(r, S_RDST)));
    p += 8;
    n += 3;
  } else {
    memory.copy(p, r + <u32>S_RSRC, 32);
    p += 32;
    n += 6;
  }
  store<u64>(p, load<u64>(r, S_RPORTS));
  store<u64>(p, stateWord(r), 8);
  n += extraWords(r, p + 16);
  sip13(HMSG, n, fpK0, fpK1, out);
}
