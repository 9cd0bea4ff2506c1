/**
 * IP addresses as the configuration writes them: parsing, canonical text, subnets. Pure.
 */

import { isIPv4, isIPv6 } from 'node:net';

export type Family = 4 | 6;

export interface IpAddress {
  family: Family;
  /** 4 or 16 bytes, network order. */
  bytes: Uint8Array;
}

export interface Cidr extends IpAddress {
  /** 0..32 or 0..128. */
  prefix: number;
}

function parseIpv4(text: string): IpAddress {
  return { family: 4, bytes: Uint8Array.from(text.split('.').map(Number)) };
}

/** `text` has passed isIPv6 and has no zone, so only the two short forms (`::` and a dotted tail) are left to expand. */
function parseIpv6(text: string): IpAddress {
  const groups = (part: string): number[] => {
    const out: number[] = [];
    for (const piece of part === '' ? [] : part.split(':')) {
      if (piece.includes('.')) {
        const [a = 0, b = 0, c = 0, d = 0] = piece.split('.').map(Number);
        out.push((a << 8) | b, (c << 8) | d);
      } else out.push(Number.parseInt(piece, 16));
    }
    return out;
  };
  const [head = '', tail] = text.split('::');
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const words = [...front, ...new Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back];
  return { family: 6, bytes: Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff])) };
}

/** Parses `192.0.2.1` or `2001:db8::1`; `null` for anything else (a zone such as `%eth0` is not part of an address here). */
export function parseAddress(text: string): IpAddress | null {
  if (isIPv4(text)) return parseIpv4(text);
  if (isIPv6(text) && !text.includes('%')) return parseIpv6(text);
  return null;
}

/** Parses `address/prefix`; the prefix length is required. `null` when it is not that. */
export function parseCidr(text: string): Cidr | null {
  const match = /^([^/]+)\/([0-9]{1,3})$/.exec(text);
  const address = match ? parseAddress(match[1]!) : null;
  if (!match || !address) return null;
  const prefix = Number(match[2]);
  return prefix <= address.bytes.length * 8 ? { ...address, prefix } : null;
}

function formatIpv6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && words[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const hex = (list: number[]) => list.map((word) => word.toString(16)).join(':');
  if (best.at < 0) return hex(words);
  return `${hex(words.slice(0, best.at))}::${hex(words.slice(best.at + best.length))}`;
}

/** The canonical text (RFC 5952 for IPv6), so that two spellings of one address compare equal. */
export function formatAddress(address: IpAddress): string {
  return address.family === 4 ? Array.from(address.bytes).join('.') : formatIpv6(address.bytes);
}

export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr)}/${cidr.prefix}`;
}

/** The network that `cidr` is in: its host bits cleared. */
export function networkOf(cidr: Cidr): Cidr {
  const bytes = cidr.bytes.map((byte, i) => byte & (0xff << Math.min(8, Math.max(0, 8 * (i + 1) - cidr.prefix))));
  return { ...cidr, bytes };
}

/** `a` and `b` have the same first `prefix` bits (and the same family). */
export function sameNetwork(a: IpAddress, b: IpAddress, prefix: number): boolean {
  if (a.family !== b.family) return false;
  const whole = prefix >> 3;
  for (let i = 0; i < whole; i++) if (a.bytes[i] !== b.bytes[i]) return false;
  const rest = prefix & 7;
  return rest === 0 || (a.bytes[whole]! ^ b.bytes[whole]!) >> (8 - rest) === 0;
}

export function sameAddress(a: IpAddress, b: IpAddress): boolean {
  return sameNetwork(a, b, a.bytes.length * 8);
}

/** The host part of `cidr` is all zeros or all ones (`bit` 0 or 1): the network's own or, in IPv4, its broadcast address. */
function hostBitsAre(cidr: Cidr, bit: 0 | 1): boolean {
  for (let i = cidr.prefix; i < cidr.bytes.length * 8; i++) {
    if (((cidr.bytes[i >> 3]! >> (7 - (i & 7))) & 1) !== bit) return false;
  }
  return true;
}

/** Why an address can't be a host's unicast address, or `null` when it can. */
export function notUnicast(address: IpAddress): string | null {
  const [a = 0, b = 0] = address.bytes;
  const all = (value: number) => address.bytes.every((byte) => byte === value);
  if (all(0)) return 'the unspecified address';
  if (address.family === 4) {
    if (all(255)) return 'the broadcast address';
    if (a === 0) return 'an address of "this network" (0.0.0.0/8)';
    if (a >= 224) return a < 240 ? 'a multicast address' : 'a reserved address (240.0.0.0/4)';
    return null;
  }
  if (a === 0xff) return 'a multicast address';
  if (a === 0 && b === 0 && address.bytes.slice(0, 10).every((byte) => byte === 0) && address.bytes[10] === 0xff) {
    return 'an IPv4 address in IPv6 clothes; write it as IPv4';
  }
  return null;
}

export function isLoopback(address: IpAddress): boolean {
  if (address.family === 4) return address.bytes[0] === 127;
  return address.bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
}

export function isLinkLocal(address: IpAddress): boolean {
  const [a = 0, b = 0] = address.bytes;
  return address.family === 4 ? a === 169 && b === 254 : a === 0xfe && (b & 0xc0) === 0x80;
}

/** Why `cidr` can't be put on an interface as a virtual address, or `null` when it can. */
export function notAssignable(cidr: Cidr): string | null {
  const odd = notUnicast(cidr);
  if (odd) return odd;
  if (isLoopback(cidr)) return 'a loopback address';
  if (cidr.prefix === 0) return 'a prefix length of 0: every address would be on this link';
  if (cidr.family === 4 && cidr.prefix <= 30) {
    if (hostBitsAre(cidr, 0)) return "the network's own address";
    if (hostBitsAre(cidr, 1)) return "the network's broadcast address";
  }
  return null;
}
