/**
 * Everything a received packet must pass before the election hears of it, in the order of the BSDs (9.2 of the
 * protocol page): TTL, length, checksum, vhid, version, HMAC, own packet. The first failing check names the counter.
 */

import { internetChecksum } from '../net/checksum.ts';
import type { OwnPackets } from './counter.ts';
import { sentByUs } from './counter.ts';
import { CARP_TTL, type Datagram, parseIp } from './ip.ts';
import { ADVERT_BYTES, type Advert, decodeAdvert, type HmacAddresses, verifyHmac } from './packet.ts';
import type { Family } from './types.ts';

/**
 * The BSD names, and two of our own: `vrrp` (a VRRP router's packet, same protocol number, no fault of anybody) and
 * `ownpackets` (what this node sent itself and a switch or bridge gave back).
 */
type DropCounter = 'badttl' | 'hdrops' | 'badlen' | 'badsum' | 'badvhid' | 'badver' | 'badauth' | 'vrrp' | 'ownpackets';

/** What is needed to judge an advertisement for one vhid of the interface it came in on. */
export interface VhidSecret {
  key20: Uint8Array;
  addresses: HmacAddresses;
  sent: OwnPackets;
}

export type Received =
  | { ok: true; family: Family; from: string; advert: Advert; digest: 'withLinkLocal' | 'withoutLinkLocal' }
  | { ok: false; counter: DropCounter; vhid: number | null; from: string | null };

/** VRRPv3 (RFC 9568): 8 bytes and `count` addresses. Its checksum has a pseudo header, so CARP's does not fit. */
function isVrrp3(family: Family, payload: Uint8Array): boolean {
  if ((payload[0] ?? 0) !== 0x31) return false;
  const count = payload[3] ?? 0;
  if (count === 0 || payload.length !== 8 + count * (family === 4 ? 4 : 16)) return false;
  return payload.length !== ADVERT_BYTES || internetChecksum(payload) !== 0;
}

/** VRRPv2 (RFC 3768): first byte as in CARP, 8 bytes, `count` addresses, 8 bytes of authentication data. */
function isVrrp2(payload: Uint8Array): boolean {
  if ((payload[0] ?? 0) !== 0x21) return false;
  const count = payload[3] ?? 0;
  return count > 0 && payload.length === 16 + 4 * count && internetChecksum(payload) === 0;
}

function isVrrp(datagram: Datagram): boolean {
  if (isVrrp3(datagram.family, datagram.payload)) return true;
  // With five addresses VRRPv2 is as long as CARP: then only the HMAC can tell, see below.
  return datagram.family === 4 && datagram.payload.length !== ADVERT_BYTES && isVrrp2(datagram.payload);
}

function shapeFault(datagram: Datagram): DropCounter | null {
  if (datagram.hopLimit !== null && datagram.hopLimit !== CARP_TTL) return 'badttl';
  if (isVrrp(datagram)) return 'vrrp';
  if (datagram.truncated || datagram.payload.length < ADVERT_BYTES) return datagram.family === 4 ? 'badlen' : 'hdrops';
  return null;
}

/**
 * Checks a datagram of protocol 112.
 * @param lookup the secret of a vhid on the interface the datagram came in on; undefined: no such vhid there
 */
export function receiveAdvert(datagram: Datagram, lookup: (vhid: number) => VhidSecret | undefined): Received {
  const vhid = datagram.payload[1] ?? null;
  const drop = (counter: DropCounter): Received => ({ ok: false, counter, vhid, from: datagram.src });
  const shape = shapeFault(datagram);
  if (shape !== null) return drop(shape);
  const decoded = decodeAdvert(datagram.payload);
  if (!decoded.ok && decoded.counter !== 'badver') return drop(decoded.counter);
  const secret = lookup(vhid ?? 0);
  if (secret === undefined) return drop('badvhid');
  if (!decoded.ok) return drop('badver');
  const digest = verifyHmac(decoded.advert, secret.key20, secret.addresses);
  if (digest === null) return drop(isVrrp2(datagram.payload) ? 'vrrp' : 'badauth');
  if (sentByUs(secret.sent, decoded.advert, datagram.src)) return drop('ownpackets');
  return { ok: true, family: datagram.family, from: datagram.src, advert: decoded.advert, digest };
}

/** As `receiveAdvert`, for bytes that start with the IP header (raw IPv4 sockets, packet sockets). */
export function receivePacket(packet: Uint8Array, lookup: (vhid: number) => VhidSecret | undefined): Received {
  const datagram = parseIp(packet);
  if (datagram === null) return { ok: false, counter: 'hdrops', vhid: null, from: null };
  return receiveAdvert(datagram, lookup);
}
