/** The Internet checksum (RFC 1071) and its use over IPv6's pseudo header. Pure. */

/** Internet checksum of `bytes` (ones' complement of the ones' complement sum); 0 over a block that holds its own. */
export function internetChecksum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export const ICMPV6 = 58;

/** Checksum over the pseudo header (addresses, length, next header; RFC 8200 section 8.1) and the message. */
export function icmpv6Checksum(ipHeader: Uint8Array, message: Uint8Array): number {
  const pseudo = Buffer.alloc(40 + message.length);
  pseudo.set(ipHeader.subarray(8, 40), 0);
  pseudo.writeUInt32BE(message.length, 32);
  pseudo.writeUInt8(ICMPV6, 39);
  pseudo.set(message, 40);
  return internetChecksum(pseudo);
}
