import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { announcement, gratuitousArp, unsolicitedNeighbourAdvertisement } from '../../../src/gate/announce.ts';
import { internetChecksum } from '../../../src/net/checksum.ts';
import { parseIp } from '../../../src/net/ip.ts';
import { virtualMac } from '../../../src/net/mac.ts';

const announce = suite('announce');

announce('gratuitous ARP: every byte', () => {
  const frame = gratuitousArp(virtualMac(7), parseIp('203.0.113.1')!);
  assert.is(
    frame.toString('hex'),
    'ffffffffffff' + // broadcast
      '00005e000107' + // from the virtual MAC
      '0806' +
      '0001' + // Ethernet
      '0800' + // IPv4
      '0604' +
      '0001' + // request
      '00005e000107' +
      'cb007101' +
      '000000000000' + // BSD form; UCarp repeats the sender here
      'cb007101',
  );
});

interface Capture {
  all_gratuitous_arp_frame_hex?: { frame: string }[];
}

announce('differs from what UCarp sends in the target hardware address only', () => {
  const file = new URL('../../vectors/data/carp-captured.json', import.meta.url);
  const captures = JSON.parse(readFileSync(file, 'utf8')) as Capture[];
  const frames = captures.flatMap((capture) => capture.all_gratuitous_arp_frame_hex ?? []);
  assert.ok(frames.length >= 5);
  for (const { frame } of frames) {
    const theirs = Buffer.from(frame, 'hex');
    const ours = gratuitousArp(theirs.subarray(6, 12), theirs.subarray(28, 32));
    assert.equal(theirs.subarray(32, 38), theirs.subarray(6, 12), 'UCarp: target hardware address = its own MAC');
    theirs.fill(0, 32, 38);
    assert.is(ours.toString('hex'), theirs.subarray(0, 42).toString('hex'));
  }
});

announce('unsolicited neighbour advertisement: every byte, checksum included', () => {
  const address = parseIp('2001:db8::1')!;
  const frame = unsolicitedNeighbourAdvertisement(virtualMac(1), address, true);
  const ip = '20010db8000000000000000000000001';
  assert.is(
    frame.toString('hex'),
    `33330000000100005e00010186dd${
      '60000000' + // version 6
      '0020' + // 32 bytes
      '3aff' + // ICMPv6, hop limit 255
      ip
    }ff020000000000000000000000000001${
      '8800' + // neighbour advertisement
      '1c2a' + // checksum, worked out by another program
      'a0000000' // router, override, not solicited
    }${ip}020100005e000101`,
  );
  assert.is(frame.length, 86);
});

announce('the ICMPv6 checksum closes over the pseudo header, for any address and flag', () => {
  for (const text of ['fe80::1', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', '::1', 'fd00::a:b']) {
    for (const router of [false, true]) {
      const frame = unsolicitedNeighbourAdvertisement(virtualMac(255), parseIp(text)!, router);
      const whole = Buffer.concat([
        frame.subarray(22, 54),
        Buffer.from([0, 0, 0, 32, 0, 0, 0, 58]),
        frame.subarray(54),
      ]);
      assert.is(internetChecksum(whole), 0);
      assert.is(frame.readUInt8(58), router ? 0xa0 : 0x20);
      whole[40]! ^= 1;
      assert.is.not(internetChecksum(whole), 0, 'negative control');
    }
  }
});

announce('the family follows the address', () => {
  assert.is(announcement(virtualMac(1), parseIp('10.0.0.1')!, true).length, 42);
  assert.is(announcement(virtualMac(1), parseIp('fe80::1')!, true).length, 86);
});

announce.run();
