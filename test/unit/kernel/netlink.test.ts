import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { applyNotifications, LinkTable } from '../../../src/kernel/links.ts';
import {
  decode,
  MessageBuilder,
  NLMSG_ERROR,
  parseAck,
  parseAttributes,
  parseMessages,
} from '../../../src/kernel/netlink.ts';
import {
  addressMessage,
  macvlanMessage,
  parseAddress,
  parseLink,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
  settleMessage,
} from '../../../src/kernel/rtnetlink.ts';
import { formatIp, isLinkLocal6, parseIp, parsePrefix, samePrefix } from '../../../src/net/ip.ts';
import { parseMac, virtualMac } from '../../../src/net/mac.ts';

const netlink = suite('kernel: netlink');

netlink('a macvlan request: every byte', () => {
  const bytes = macvlanMessage({ name: 'carp7-wan', parent: 3, mac: virtualMac(7), alias: '' }).finish(9);
  const words = [
    '60000000' + '1000' + '0506' + '09000000' + '00000000', // 96 bytes, NEWLINK, request ack create excl, seq 9
    '00000000' + '00000000' + '00000000' + '00000000', // ifinfomsg
    `0e000300${Buffer.from('carp7-wan\0').toString('hex')}0000`, // IFLA_IFNAME
    '08000500' + '03000000', // IFLA_LINK
    '0a000100' + '00005e000107' + '0000', // IFLA_ADDRESS
    '1c001280', // IFLA_LINKINFO, nested, 28 bytes
    `0c000100${Buffer.from('macvlan\0').toString('hex')}`, // IFLA_INFO_KIND
    '0c000280' + '08000100' + '04000000', // IFLA_INFO_DATA { IFLA_MACVLAN_MODE bridge }
  ];
  assert.is(bytes.toString('hex'), words.join(''));
});

netlink('address requests: family, scope, flags and mark', () => {
  const add = addressMessage(RTM_NEWADDR, 5, parseIp('10.0.0.1')!, 24, { noPrefixRoute: true }).finish(1);
  assert.is(
    add.subarray(16).toString('hex'),
    `0218000005000000${'080002000a000001'}${'080001000a000001'}${'0800080082020000'}${'05000b0070000000'}`,
  );
  const remove = addressMessage(RTM_DELADDR, 5, parseIp('fe80::1')!, 64).finish(1);
  assert.is(remove.readUInt16LE(4), RTM_DELADDR);
  assert.is(remove.subarray(16, 24).toString('hex'), '0a4000fd05000000', 'IPv6, /64, scope link');
});

netlink('a builder grows, and can be used again', () => {
  const builder = new MessageBuilder(1, 0, Buffer.alloc(16)).attr(7, Buffer.alloc(5000, 0xab)).u8(8, 1);
  const first = Buffer.from(builder.finish(1));
  const second = builder.finish(2);
  assert.is(first.length, 16 + 16 + 5004 + 8);
  assert.is(second.readUInt32LE(8), 2);
  const [message] = parseMessages(second).messages;
  const found = decode(
    { big: [7, 'bytes'], small: [8, 'u8'], absent: [9, 'u32'] },
    parseAttributes(message!.payload, 16),
  );
  assert.is(found.big?.length, 5000);
  assert.is(found.small, 1);
  assert.is(found.absent, undefined);
});

netlink('values that are too short read as absent; strings end at their zero or at their end', () => {
  const bytes = new MessageBuilder(1, 0, new Uint8Array(0))
    .attr(1, Uint8Array.of(1, 2))
    .attr(2, Buffer.from('abc'))
    .attr(3, Buffer.from('ab\0c'))
    .attr(4, new Uint8Array(0))
    .finish(1);
  const table = { number: [1, 'u32'], text: [2, 'string'], cut: [3, 'string'], empty: [4, 'u8'] } as const;
  assert.equal(decode(table, parseAttributes(parseMessages(bytes).messages[0]!.payload)), { text: 'abc', cut: 'ab' });
});

function linkBytes(type: number, index: number, name: string, family = 0): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt8(family, 0);
  body.writeInt32LE(index, 4);
  body.writeUInt32LE(0x11043, 8);
  return Buffer.from(
    new MessageBuilder(type, 0, body)
      .string(3, name)
      .u32(4, 1500)
      .u8(16, 6)
      .attr(1, Uint8Array.of(2, 0, 0, 0, 0, 1))
      .nest(18, (info) => info.string(1, 'macvlan').nest(2, (data) => data.u32(1, 4)))
      .finish(1),
  );
}

netlink('a link is read from a notification', () => {
  const link = parseLink(parseMessages(linkBytes(RTM_NEWLINK, 7, 'carp1-wan')).messages[0]!);
  assert.equal(link, {
    index: 7,
    name: 'carp1-wan',
    up: true,
    carrier: true,
    operstate: 'up',
    flags: 0x11043,
    mac: '02:00:00:00:00:01',
    kind: 'macvlan',
    macvlanMode: 4,
    parent: 0,
    master: 0,
    mtu: 1500,
    alias: '',
  });
});

