/** The sentences of the diagnosis, and who is told what. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { unsolicitedNeighbourAdvertisement } from '../../../src/gate/announce.ts';
import { differentLists, explainBadAuth, explainStranger } from '../../../src/liveness/diagnose.ts';
import { claimFilter, readClaim } from '../../../src/net/arp.ts';
import { MOST_ADDRESSES } from '../../../src/net/bpf.ts';
import { internetChecksum } from '../../../src/net/checksum.ts';
import { arpRequest } from '../../../src/net/frame.ts';
import { neighbourFilter, neighbourProbe, readNeighbourClaim } from '../../../src/net/nd.ts';

const test = suite('diagnosis');
const sender = { from: '192.0.2.2', vhid: 1, interface: 'wan', peer: ['192.0.2.2', 'fe80::2'], lists: null };

test('address lists are compared as the HMAC sees them: spelling, order and prefix length do not count', () => {
  assert.is(differentLists(['192.0.2.1/24', '2001:db8::1/64'], ['2001:DB8:0::1/48', '192.0.2.1/32']), null);
  assert.is(differentLists(['192.0.2.1/24'], ['192.0.2.1/24', '192.0.2.1/25']), null);
});

test('the sentence names what each side has more', () => {
  assert.match(
    differentLists(['203.0.113.1/24', '203.0.113.2/24'], ['203.0.113.1/24']) ?? '',
    /both list 203\.0\.113\.1; this node also has 203\.0\.113\.2;/,
  );
  assert.match(
    differentLists(['192.0.2.1/24'], ['192.0.2.9/24']) ?? '',
    /this node also has 192\.0\.2\.1; the peer also has 192\.0\.2\.9/,
  );
});

test('a wrong HMAC: the peer, a stranger, or nobody knows', () => {
  assert.is(explainBadAuth(sender).what, 'password');
  assert.is(explainBadAuth({ ...sender, lists: 'vhid 1: different' }).what, 'address_list');
  assert.is(explainBadAuth({ ...sender, from: '192.0.2.77' }).what, 'foreign_user');
  assert.match(explainBadAuth({ ...sender, peer: null }).reason, /another password, another address list, or a host/);
});

test('a right HMAC from a stranger is told; from the peer, or without a known peer, it is not', () => {
  assert.is(explainStranger({ ...sender, from: '192.0.2.77' })?.what, 'foreign_user');
  assert.is(explainStranger({ ...sender, from: 'FE80::2' }), null);
  assert.is(explainStranger({ ...sender, peer: null, from: '192.0.2.77' }), null);
});

test('an ARP request carries what was asked; a claim is read from it', () => {
  const [mac, own, target] = [
    Buffer.from('020000000001', 'hex'),
    Buffer.from([10, 0, 0, 2]),
    Buffer.from([10, 0, 0, 1]),
  ];
  const frame = arpRequest(mac, own, null, target);
  assert.is(
    frame.toString('hex'),
    `ffffffffffff0200000000010806000108000604000102000000000${'1'}0a0000020000000000000a000001`,
  );
  assert.equal(readClaim(frame)?.address, own);
  assert.equal(readClaim(frame)?.mac, mac);
  assert.is(readClaim(frame.subarray(0, 41)), null);
  assert.is(readClaim(Buffer.alloc(60)), null);
});

/** Classic BPF, as far as the filter uses it. */
function passes(program: Buffer, frame: Buffer): boolean {
  let a = 0;
  for (let at = 0; ; at++) {
    const [code, yes, no, k] = [
      program.readUInt16LE(at * 8),
      program.readUInt8(at * 8 + 2),
      program.readUInt8(at * 8 + 3),
      program.readUInt32LE(at * 8 + 4),
    ];
    if (code === 0x20) a = frame.readUInt32BE(k);
    else if (code === 0x30) a = frame[k] ?? 0;
    else if (code === 0x15) at += a === k ? yes : no;
    else return k > 0;
  }
}

test('the filter passes the wanted sender addresses and no other, also with very many', () => {
  const address = (i: number): Buffer => Buffer.from([10, 0, i >> 8, i & 0xff]);
  for (const count of [1, 2, MOST_ADDRESSES]) {
    const program = claimFilter(Array.from({ length: count }, (_none, i) => address(i)));
    const from = (i: number): Buffer => arpRequest(Buffer.alloc(6), address(i), null, address(999));
    for (let i = 0; i < count; i++) assert.ok(passes(program, from(i)), `${i} of ${count}`);
    assert.not.ok(passes(program, from(count)));
  }
});

test('a neighbour probe is what duplicate address detection sends; an advertisement of another host is a claim', () => {
  const mac = Buffer.from('020000000001', 'hex');
  const target = Buffer.from('fd770001000000000000000000abcdef', 'hex');
  const probe = neighbourProbe(mac, target);
  assert.is(
    probe.toString('hex'),
    // Ethernet; IPv6 header; :: to ff02::1:ffab:cdef; ICMPv6 135 and its target
    '3333ffabcdef02000000000186dd6000000000183aff' +
      '00000000000000000000000000000000ff0200000000000000000001ffabcdef' +
      `8700${probe.toString('hex', 56, 58)}00000000fd770001000000000000000000abcdef`,
  );
  const pseudo = Buffer.concat([probe.subarray(22, 54), Buffer.from([0, 0, 0, 24, 0, 0, 0, 58]), probe.subarray(54)]);
  assert.is(internetChecksum(pseudo), 0, 'the checksum closes');
  assert.is(readNeighbourClaim(probe), null, 'a question is no claim');
  const claim = unsolicitedNeighbourAdvertisement(mac, target, true);
  const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
  assert.equal(hex(readNeighbourClaim(claim)?.address), hex(target));
  assert.equal(hex(readNeighbourClaim(claim)?.mac), hex(mac));
  const short = Buffer.from(claim.subarray(0, 78));
  short.set([2, 0, 0, 0, 0, 9], 6);
  assert.equal(hex(readNeighbourClaim(short)?.mac), '020000000009', 'without an option');
  claim.writeUInt8(64, 21);
  assert.is(readNeighbourClaim(claim), null, 'it came through a router');
  assert.is(readNeighbourClaim(claim.subarray(0, 77)), null);
  assert.is(readNeighbourClaim(Buffer.alloc(90)), null);
});

test('the filter for IPv6 passes advertisements for the wanted targets and nothing else', () => {
  const address = (i: number): Buffer =>
    Buffer.from(`fd7700010000000000000000${(i + 1).toString(16).padStart(8, '0')}`, 'hex');
  const mac = Buffer.alloc(6, 2);
  for (const count of [1, 2, MOST_ADDRESSES]) {
    const program = neighbourFilter(Array.from({ length: count }, (_none, i) => address(i)));
    for (let i = 0; i < count; i++)
      assert.ok(passes(program, unsolicitedNeighbourAdvertisement(mac, address(i), false)));
    assert.not.ok(passes(program, unsolicitedNeighbourAdvertisement(mac, address(count), false)));
    assert.not.ok(passes(program, neighbourProbe(mac, address(0))), 'a solicitation');
  }
});

test.run();
