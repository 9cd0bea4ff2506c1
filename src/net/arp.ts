/** ARP as a witness: who says that it has an address. Pure; the question is net/frame.ts's. */

import { frameFilter } from './bpf.ts';
import { ETH_P_ARP } from './frame.ts';

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
