/** One connection read from the kernel's table (ctnetlink GET), as the whole message that an event would be. */
import type { NetlinkClient } from './netlink.ts';
import { MessageBuilder, NLM_F_ACK, NLM_F_REQUEST, NLMSG_HEADER } from './netlink.ts';

const CT_GET = 0x101;
const CTA_TUPLE_ORIG = 1;
const CTA_ZONE = 18;
const NESTED = 0x8000;

/**
 * @param nfgenmsg 4 bytes, the family first
 * @param tuple the attributes inside CTA_TUPLE_ORIG
 * @returns a netlink message, header included; null: there is no such connection
 */
export function readConnection(
  client: NetlinkClient,
  nfgenmsg: Uint8Array,
  tuple: Uint8Array,
  zone?: Uint8Array,
): Buffer | null {
  const request = new MessageBuilder(CT_GET, NLM_F_REQUEST | NLM_F_ACK, nfgenmsg);
  request.attr(CTA_TUPLE_ORIG | NESTED, tuple);
  if (zone !== undefined) request.attr(CTA_ZONE, zone);
  try {
    const [found] = client.dump(request, 'read a connection');
    if (found === undefined) return null;
    const header = Buffer.alloc(NLMSG_HEADER);
    header.writeUInt32LE(NLMSG_HEADER + found.payload.length, 0);
    header.writeUInt16LE(found.type, 4);
    return Buffer.concat([header, found.payload]);
  } catch {
    return null;
  }
}
