/**
 * IP addresses as the configuration writes them: parsing, canonical text, subnets. Pure.
 */

import { formatIp, isLinkLocal6, parseIp, parsePrefix, samePrefix } from './ip.ts';

export type Family = 4 | 6;

interface IpAddress {
  family: Family;
  /** 4 or 16 bytes, network order. */
  bytes: Uint8Array;
}

export interface Cidr extends IpAddress {
  /** 0..32 or 0..128. */
  prefix: number;
}

/**
 * Parses `192.0.2.1` or `2001:db8::1`; `null` for anything else (a zone such as `%eth0` is not part of an address
 * here).
 */
export function parseAddress(text: string): IpAddress | null {
  const bytes = parseIp(text);
  return bytes && { family: bytes.length === 4 ? 4 : 6, bytes };
}

/** Parses `address/prefix`; the prefix length is required. `null` when it is not that. */
export function parseCidr(text: string): Cidr | null {
  const parsed = text.includes('/') ? parsePrefix(text) : null;
  return parsed && { family: parsed.bytes.length === 4 ? 4 : 6, bytes: parsed.bytes, prefix: parsed.length };
}

/** The canonical text (RFC 5952 for IPv6), so that two spellings of one address compare equal. */
export function formatAddress(address: IpAddress): string {
  return formatIp(address.bytes);
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
  return samePrefix(a.bytes, b.bytes, prefix);
}

export function equalAddress(a: IpAddress, b: IpAddress): boolean {
  return samePrefix(a.bytes, b.bytes, 8 * a.bytes.length);
}

/**
 * The host part of `cidr` is all zeros or all ones (`bit` 0 or 1): the network's own or, in IPv4, its broadcast
 * address.
 */
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

/** 169.254.0.0/16 or fe80::/10 */
export function isLinkLocal({ family, bytes }: IpAddress): boolean {
  return family === 4 ? bytes[0] === 169 && bytes[1] === 254 : isLinkLocal6(bytes);
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