netlink('an address is read from a notification; a wrong length is none', () => {
  const read = (bytes: Uint8Array, family: string) => {
    const message = addressMessage(RTM_NEWADDR, 5, bytes, 24).finish(1);
    if (family === 'swap') message.writeUInt8(10, 16);
    return parseAddress(parseMessages(message).messages[0]!);
  };
  const found = read(parseIp('10.0.0.1')!, '');
  assert.is(found?.address, '10.0.0.1');
  assert.is(found?.prefix, 24);
  assert.ok(found?.ours);
  assert.is(read(parseIp('10.0.0.1')!, 'swap'), null);
});

netlink('notifications change the table, and say whether they did', () => {
  const table = new LinkTable();
  const add = linkBytes(RTM_NEWLINK, 7, 'carp1-wan');
  assert.equal(applyNotifications(table, add), { changed: true, intact: true });
  assert.equal(applyNotifications(table, add), { changed: false, intact: true });
  const address = Buffer.from(addressMessage(RTM_NEWADDR, 7, parseIp('10.0.0.1')!, 24).finish(1));
  assert.ok(applyNotifications(table, address).changed);
  assert.is(table.list()[0]?.addresses.length, 1);
  // A port that leaves a bridge is announced as a deleted link of the bridge's family.
  assert.not(applyNotifications(table, linkBytes(RTM_DELLINK, 7, 'carp1-wan', 7)).changed);
  assert.ok(applyNotifications(table, linkBytes(RTM_DELLINK, 7, 'carp1-wan')).changed);
  assert.equal(table.list(), []);
  assert.equal(applyNotifications(table, add.subarray(0, 40)), { changed: false, intact: false });
});

netlink('acknowledgements: success, error, the kernel’s words, and truncated ones', () => {
  const words = Buffer.from('not like this\0');
  const payload = Buffer.concat([Buffer.alloc(20), Buffer.from([words.length + 4, 0, 1, 0]), words]);
  payload.writeInt32LE(-22, 0);
  const ack = { type: NLMSG_ERROR, flags: 0x300, seq: 1, pid: 0, payload };
  assert.equal(parseAck(ack), { error: 22, text: 'not like this' });
  assert.equal(parseAck({ ...ack, flags: 0, payload: Buffer.alloc(20) }), { error: 0, text: undefined });
  assert.is(parseAck({ ...ack, payload: Buffer.alloc(2) }).error, 5);
  payload.writeUInt32LE(0xfffffff0, 4);
  assert.equal(parseAck({ ...ack, flags: 0x200 }), { error: 22, text: undefined }, 'a length beyond the end');
});

netlink('arbitrary and cut bytes never throw and never read past their end', () => {
  const good = Buffer.concat([linkBytes(RTM_NEWLINK, 7, 'a'), Buffer.from(settleMessage(7, 'carpio x').finish(2))]);
  let seed = 12345;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const table = new LinkTable();
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.from(good.subarray(0, random(good.length + 1)));
    for (let k = random(8); k > 0 && bytes.length > 0; k--) bytes[random(bytes.length)] = random(256);
    applyNotifications(table, bytes);
    for (const message of parseMessages(bytes).messages) {
      parseAck(message);
      parseAddress(message);
    }
  }
});

netlink('addresses: text to bytes and back', () => {
  for (const text of [
    '0.0.0.0',
    '203.0.113.1',
    '::',
    '::1',
    '1::',
    'fe80::1',
    '2001:db8::1:0:0:1',
    '1:0:2:3:4:5:6:7',
  ]) {
    assert.is(formatIp(parseIp(text)!), text);
  }
  assert.is(formatIp(parseIp('2001:DB8:0:0:0:0:0:1')!), '2001:db8::1');
  assert.is(formatIp(parseIp('::ffff:192.0.2.1')!), '::ffff:c000:201');
  assert.is(formatIp(parseIp('0:0:1:0:0:0:1:0')!), '0:0:1::1:0');
  for (const text of ['', '1.2.3', '1.2.3.256', 'fe80::1%eth0', '1:2', ':::', '10.0.0.1/24'])
    assert.is(parseIp(text), null);
  assert.is(parsePrefix('10.0.0.1/24')?.length, 24);
  assert.is(parsePrefix('::1')?.length, 128);
  for (const text of ['10.0.0.1/33', '10.0.0.1/', '10.0.0.1/-1', '::1/129', '::1/1e1', 'x/24']) {
    assert.is(parsePrefix(text), null, text);
  }
  assert.ok(samePrefix(parseIp('10.9.255.1')!, parseIp('10.9.0.9')!, 16));
  assert.not(samePrefix(parseIp('10.9.255.1')!, parseIp('10.9.0.9')!, 17));
  assert.not(samePrefix(parseIp('10.9.255.1')!, parseIp('::')!, 0));
  assert.ok(isLinkLocal6(parseIp('febf::1')!));
  assert.not(isLinkLocal6(parseIp('fec0::1')!));
  assert.equal(parseMac('00:00:5e:00:01:FF'), virtualMac(255));
  assert.is(parseMac('00:00:5e:00:01'), null);
});

netlink.run();
