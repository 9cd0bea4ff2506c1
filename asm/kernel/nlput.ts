/**
 * Writes netlink messages and attributes one after the other. Headers in host order, integers in attributes big endian.
 */

import { copyAddress } from '../state/memory';

const NESTED: u32 = 0x8000;

/** Write position; every put moves it. */
let p: u32 = 0;

export function seek(off: u32): void {
  p = off;
}

export function position(): u32 {
  return p;
}

/** nlmsghdr and nfgenmsg; returns where the message starts, for finish. */
export function header(type: u32, flags: u32, seq: u32, family: u32): u32 {
  const start = p;
  store<u16>(p, type, 4);
  store<u16>(p, flags, 6);
  store<u32>(p, seq, 8);
  store<u32>(p, 0, 12);
  store<u32>(p, family, 16);
  p += 20;
  return start;
}

/** Sets the length of the message. */
export function finish(start: u32): void {
  store<u32>(start, p - start);
}

function attr(type: u32, len: u32): void {
  store<u16>(p, len);
  store<u16>(p, type, 2);
  p += 4;
}

export function attr8(type: u32, v: u32): void {
  attr(type, 5);
  store<u32>(p, v & 0xff);
  p += 4;
}

export function attr16(type: u32, v: u32): void {
  attr(type, 6);
  store<u32>(p, bswap<u16>(<u16>v));
  p += 4;
}

export function attr32(type: u32, v: u32): void {
  attr(type, 8);
  store<u32>(p, bswap<u32>(v));
  p += 4;
}

export function attrAddress(type: u32, from: u32, size: u32): void {
  attr(type, 4 + size);
  copyAddress(p, from, size);
  p += size;
}

/** A text of at most 15 bytes that ends with a zero. */
export function attrText(type: u32, at: u32): void {
  let n: u32 = 1;
  while (load<u8>(at + n - 1)) n++;
  attr(type, 4 + n);
  store<u32>(p + (n & ~3), 0);
  memory.copy(p, at, n);
  p += (n + 3) & ~3;
}

/** Opens a nested attribute; close(start) sets its length. */
export function open(type: u32): u32 {
  const start = p;
  attr(type | NESTED, 4);
  return start;
}

export function close(start: u32): void {
  store<u16>(start, p - start);
}
