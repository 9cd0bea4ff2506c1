/**
 * What leaves the node and what reaches it, as frames on a cable: advertisements, gratuitous ARP, neighbour
 * advertisements.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Announcer } from '../../src/gate/announce.ts';
import { openCarpReceiver, openCarpSender } from '../../src/kernel/carp-socket.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink.ts';
import { internetChecksum } from '../../src/net/checksum.ts';
import { parseIp } from '../../src/net/ip.ts';
import { virtualMac } from '../../src/net/mac.ts';
import { cable, eventually, indexOf, insideNamespace, remove, Segment, text, Until } from './kernel-lab.ts';

const frames = suite('lab: frames');
const VMAC = virtualMac(7);
let rtnl: Rtnetlink;
let segment: Segment;
let macvlan: number;

/** The kernel needs some IPv6 address on the device before it sends IPv6 there, whatever the packet's own source is. */
function makeMacvlan(): number {
  const { index } = rtnl.createMacvlan({ name: 'carp7-wan', parent: indexOf('e0'), mac: VMAC, alias: 'carpio t' });
  writeFileSync('/proc/sys/net/ipv6/conf/carp7-wan/keep_addr_on_down', '1');
  rtnl.addAddress(index, parseIp('2001:db8::1')!, 64, 'carp7-wan');
  return index;
}

const opened: { close(): void }[] = [];
function kept<T extends { close(): void }>(one: T): T {
  opened.push(one);
  return one;
}

frames.before.each(() => {
  rtnl = new Rtnetlink();
  cable('e0', 'p0', ['10.9.0.2/24', 'fe80::2/64']);
  macvlan = makeMacvlan();
  segment = new Segment('p0');
});
frames.after.each(() => {
  for (const one of opened.splice(0)) one.close();
  segment.close();
  rtnl.close();
  remove('e0');
});

function packetV4(source: string, destination: string, ttl = 255): Buffer {
  const packet = Buffer.alloc(56);
  packet.set([0x45, 0x10, 0, 56, 0x12, 0x34, 0x40, 0, ttl, 112], 0);
  packet.set(parseIp(source)!, 12);
  packet.set(parseIp(destination)!, 16);
  packet.writeUInt16BE(internetChecksum(packet.subarray(0, 20)), 10);
  packet.fill(0x21, 20);
  return packet;
}

function packetV6(source: string): Buffer {
  const packet = Buffer.alloc(76);
  packet.set([0x60, 0, 0, 0, 0, 36, 112, 255], 0);
  packet.set(parseIp(source)!, 8);
  packet.set(parseIp('ff02::12')!, 24);
  packet.fill(0x21, 40);
  return packet;
}

function framed(destination: string, packet: Buffer): Buffer {
  const type = packet.length === 76 ? '86dd' : '0800';
  return Buffer.concat([Buffer.from(`${destination}020000000099${type}`, 'hex'), packet]);
}

const isCarp = (type: number) => (frame: Buffer) =>
  frame.readUInt16BE(12) === type && frame[type === 0x0800 ? 23 : 20] === 112;

/** One packet through a sender of its own; its result. */
async function sendOnce(family: 4 | 6, packet: Buffer): Promise<Error | null> {
  return new Promise((resolve) => {
    const sender = openCarpSender({
      device: 'carp7-wan',
      v4: family === 4,
      v6: family === 6,
      onResult: (_family, error) => {
        sender.close();
        resolve(error);
      },
    });
    sender.send(family, packet);
  });
}

frames('an IPv4 advert leaves with the virtual MAC, the parent’s source address and TTL 255', async () => {
  rtnl.setUp(macvlan, true, 'carp7-wan');
  const packet = packetV4('10.9.0.2', '224.0.0.18');
  assert.is(await sendOnce(4, packet), null);
  const frame = await segment.find(isCarp(0x0800));
  assert.ok(frame);
  assert.is(text(frame!.subarray(0, 14)), `01005e000012${text(VMAC)}0800`);
  assert.is(frame!.subarray(14).toString('hex'), packet.toString('hex'));
});

frames('an IPv6 advert leaves with the virtual MAC, the parent’s link-local source and hop limit 255', async () => {
  rtnl.setUp(macvlan, true, 'carp7-wan');
  const packet = packetV6('fe80::2');
  assert.is(await sendOnce(6, packet), null);
  const frame = await segment.find(isCarp(0x86dd));
  assert.ok(frame);
  assert.is(text(frame!.subarray(0, 14)), `333300000012${text(VMAC)}86dd`);
  assert.is(frame!.subarray(14).toString('hex'), packet.toString('hex'));
});

