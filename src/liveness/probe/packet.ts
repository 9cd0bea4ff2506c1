/**
 * Probe and answer, IP protocol 240 on the service networks, TTL 255. 48 bytes, big endian:
 *
 *     0   u16  magic 0xca12, as on the sync link
 *     2   u8   version 1
 *     3   u8   kind: 3 PROBE, 4 ANSWER
 *     4   8    sender: random, chosen at its start
 *     12  u32  reserved, 0
 *     16  16   nonce of the probe; the answer carries it back
 *     32  16   HMAC-SHA-256 over bytes 0..31 and the name of the role, cut to 128 bits
 *
 * The key comes from the pair's secret by HKDF. An answer cannot be a recording (the nonce is fresh), a reflection (the
 * kind is covered), or the answer of another network (the role is covered).
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

const MAGIC = 0xca12;
const VERSION = 1;
export const PROBE = 3;
export const ANSWER = 4;
export const SENDER_BYTES = 8;
export const NONCE_BYTES = 16;
export const PROBE_BYTES = 48;
const MAC_AT = 32;
const MAC_BYTES = 16;

interface ProbePacket {
  kind: typeof PROBE | typeof ANSWER;
  sender: Buffer;
  nonce: Buffer;
}

export function probeKey(secret: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'carpio/1 probe', 32));
}

function mac(key: Buffer, clear: Buffer, role: string): Buffer {
  return createHmac('sha256', key).update(clear).update(role).digest().subarray(0, MAC_BYTES);
}

export function encodeProbe(key: Buffer, role: string, packet: ProbePacket): Buffer {
  const out = Buffer.alloc(PROBE_BYTES);
  out.writeUInt16BE(MAGIC, 0);
  out.writeUInt8(VERSION, 2);
  out.writeUInt8(packet.kind, 3);
  packet.sender.copy(out, 4, 0, SENDER_BYTES);
  packet.nonce.copy(out, 16, 0, NONCE_BYTES);
  mac(key, out.subarray(0, MAC_AT), role).copy(out, MAC_AT);
  return out;
}

/** The name of the counter of refused input, or the packet. */
export function decodeProbe(
  key: Buffer,
  role: string,
  bytes: Buffer,
): ProbePacket | 'bad_length' | 'bad_header' | 'bad_mac' {
  if (bytes.length !== PROBE_BYTES) return 'bad_length';
  const kind = bytes.readUInt8(3);
  if (bytes.readUInt16BE(0) !== MAGIC || bytes.readUInt8(2) !== VERSION) return 'bad_header';
  if (kind !== PROBE && kind !== ANSWER) return 'bad_header';
  if (!timingSafeEqual(mac(key, bytes.subarray(0, MAC_AT), role), bytes.subarray(MAC_AT))) return 'bad_mac';
  return {
    kind,
    sender: Buffer.from(bytes.subarray(4, 4 + SENDER_BYTES)),
    nonce: Buffer.from(bytes.subarray(16, 16 + NONCE_BYTES)),
  };
}
