/**
 * Neighbour discovery (RFC 4861) as a question (who else has this IPv6 address) and as a witness. Frames and filter are
 * pure.
 */

import { frameFilter } from './bpf.ts';
import { ICMPV6, icmpv6Checksum } from './checksum.ts';
import { ETH_P_IPV6, ETHERNET, ethernet } from './frame.ts';

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const ICMP = ETHERNET + 40;
const TARGET = ICMP + 8;
const OPTIONS = TARGET + 16;
const TARGET_LINK_LAYER = 2;

/**
 * A neighbour solicitation for an address from nobody (::), as in duplicate address detection (RFC 4862, 5.4.2): no
 * cache learns from it, and whoever has the address answers to all nodes. 78 bytes: Ethernet (33:33:ff and the address'
 * last three bytes, source, 86dd), IPv6 (hop limit 255, to ff02::1:ffXX:XXXX), ICMPv6 135 with the target.
 */
export function neighbourProbe(source: Uint8Array, target: Uint8Array): Buffer {
  const last = target.subarray(13, 16);
  const frame = ethernet(Uint8Array.of(0x33, 0x33, 0xff, ...last), source, ETH_P_IPV6, OPTIONS - ETHERNET);
  frame.writeUInt8(0x60, ETHERNET);
  frame.writeUInt16BE(OPTIONS - ICMP, ETHERNET + 4);
  frame.writeUInt8(ICMPV6, ETHERNET + 6);
  frame.writeUInt8(255, ETHERNET + 7);
  frame.set([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...last], ETHERNET + 24);
  frame.writeUInt8(SOLICITATION, ICMP);
  frame.set(target, TARGET);
  frame.writeUInt16BE(icmpv6Checksum(frame.subarray(ETHERNET, ICMP), frame.subarray(ICMP)), ICMP + 2);
  return frame;
}

/**
 * Who says that it has which address: a neighbour advertisement, by its link-layer option or, without one, by the
 * frame's source. null: no such frame, or one from beyond a router (hop limit not 255).
 */
export function readNeighbourClaim(frame: Uint8Array): { address: Uint8Array; mac: Uint8Array } | null {
  if (frame.length < OPTIONS) return null;
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.readUInt16BE(12) !== ETH_P_IPV6 || bytes[ETHERNET + 6] !== ICMPV6 || bytes[ETHERNET + 7] !== 255)
    return null;
  if (bytes[ICMP] !== ADVERTISEMENT) return null;
  return { address: frame.slice(TARGET, OPTIONS), mac: linkLayerOption(bytes) ?? frame.slice(6, 12) };
}

/** Options: u8 type, u8 length in units of 8 bytes. */
function linkLayerOption(bytes: Buffer): Uint8Array | null {
  for (let at = OPTIONS; at + 8 <= bytes.length; ) {
    const units = bytes[at + 1] ?? 0;
    if (units === 0) return null;
    if (bytes[at] === TARGET_LINK_LAYER) return Uint8Array.from(bytes.subarray(at + 2, at + 8));
    at += units * 8;
  }
  return null;
}

/** Passes neighbour advertisements whose target ends like one of these addresses. */
export function neighbourFilter(addresses: readonly Uint8Array[]): Buffer {
  const ends = addresses.map((address) => Buffer.from(address).readUInt32BE(12));
  const fixed: [number, number][] = [
    [ETHERNET + 6, ICMPV6],
    [ICMP, ADVERTISEMENT],
  ];
  return frameFilter(fixed, OPTIONS - 4, ends);
}
