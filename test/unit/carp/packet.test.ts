/** What the vectors do not hold: VRRP beside CARP, own packets, counters, addresses, rubbish. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  heardCounter,
  newOwnPackets,
  newSendCounter,
  rememberSent,
  sentByUs,
  takeCounter,
} from '../../../src/carp/counter.ts';
import { buildIpv4, buildIpv6, parseIp } from '../../../src/carp/ip.ts';
import { decodeAdvert, encodeAdvert, hmacAddresses, keyOf } from '../../../src/carp/packet.ts';
import { receiveAdvert, receivePacket, type VhidSecret } from '../../../src/carp/receive.ts';
import { internetChecksum } from '../../../src/net/checksum.ts';
import { addressBytes, compareAddresses, formatIp, sameAddress } from '../../../src/net/ip.ts';

const key20 = keyOf(Buffer.from('secret'));
const addresses = hmacAddresses(['203.0.113.1/24', '2001:db8::1/64']);
const secret = (): VhidSecret => ({ key20, addresses, sent: newOwnPackets() });
const fields = { vhid: 1, advbase: 1, advskew: 0, demote: 0, counter: 7n };

function advert(change: Partial<typeof fields> = {}): Buffer {
  return encodeAdvert({ ...fields, ...change }, key20, addresses);
}

function verdict(packet: Uint8Array, known = secret()): string {
  const found = receivePacket(packet, (vhid) => (vhid === 1 ? known : undefined));
  return found.ok ? 'ok' : found.counter;
}

const v4 = (payload: Uint8Array): Buffer => buildIpv4('203.0.113.2', '224.0.0.18', 0x1234, payload);
const v6 = (payload: Uint8Array): Buffer => buildIpv6('fe80::2', 'ff02::12', payload);

/** A VRRPv3 advertisement as RFC 9568 has it, checksum with the pseudo header. */
function vrrp3(count: number): Buffer {
  const body = Buffer.alloc(8 + 4 * count);
  body.set([0x31, 1, 100, count, 0, 100]);
  for (let i = 0; i < count; i++) body.set([203, 0, 113, i + 1], 8 + 4 * i);
  const pseudo = Buffer.concat([Buffer.from([203, 0, 113, 2, 224, 0, 0, 18, 0, 112, 0, body.length]), body]);
  body.writeUInt16BE(internetChecksum(pseudo), 6);
  return body;
}

/** A VRRPv2 advertisement (RFC 3768, keepalived's default): the same first byte as CARP. */
function vrrp2(count: number): Buffer {
  const body = Buffer.alloc(16 + 4 * count);
  body.set([0x21, 1, 100, count, 0, 1]);
  for (let i = 0; i < count; i++) body.set([203, 0, 113, i + 1], 8 + 4 * i);
  body.writeUInt16BE(internetChecksum(body), 6);
  return body;
}

const packet = suite('CARP packet');

packet('both families, round trip', () => {
  assert.is(verdict(v4(advert())), 'ok');
  assert.is(verdict(v6(advert())), 'ok');
  const decoded = decodeAdvert(advert({ counter: 2n ** 64n - 1n, advskew: 254, demote: 255 }));
  assert.ok(decoded.ok);
  assert.equal([decoded.advert.counter, decoded.advert.advskew, decoded.advert.demote], [2n ** 64n - 1n, 254, 255]);
});

packet('header of a sent IPv4 packet: TOS 0x10, DF, TTL 255, protocol 112, 56 bytes', () => {
  const bytes = v4(advert());
  assert.is(bytes.subarray(0, 10).toString('hex'), '451000381234'.concat('4000ff70'));
  assert.is(internetChecksum(bytes.subarray(0, 20)), 0);
  assert.throws(() => buildIpv4('fe80::1', '224.0.0.18', 0, advert()), /not an IPv4 address/);
});

packet('VRRP of a keepalived with the same id is counted apart, whatever its version and length', () => {
  for (let count = 1; count <= 9; count++) {
    assert.is(verdict(v4(vrrp3(count))), 'vrrp', `version 3, ${count} addresses`);
    assert.is(verdict(v4(vrrp2(count))), 'vrrp', `version 2, ${count} addresses`);
  }
  const broken = vrrp2(1);
  broken.writeUInt8(9, 8);
  assert.is(verdict(v4(broken)), 'badlen');
});

packet('each check names its counter, in the order of the BSDs', () => {
  const spoil = (at: number, value: number, bytes = v4(advert())): Buffer => {
    bytes.writeUInt8(value, at);
    return bytes;
  };
  assert.is(verdict(spoil(8, 254)), 'badttl');
  assert.is(verdict(spoil(7, 64, v6(advert()))), 'badttl');
  assert.is(verdict(v4(advert().subarray(0, 35))), 'badlen');
  assert.is(verdict(v6(advert().subarray(0, 35))), 'hdrops');
  assert.is(verdict(spoil(55, 0xaa)), 'badsum');
  assert.is(verdict(v4(advert({ vhid: 2 }))), 'badvhid');
  assert.is(verdict(v4(encodeAdvert(fields, Buffer.alloc(20), addresses))), 'badauth');
  assert.is(verdict(v4(encodeAdvert(fields, key20, hmacAddresses(['203.0.113.9'])))), 'badauth');
  // TTL before length, checksum before vhid, vhid before HMAC
  assert.is(verdict(spoil(8, 1, v4(advert().subarray(0, 35)))), 'badttl');
  assert.is(verdict(spoil(21, 2)), 'badsum');
});

