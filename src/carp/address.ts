/** IP addresses as bytes in network order: what the HMAC covers and what decides ties. */

import { isIPv4, isIPv6 } from 'node:net';

function v4Bytes(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const bytes = v4Bytes(part);
    return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
  });
}

function v6Bytes(text: string): Buffer {
  const gap = text.indexOf('::');
  const head = groups(gap < 0 ? text : text.slice(0, gap));
  const tail = gap < 0 ? [] : groups(text.slice(gap + 2));
  const bytes = Buffer.alloc(16);
  head.forEach((word, i) => {
    bytes.writeUInt16BE(word, 2 * i);
  });
  tail.forEach((word, i) => {
    bytes.writeUInt16BE(word, 16 - 2 * (tail.length - i));
  });
  return bytes;
}

/**
 * `10.0.0.1`, `10.0.0.1/24`, `fe80::1%eth0/64` as 4 or 16 bytes; a prefix length and a zone are ignored.
 * @returns null when the text is no address.
 */
export function addressBytes(text: string): Buffer | null {
  const bare = text.replace(/\/.*$/, '').replace(/%.*$/, '');
  if (isIPv4(bare)) return v4Bytes(bare);
  if (isIPv6(bare)) return v6Bytes(bare);
  return null;
}

/** 4 or 16 bytes as text, IPv6 in the short form of RFC 5952. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const words: string[] = [];
  for (let i = 0; i < 16; i += 2) words.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  return shorten(words);
}

/** The longest run of zero groups becomes `::` (RFC 5952). */
function shorten(words: string[]): string {
  let best = 0;
  let at = -1;
  for (let i = 0; i < words.length; i++) {
    let run = 0;
    while (words[i + run] === '0') run++;
    if (run > best && run > 1) {
      best = run;
      at = i;
    }
  }
  if (at < 0) return words.join(':');
  return `${words.slice(0, at).join(':')}::${words.slice(at + best).join(':')}`;
}

/** Numeric comparison in network byte order; 0 when equal or when one of them is no address of the same family. */
export function compareAddresses(a: string, b: string): number {
  const left = addressBytes(a);
  const right = addressBytes(b);
  if (left === null || right === null || left.length !== right.length) return 0;
  return Buffer.compare(left, right);
}

/** True when both texts name the same address, whatever their spelling or zone. */
export function sameAddress(a: string, b: string): boolean {
  if (a === b) return true;
  const left = addressBytes(a);
  const right = addressBytes(b);
  return left !== null && right !== null && left.equals(right);
}

/** fe80::/10 */
export function isLinkLocal(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;
}
