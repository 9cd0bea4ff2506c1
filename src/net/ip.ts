/**
 * IP addresses between text and bytes (network order), and their order. Pure; the only parser of addresses in Carpio.
 * Addresses with their prefix, as the configuration writes them, are in cidr.ts.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** 4 or 16 bytes, or null when the text is not an address (zones and prefixes are not part of an address). */
export function parseIp(text: string): Uint8Array | null {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  // isIPv6 takes a zone, so one has to be refused here; only the two short forms are left to expand then.
  if (!isIPv6(text) || text.includes('%')) return null;
  const bytes = new Uint8Array(16);
  const [head = '', tail] = text.split('::');
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  bytes.set(left, 0);
  bytes.set(right, 16 - right.length);
  return bytes;
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** Text of 4 or 16 bytes; IPv6 in the canonical form of RFC 5952 (but never with an embedded IPv4). */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let best = { at: -1, length: 1 }; // a single zero group is not shortened
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && words[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const hex = (list: number[]): string => list.map((word) => word.toString(16)).join(':');
  if (best.at < 0) return hex(words);
  return `${hex(words.slice(0, best.at))}::${hex(words.slice(best.at + best.length))}`;
}

/**
 * `10.0.0.1`, `10.0.0.1/24`, `fe80::1%eth0/64` as 4 or 16 bytes; a prefix length and a zone are left out.
 * @returns null when the text is no address.
 */
export function addressBytes(text: string): Buffer | null {
  const bytes = parseIp(text.replace(/\/.*$/, '').replace(/%.*$/, ''));
  return bytes === null ? null : Buffer.from(bytes.buffer);
}

export interface Prefix {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** `address/length`; without a length the whole address. Null when it is neither. */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/');
  const bytes = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (bytes === null) return null;
  const given = slash < 0 ? String(bytes.length * 8) : text.slice(slash + 1);
  const length = Number(given);
  return /^\d{1,3}$/.test(given) && length <= bytes.length * 8 ? { bytes, length } : null;
}

/** Whether two addresses agree in their first `length` bits (false for different families). */
export function samePrefix(a: Uint8Array, b: Uint8Array, length: number): boolean {
  if (a.length !== b.length) return false;
  for (let bit = 0; bit < length; bit += 8) {
    const mask = length - bit >= 8 ? 0xff : (0xff << (8 - (length - bit))) & 0xff;
    if ((((a[bit >> 3] ?? 0) ^ (b[bit >> 3] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

/** Numeric comparison in network byte order; 0 when equal or when one of them is no address of the same family. */
export function compareAddresses(a: string, b: string): number {
  const left = addressBytes(a);
  const right = addressBytes(b);
  if (left === null || right === null || left.length !== right.length) return 0;
  return Buffer.compare(left, right);
}

/** True when both texts name the same address, whatever their spelling, prefix or zone. */
export function sameAddress(a: string, b: string): boolean {
  if (a === b) return true;
  const left = addressBytes(a);
  const right = addressBytes(b);
  return left?.equals(right ?? Buffer.alloc(0)) ?? false;
}

/** fe80::/10 */
export function isLinkLocal6(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;
}