packet('a hop limit the socket does not tell is not checked', () => {
  const datagram = {
    family: 6 as const,
    src: 'fe80::2',
    dst: null,
    hopLimit: null,
    payload: advert(),
    truncated: false,
  };
  assert.ok(receiveAdvert(datagram, secret).ok);
});

packet('no rubbish throws, and none is accepted', () => {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return seed >>> 8;
  };
  for (let i = 0; i < 20_000; i++) {
    const length = random() % 80;
    const bytes = Buffer.from(Array.from({ length }, () => random() & 0xff));
    if (length > 9 && i % 2 === 0) bytes.set([0x45, 0, 0, length, 0, 0, 0, 0, 255, 112]);
    assert.is.not(verdict(bytes), 'ok');
  }
  const good = v4(advert());
  for (let cut = 0; cut < good.length; cut++) assert.is.not(verdict(good.subarray(0, cut)), 'ok');
});

packet('bytes behind the 36th are not looked at', () => {
  assert.is(verdict(v4(Buffer.concat([advert(), Buffer.of(1, 2, 3, 4)]))), 'ok');
});

packet('keys: raw bytes, filled up with zeros', () => {
  assert.is(keyOf(Buffer.from('é')).toString('hex'), `c3a9${'00'.repeat(18)}`);
  assert.is(keyOf(Buffer.from('x'.repeat(20))).toString(), 'x'.repeat(20));
  assert.is(keyOf(Buffer.alloc(0)).toString('hex'), '00'.repeat(20));
});

packet.run();

const counters = suite('CARP counter');

counters("random until something was heard, then the peer's plus one, plus one for each packet", () => {
  const state = newSendCounter();
  assert.equal([takeCounter(state, 99n), takeCounter(state, 5n)], [99n, 5n]);
  heardCounter(state, 1000n);
  assert.equal([takeCounter(state, 1n), takeCounter(state, 1n)], [1001n, 1002n]);
  heardCounter(state, 3n);
  assert.is(takeCounter(state, 1n), 4n);
  heardCounter(state, 2n ** 64n - 1n);
  assert.is(takeCounter(state, 1n), 0n);
});

counters('an own packet that comes back is dropped and counted, only once it was sent', () => {
  const known = secret();
  const bytes = v4(advert());
  assert.is(verdict(bytes, known), 'ok');
  const decoded = decodeAdvert(advert());
  assert.ok(decoded.ok);
  rememberSent(known.sent, 7n, decoded.advert.digest, '203.0.113.2');
  assert.is(verdict(bytes, known), 'ownpackets');
});

counters('two masters that count on from the same value do not take each other for themselves', () => {
  const known = secret();
  const decoded = decodeAdvert(advert());
  assert.ok(decoded.ok);
  rememberSent(known.sent, 7n, decoded.advert.digest, '203.0.113.3');
  // Same counter and digest, but from the peer's address: after a split both would stay masters otherwise.
  assert.is(verdict(v4(advert()), known), 'ok');
});

counters('only the last packets are remembered', () => {
  const own = newOwnPackets();
  for (let i = 0n; i < 1000n; i++) rememberSent(own, i, Buffer.alloc(20), '10.0.0.1');
  assert.is(own.list.length, 64);
  const like = (counter: bigint) => ({ ...fields, counter, authlen: 7, digest: Buffer.alloc(20) });
  assert.ok(sentByUs(own, like(999n), '10.0.0.1'));
  assert.not(sentByUs(own, like(1n), '10.0.0.1'));
});

counters.run();

const address = suite('CARP addresses');

address('text and bytes', () => {
  const pairs: [string, string][] = [
    ['10.0.0.1/24', '0a000001'],
    ['::', '00'.repeat(16)],
    ['2001:db8::1/64', `20010db8${'00'.repeat(11)}01`],
    ['fe80::1%eth0', `fe80${'00'.repeat(13)}01`],
    ['::ffff:1.2.3.4', `${'00'.repeat(10)}ffff01020304`],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ];
  for (const [text, hex] of pairs) assert.is(addressBytes(text)?.toString('hex'), hex, text);
  for (const text of ['', 'x', '1.2.3', '1.2.3.4.5', ':::', '1:2', '300.1.1.1'])
    assert.is(addressBytes(text), null, text);
});

address('short form of IPv6', () => {
  for (const text of [
    '::',
    '::1',
    '2001:db8::1',
    'fe80::21a:2bff:fe3c:4d5e',
    '1:0:0:2::3',
    '1:2:3:4:5:6:7:8',
    '2001:db8:0:1::5',
  ]) {
    assert.is(formatIp(addressBytes(text) ?? Buffer.alloc(16)), text);
  }
});

address('order is numeric in network order, families do not compare', () => {
  assert.is(compareAddresses('10.9.0.200', '10.9.1.9'), -1);
  assert.is(compareAddresses('fe80::2', 'fe80::1%eth0'), 1);
  assert.is(compareAddresses('10.0.0.1', 'fe80::1'), 0);
  assert.ok(sameAddress('2001:db8:0::1', '2001:db8::1/64'));
  assert.not(sameAddress('10.0.0.1', 'fe80::1'));
});

address('parse refuses what is not protocol 112', () => {
  const udp = v4(advert());
  udp.writeUInt8(17, 9);
  assert.is(parseIp(udp), null);
  assert.is(parseIp(Buffer.alloc(60)), null);
});

address.run();
