/** Ethernet frames that ask and tell who has an address: the head, and the one ARP message there is. Pure. */

/** Bytes of the head: destination, source, type. */
export const ETHERNET = 14;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;
const ETH_P_IPV4 = 0x0800;
const BROADCAST = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
const ARP = 28;

/** A frame with its head filled in and `payload` bytes of zeros behind it. */
export function ethernet(to: Uint8Array, from: Uint8Array, type: number, payload: number): Buffer {
  const frame = Buffer.alloc(ETHERNET + payload);
  frame.set(to, 0);
  frame.set(from, 6);
  frame.writeUInt16BE(type, 12);
  return frame;
}

/**
 * An ARP request, 42 bytes: Ethernet, 14 hardware 1, 16 protocol 0800, 18 lengths 6 and 4, 20 request (1), 22 sender
 * MAC, 28 sender address, 32 target MAC, zero (RFC 5227), 38 target address.
 * @param to null: everybody. An address probe (RFC 5227) has the sender 0.0.0.0, so that no cache learns from it.
 */
export function arpRequest(source: Uint8Array, sender: Uint8Array, to: Uint8Array | null, target: Uint8Array): Buffer {
  const frame = ethernet(to ?? BROADCAST, source, ETH_P_ARP, ARP);
  frame.writeUInt16BE(1, 14);
  frame.writeUInt16BE(ETH_P_IPV4, 16);
  frame.writeUInt8(6, 18);
  frame.writeUInt8(4, 19);
  frame.writeUInt16BE(1, 20);
  frame.set(source, 22);
  frame.set(sender, 28);
  frame.set(target, 38);
  return frame;
}