frames(
  'a send on a device that is down, or missing, is a failed send; the next one works when it is back',
  async () => {
    const results: (Error | null)[] = [];
    const until = new Until();
    const sender = kept(
      openCarpSender({
        device: 'carp7-wan',
        v4: true,
        v6: true,
        onResult: (_family, error) => {
          results.push(error);
          until.poke();
        },
      }),
    );
    const send = async (family: 4 | 6): Promise<Error | null> => {
      const before = results.length;
      sender.send(family, family === 4 ? packetV4('10.9.0.2', '224.0.0.18') : packetV6('fe80::2'));
      await until.wait(() => results.length > before, 'the result of a send');
      return results.at(-1) ?? null;
    };
    for (const family of [4, 6] as const) {
      assert.match((await send(family))?.message ?? 'none', /^send CARP \(IPv[46]\) on carp7-wan: \S/);
    }
    rtnl.setUp(macvlan, true, 'carp7-wan');
    assert.is(await send(4), null);
    assert.is(await send(6), null);
    rtnl.setUp(indexOf('e0'), false, 'e0');
    const lost = (error: Error | null): boolean => /no carrier/.test(error?.message ?? '');
    for (const family of [4, 6] as const) await eventually(async () => lost(await send(family)), 'loss is told');
    rtnl.setUp(indexOf('e0'), true, 'e0');
    await eventually(async () => (await send(4)) === null, 'carrier back');
    rtnl.setUp(indexOf('p0'), false, 'p0');
    await eventually(async () => lost(await send(4)), 'cable out');
    rtnl.setUp(indexOf('p0'), true, 'p0');
    rtnl.deleteLink(macvlan, 'carp7-wan');
    assert.ok(await send(4));
    rtnl.setUp(makeMacvlan(), true, 'carp7-wan');
    assert.is(await send(4), null, 'the device made anew is found');
    const before = results.length;
    sender.send(4, packetV4('10.9.0.2', '224.0.0.18'));
    sender.close();
    assert.is(results.length, before + 1, 'no send without a result');
    assert.match(results.at(-1)?.message ?? '', /closed before/);
    assert.match((await send(4))?.message ?? '', /closed/);
  },
);

frames('the receiver hears both families, and its own vhid’s MAC too (two masters must hear each other)', async () => {
  const heard: { family: number; bytes: Buffer; source: string }[] = [];
  const errors: Error[] = [];
  const until = new Until();
  const receiver = openCarpReceiver({
    device: 'e0',
    ifindex: indexOf('e0'),
    v4: true,
    v6: true,
    onPacket: (family, bytes, source) => {
      heard.push({ family, bytes, source });
      until.poke();
    },
    onError: (error) => errors.push(error),
  });
  kept(receiver);
  segment.send(framed('01005e000012', packetV4('10.9.0.3', '224.0.0.18', 254)));
  segment.send(framed('333300000012', packetV6('fe80::3')));
  await until.wait(() => heard.length >= 2, 'both families');
  const four = heard.find((one) => one.family === 4);
  const six = heard.find((one) => one.family === 6);
  assert.is(four?.source, '10.9.0.3');
  assert.is(four?.bytes.length, 56);
  assert.is(four?.bytes[8], 254, 'the header is there, so the TTL can be checked');
  assert.is(six?.source, 'fe80::3');
  assert.is(six?.bytes.length, 36, 'IPv6: payload only');

  rtnl.setUp(macvlan, true, 'carp7-wan');
  heard.length = 0;
  const fromTwin = framed('01005e000012', packetV4('10.9.0.3', '224.0.0.18'));
  fromTwin.set(VMAC, 6);
  segment.send(fromTwin);
  await until.wait(() => heard.length >= 1, 'an advert from the other master');
  // The parent goes down and up: membership and socket survive.
  rtnl.setUp(indexOf('e0'), false, 'e0');
  rtnl.setUp(indexOf('e0'), true, 'e0');
  heard.length = 0;
  await eventually(async () => {
    segment.send(framed('01005e000012', packetV4('10.9.0.3', '224.0.0.18')));
    await new Promise((resolve) => setTimeout(resolve, 20));
    return heard.length >= 1;
  }, 'an advert after the NIC went down and up');
  assert.equal(errors, []);
});

frames('a receiver on a device that is missing says so and does not throw', () => {
  const errors: Error[] = [];
  const receiver = openCarpReceiver({
    device: 'gone0',
    ifindex: 4711,
    v4: true,
    v6: true,
    onPacket: () => {},
    onError: (error) => errors.push(error),
  });
  assert.is(errors.length, 2);
  assert.match(errors[0]?.message ?? '', /^receive CARP \(IPv4\) on gone0: /);
  receiver.close();
});

frames('gratuitous ARP and neighbour advertisement are on the cable with the virtual MAC', async () => {
  const device = { ifindex: macvlan, name: 'carp7-wan', mac: VMAC };
  const addresses = [parseIp('10.9.0.1')!, parseIp('2001:db8::1')!];
  const announcer = new Announcer();
  const down = announcer.announce(device, addresses, true);
  assert.is(down.sent, 0);
  assert.is(down.failed.length, 2);
  assert.is(down.failed[0]?.code, 'ENETDOWN');
  assert.match(down.failed[0]?.message ?? '', /^announce 10\.9\.0\.1 on carp7-wan: /);

  rtnl.setUp(macvlan, true, 'carp7-wan');
  assert.equal(announcer.announce(device, addresses, true), { sent: 2, failed: [] });
  const arp = await segment.find((frame) => frame.readUInt16BE(12) === 0x0806);
  assert.is(arp?.subarray(0, 42).toString('hex').slice(0, 24), `ffffffffffff${text(VMAC)}`);
  const na = await segment.find((frame) => frame.readUInt16BE(12) === 0x86dd && frame[54] === 136);
  assert.is(text(na!.subarray(0, 12)), `333300000001${text(VMAC)}`);
  assert.is(text(na!.subarray(80, 86)), text(VMAC));

  const fds = (): number => readdirSync('/proc/self/fd').length;
  const open = fds();
  for (let i = 0; i < 5; i++) announcer.announce(device, addresses, true);
  // The collector may close one of another test meanwhile.
  assert.ok(fds() <= open, 'one socket for all announcements');
  rtnl.setUp(macvlan, false, 'carp7-wan');
  rtnl.setUp(macvlan, true, 'carp7-wan');
  assert.is(announcer.announce(device, addresses, true).sent, 2, 'which outlives the device going down and up');
  announcer.close();
});

if (insideNamespace()) frames.run();
