/** IP packets around an advertisement: complete ones for sending with the header included, and the reading of them. */

import { internetChecksum } from '../net/checksum.ts';
import { addressBytes, formatIp } from '../net/ip.ts';
import type { Family } from './types.ts';

const CARP_PROTOCOL = 112;
export const CARP_TTL = 255;
export const CARP_GROUP_V4 = '224.0.0.18';
export const CARP_GROUP_V6 = 'ff02::12';
/** OpenBSD, NetBSD and UCarp send TOS 0x10 (low delay). */
const CARP_TOS = 0x10;

/** An IP packet, or what a socket tells of it. `null`: the socket did not tell, so it is not checked. */
export interface Datagram {
  family: Family;
  src: string;
  dst: string | null;
  hopLimit: number | null;
  payload: Uint8Array;
  /** The header promises more bytes than there are. */
  truncated: boolean;
}

function mustBytes(address: string, length: number): Buffer {
  const bytes = addressBytes(address);
  if (bytes === null || bytes.length !== length) {
    throw new RangeError(`${address} is not an IPv${length === 4 ? 4 : 6} address`);
  }
  return bytes;
}

/**
 * A complete IPv4 packet (20-byte header) for a socket with IP_HDRINCL: TOS 0x10, DF, TTL 255, protocol 112.
 * @param id 16-bit identification, random from the caller
 * @throws RangeError when an address is not IPv4
 */
export function buildIpv4(src: string, dst: string, id: number, payload: Uint8Array, tos = CARP_TOS): Buffer {
  const header = Buffer.alloc(20);
  header.set([0x45, tos]);
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(id & 0xffff, 4);
  header.writeUInt16BE(0x4000, 6);
  header.set([CARP_TTL, CARP_PROTOCOL], 8);
  mustBytes(src, 4).copy(header, 12);
  mustBytes(dst, 4).copy(header, 16);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, payload]);
}

/**
 * A complete IPv6 packet (40-byte header) for a socket with IPV6_HDRINCL: hop limit 255, next header 112.
 * @throws RangeError when an address is not IPv6
 */
export function buildIpv6(src: string, dst: string, payload: Uint8Array, trafficClass = 0): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(((6 << 28) | (trafficClass << 20)) >>> 0, 0);
  header.writeUInt16BE(payload.length, 4);
  header.set([CARP_PROTOCOL, CARP_TTL], 6);
  mustBytes(src, 16).copy(header, 8);
  mustBytes(dst, 16).copy(header, 24);
  return Buffer.concat([header, payload]);
}

function parseIpv4(packet: Uint8Array): Datagram | null {
  const headerBytes = ((packet[0] ?? 0) & 0x0f) * 4;
  const total = ((packet[2] ?? 0) << 8) | (packet[3] ?? 0);
  if (headerBytes < 20 || packet.length < headerBytes || packet[9] !== CARP_PROTOCOL) return null;
  return {
    family: 4,
    src: formatIp(packet.subarray(12, 16)),
    dst: formatIp(packet.subarray(16, 20)),
    hopLimit: packet[8] ?? 0,
    payload: packet.subarray(headerBytes, Math.max(headerBytes, Math.min(total, packet.length))),
    truncated: total > packet.length,
  };
}

function parseIpv6(packet: Uint8Array): Datagram | null {
  if (packet.length < 40 || packet[6] !== CARP_PROTOCOL) return null;
  const length = ((packet[4] ?? 0) << 8) | (packet[5] ?? 0);
  return {
    family: 6,
    src: formatIp(packet.subarray(8, 24)),
    dst: formatIp(packet.subarray(24, 40)),
    hopLimit: packet[7] ?? 0,
    payload: packet.subarray(40, Math.min(40 + length, packet.length)),
    truncated: 40 + length > packet.length,
  };
}

/** Reads a packet that starts with its IP header. @returns null when it is no IP packet of protocol 112. */
export function parseIp(packet: Uint8Array): Datagram | null {
  if (packet.length < 20) return null;
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return parseIpv4(packet);
  return version === 6 ? parseIpv6(packet) : null;
}
