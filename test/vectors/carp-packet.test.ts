/**
 * Packets of other implementations: every captured and synthetic one is judged as expected and re-encoded byte for
 * byte.
 */

import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { newOwnPackets } from '../../src/carp/counter.ts';
import { buildIpv4, buildIpv6, parseIp } from '../../src/carp/ip.ts';
import { decodeAdvert, encodeAdvert, hmac, hmacAddresses, hmacMessage, keyOf } from '../../src/carp/packet.ts';
import { receivePacket, type VhidSecret } from '../../src/carp/receive.ts';
import { internetChecksum } from '../../src/net/checksum.ts';

interface PacketCase {
  description: string;
  vhid: number;
  password: string;
  wrong_password?: string;
  advbase: number;
  advskew: number;
  demote: number;
  vips: string[];
  ip_packet_hex: string[];
  hmac_variant?: 'with_link_local' | 'without_link_local';
  expect_hmac_ok: boolean;
  expect_drop?: string | null;
  counter_hex?: string[];
  digest_hex?: string[];
}

interface KatCase {
  description: string;
  password: string;
  key20_hex: string;
  vhid: number;
  vips_as_configured: string[];
  lladdr_hex: string;
  inner_message_with_link_local_hex: string;
  inner_message_without_link_local_hex: string;
  counter_hex: string;
  digest_with_link_local: string;
  digest_without_link_local: string;
}

function load<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`data/${name}.json`, import.meta.url), 'utf8')) as T;
}

const captured = load<PacketCase[]>('carp-captured');
const synthetic = load<PacketCase[]>('carp-synthetic');
const known = load<KatCase[]>('carp-hmac-kat');

function secretOf(c: PacketCase, password = c.password): VhidSecret {
  const key20 = keyOf(Buffer.from(password));
  return { key20, addresses: hmacAddresses(c.vips), sent: newOwnPackets() };
}

function judge(c: PacketCase, hex: string, password?: string): string {
  // A mutation may carry another vhid than the configured one: then it must be unknown here.
  const mutatedVhid = c.expect_drop === 'badvhid';
  const lookup = (vhid: number) => (vhid === c.vhid && !mutatedVhid ? secretOf(c, password) : undefined);
  const found = receivePacket(Buffer.from(hex, 'hex'), lookup);
  return found.ok ? 'ok' : found.counter;
}

const packets = suite('CARP packets of others');

packets('no packet is missing from the files', () => {
  const count = (list: PacketCase[]) => list.reduce((n, c) => n + c.ip_packet_hex.length, 0);
  assert.is(count(captured), 77);
  assert.is(count(captured) + count(synthetic), 98);
});

for (const c of [...captured, ...synthetic]) {
  packets(`judged as expected: ${c.description}`, () => {
    for (const hex of c.ip_packet_hex) assert.is(judge(c, hex), c.expect_drop ?? 'ok');
  });
}

packets('a wrong password is refused as badauth', () => {
  let seen = 0;
  for (const c of synthetic.filter((x) => x.wrong_password !== undefined)) {
    for (const hex of c.ip_packet_hex) assert.is(judge(c, hex, c.wrong_password), 'badauth');
    seen++;
  }
  assert.is(seen, 1);
  for (const c of captured) assert.is(judge(c, c.ip_packet_hex[0] ?? '', 'no'), 'badauth');
});

packets('the digest variant is the one that was sent', () => {
  for (const c of synthetic.filter((x) => x.hmac_variant !== undefined)) {
    const found = receivePacket(Buffer.from(c.ip_packet_hex[0] ?? '', 'hex'), () => secretOf(c));
    assert.ok(found.ok);
    assert.is(found.digest, c.hmac_variant === 'with_link_local' ? 'withLinkLocal' : 'withoutLinkLocal');
  }
});

function rebuild(c: PacketCase, packet: Buffer): Buffer {
  const datagram = parseIp(packet);
  assert.ok(datagram?.dst);
  const decoded = decodeAdvert(datagram.payload);
  assert.ok(decoded.ok);
  const secret = secretOf(c);
  const { vhid, advskew, advbase, demote, counter } = decoded.advert;
  const fields = { vhid, advskew, advbase, demote, counter };
  const withLinkLocal = c.hmac_variant !== 'without_link_local';
  const payload = encodeAdvert(fields, secret.key20, secret.addresses, withLinkLocal);
  if (datagram.family === 6) {
    return buildIpv6(datagram.src, datagram.dst, payload, ((packet.readUInt16BE(0) >> 4) & 0xff) as number);
  }
  return buildIpv4(datagram.src, datagram.dst, packet.readUInt16BE(4), payload, packet.readUInt8(1));
}

packets('every valid packet is re-encoded byte for byte, IP header included', () => {
  let same = 0;
  for (const c of [...captured, ...synthetic]) {
    if (c.expect_drop) continue;
    for (const hex of c.ip_packet_hex) {
      const again = rebuild(c, Buffer.from(hex, 'hex')).toString('hex');
      // authlen is always sent as 7, so the mutation of it is the one packet that cannot come out the same.
      if (c.description.includes('authlen 6')) assert.is.not(again, hex);
      else assert.is(again, hex, c.description);
      same++;
    }
  }
  assert.is(same, 91);
});

packets('fields are read as described', () => {
  for (const c of captured) {
    c.ip_packet_hex.forEach((hex, i) => {
      const decoded = decodeAdvert(parseIp(Buffer.from(hex, 'hex'))?.payload ?? Buffer.alloc(0));
      assert.ok(decoded.ok);
      const { vhid, advbase, advskew, demote, counter, digest } = decoded.advert;
      assert.equal(
        [vhid, advbase, advskew, demote, counter.toString(16).padStart(16, '0'), digest.toString('hex')],
        [c.vhid, c.advbase, c.advskew, c.demote, c.counter_hex?.[i], c.digest_hex?.[i]],
      );
    });
  }
});

packets('checksum: zero over a block that holds it', () => {
  for (const c of captured) assert.is(internetChecksum(Buffer.from(c.ip_packet_hex[0] ?? '', 'hex').subarray(20)), 0);
});

packets.run();

const kat = suite('CARP HMAC');

for (const c of known) {
  kat(c.description, () => {
    const key20 = keyOf(Buffer.from(c.password));
    assert.is(key20.toString('hex'), c.key20_hex);
    const addresses = hmacAddresses(c.vips_as_configured);
    const counter = BigInt(`0x${c.counter_hex}`);
    const lladdr = Buffer.from(c.lladdr_hex, 'hex');
    const inner = (ll: boolean) => hmacMessage(c.vhid, addresses, counter, ll, lladdr).toString('hex');
    assert.is(inner(true), c.inner_message_with_link_local_hex);
    assert.is(inner(false), c.inner_message_without_link_local_hex);
    if (c.lladdr_hex !== '') return;
    const digest = (ll: boolean) => hmac(key20 ?? Buffer.alloc(20), c.vhid, addresses, counter, ll).toString('hex');
    assert.is(digest(true), c.digest_with_link_local);
    assert.is(digest(false), c.digest_without_link_local);
  });
}

kat.run();
