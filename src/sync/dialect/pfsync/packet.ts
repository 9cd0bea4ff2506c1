/**
 * From an IP packet to a pfsync frame: protocol 240, TTL or hop limit 255 (docs/protocol/pfsync.md section 1). Pure.
 */
import { formatIp } from '../../../net/ip.ts';

interface PfPacket {
  src: string;
  dst: string;
  ttl: number;
  frame: Buffer;
}

export const PROTOCOL = 240;

/** null: no whole IP packet of pfsync. The lengths of the headers are checked, the frame's own content is not. */
export function readPacket(ip: Buffer): PfPacket | null {
  if (ip.length >= 20 && ip[0]! >> 4 === 4) {
    const header = (ip[0]! & 15) * 4;
    const total = ip.readUInt16BE(2);
    const piece = (ip.readUInt16BE(6) & 0x3fff) !== 0;
    if (header < 20 || total < header || total > ip.length || ip[9] !== PROTOCOL || piece) return null;
    const [src, dst] = [12, 16].map((at) => formatIp(ip.subarray(at, at + 4))) as [string, string];
    return { src, dst, ttl: ip[8]!, frame: ip.subarray(header, total) };
  }
  if (ip.length >= 40 && ip[0]! >> 4 === 6) {
    const size = ip.readUInt16BE(4);
    if (ip[6] !== PROTOCOL || 40 + size > ip.length) return null;
    const [src, dst] = [8, 24].map((at) => formatIp(ip.subarray(at, at + 16))) as [string, string];
    return { src, dst, ttl: ip[7]!, frame: ip.subarray(40, 40 + size) };
  }
  return null;
}
