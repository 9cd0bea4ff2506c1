/** ARP as a question (who else has this address, does this MAC answer) and as a witness. Frames and filter are pure. */

import { frameFilter } from './bpf.ts';

const ETH_P_ARP = 0x0806;
const BROADCAST = Buffer.alloc(6, 0xff);

/**
 * An ARP request, 42 bytes: Ethernet (to, source, 0806), hardware 1, protocol 0800, lengths 6 and 4, request, sender MAC,
 * sender address, zero, target address.
 * @param to null: everybody. An address probe (RFC 5227) has the sender 0.0.0.0, so that no cache learns from it.
 */
export function arpRequest(source: Uint8Array, sender: Uint8Array, to: Uint8Array | null, target: Uint8Array): Buffer {
  const frame = Buffer.alloc(42);
  frame.set(to ?? BROADCAST, 0);
  frame.set(source, 6);
  frame.writeUInt16BE(ETH_P_ARP, 12);
  frame.writeUInt16BE(1, 14);
  frame.writeUInt16BE(0x0800, 16);
  frame.writeUInt8(6, 18);
  frame.writeUInt8(4, 19);
  frame.writeUInt16BE(1, 20);
  frame.set(source, 22);
  frame.set(sender, 28);
  frame.set(target, 38);
  return frame;
}

/** Who says that it has which address; null: not an ARP frame for IPv4 over Ethernet. */
export function readClaim(frame: Uint8Array): { address: Uint8Array; mac: Uint8Array } | null {
  if (frame.length < 42) return null;
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.readUInt16BE(12) !== ETH_P_ARP || bytes.readUInt16BE(16) !== 0x0800) return null;
  return { mac: frame.slice(22, 28), address: frame.slice(28, 32) };
}

const SENDER_AT = 28;

/** Passes ARP frames whose sender address is one of these. */
export function claimFilter(addresses: readonly Uint8Array[]): Buffer {
  return frameFilter(
    [],
    SENDER_AT,
    addresses.map((address) => Buffer.from(address).readUInt32BE(0)),
  );
}
