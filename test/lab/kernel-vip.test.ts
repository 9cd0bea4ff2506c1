/** Virtual addresses in the kernel: who answers for them, when, and what is left behind. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { KernelGate } from '../../src/gate/kernel-gate.ts';
import { findLeftovers, macvlanName, removeLeftovers, VipDevice, type VipSpec } from '../../src/gate/vip.ts';
import { DeviceWork } from '../../src/kernel/device-work.ts';
import { applyNft } from '../../src/kernel/nft.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink.ts';
import { readSysctl, Sysctls } from '../../src/kernel/sysctl.ts';
import { parseIp } from '../../src/net/ip.ts';
import { parseMac } from '../../src/net/mac.ts';
import {
  arpRequest,
  cable,
  indexOf,
  insideNamespace,
  isAdvertisementOf,
  isArpReplyFor,
  neighbourSolicitation,
  remove,
  run,
  Segment,
  text,
} from './kernel-lab.ts';

const vip = suite('lab: virtual addresses');
const FOUR = parseIp('10.9.0.1')!;
const SIX = parseIp('2001:db8::1')!;
const STRANGER = parseIp('10.9.0.99')!;
const OWN = parseIp('10.9.0.2')!;
const SPEC: VipSpec = {
  node: 'fw-a',
  vhid: 7,
  role: 'wan',
  mode: 'virtual',
  parent: 'e0',
  addresses: ['10.9.0.1/24', '2001:db8::1/64'],
};
/** How long a missing answer is waited for. */
const SILENCE_MS = 150;

const KEY = 'wan/7';
const BEAT_MS = 30;

/** A virtual host as the daemon treats it: device behind its gate, addresses that follow the gate. */
class Host {
  readonly device: VipDevice;
  readonly gate = new KernelGate();
  #beat: NodeJS.Timeout | undefined;

  constructor(spec: VipSpec = SPEC) {
    this.device = new VipDevice(rtnl, work, sysctls, spec);
    hosts.push(this);
  }

  async arm(mode: VipSpec['mode'] = 'virtual'): Promise<this> {
    const { device } = this;
    await device.prepare();
    const failed = await this.gate.load([{ key: KEY, mode, device: device.device, addresses: device.prefixes }]);
    assert.is(failed, null);
    assert.is(await device.arm(), null);
    return this;
  }

  open(): void {
    this.gate.send('open', [KEY]);
    this.#beat = setInterval(() => this.gate.send('open', [KEY]), BEAT_MS);
    assert.is(this.device.up(), null);
  }

  close(): void {
    this.hang();
    this.gate.send('close', [KEY]);
    assert.is(this.device.down(), null);
  }

  /** The daemon stands still. */
  hang(): void {
    clearInterval(this.#beat);
  }
}

let hosts: Host[] = [];
let rtnl: Rtnetlink;
let work: DeviceWork;
let sysctls: Sysctls;
let segment: Segment;
let realMac: string;

vip.before.each(() => {
  // The beats travel over it.
  run('ip link set lo up');
  rtnl = new Rtnetlink();
  work = new DeviceWork(rtnl);
  sysctls = new Sysctls();
  cable('e0', 'p0', ['10.9.0.2/24', '2001:db8::2/64']);
  realMac = text(parseMac(rtnl.link('e0')!.mac)!);
  segment = new Segment('p0');
});
vip.after.each(async () => {
  for (const host of hosts) host.hang();
  for (const host of hosts) await host.gate.remove();
  hosts = [];
  segment.close();
  work.close();
  rtnl.close();
  remove('e0');
});

async function fails(work: Promise<void>, message: RegExp): Promise<void> {
  const said = await work.then(
    () => 'it worked',
    (error: Error) => error.message,
  );
  assert.match(said, message);
}

const ours = () => rtnl.links().filter((link) => link.name.startsWith('carp'));

/** The MACs in the answers to an ARP request for `who`, as hex; [] when nobody answers. */
async function arp(who: Uint8Array): Promise<string[]> {
  segment.clear();
  segment.send(arpRequest(STRANGER, who));
  await segment.find(isArpReplyFor(who), SILENCE_MS);
  // A second answer, from the wrong MAC, would follow the first at once.
  await segment.find(() => false, 20);
  return segment.frames.filter(isArpReplyFor(who)).map((frame) => text(frame.subarray(22, 28)));
}

// The kernel joins the address's solicited-node group in a work queue after the device came up; on a busy machine the
// first solicitation may come too early, as for any host.
async function solicit(who: Uint8Array): Promise<string[]> {
  segment.clear();
  for (let i = 0; i < 4; i++) {
    segment.send(neighbourSolicitation(who));
    if ((await segment.find(isAdvertisementOf(who), SILENCE_MS / 3)) !== null) break;
  }
  await segment.find(() => false, 20);
  return [...new Set(segment.frames.filter(isAdvertisementOf(who)).map((frame) => text(frame.subarray(80, 86))))];
}

vip('a backup is silent; a master answers with the virtual MAC only; a backup again is silent at once', async () => {
  const host = await new Host().arm();
  const { device } = host;
  assert.is(device.device, 'carp7-wan');
  assert.ok(rtnl.link('carp7-wan')?.up, 'armed: the device is up');
  assert.equal(await arp(FOUR), []);
  assert.equal(await solicit(SIX), []);
  assert.equal(await arp(OWN), [realMac], 'the NIC still answers for itself');

  host.open();
  assert.equal(await arp(FOUR), ['00005e000107']);
  assert.equal(await solicit(SIX), ['00005e000107']);
  assert.equal(await arp(OWN), [realMac], 'and the virtual MAC does not answer for the NIC');

  host.close();
  assert.equal(await arp(FOUR), []);
  assert.equal(await solicit(SIX), []);
  assert.is(await device.remove(), null);
  assert.equal(ours(), []);
});

vip('a daemon that stands still: the kernel closes the gate by itself, and opens it with the next beat', async () => {
  const host = await new Host().arm();
  host.open();
  assert.equal(await arp(FOUR), ['00005e000107']);
  host.hang();
  await segment.find(() => false, 150);
  assert.equal(await arp(FOUR), [], 'the address is still on the device, and nobody answers for it');
  assert.equal(await solicit(SIX), []);
  host.open();
  assert.equal(await arp(FOUR), ['00005e000107']);
});

vip('mode physical behind its gate: only the virtual addresses are silent', async () => {
  const host = await new Host({ ...SPEC, mode: 'physical' }).arm('physical');
  host.open();
  assert.equal(await arp(FOUR), [realMac]);
  assert.equal(await solicit(SIX), [realMac]);
  host.hang();
  await segment.find(() => false, 150);
  assert.equal(await arp(FOUR), []);
  assert.equal(await solicit(SIX), []);
  assert.equal(await arp(OWN), [realMac], 'the NIC answers for itself all the time');
  assert.equal(await solicit(parseIp('2001:db8::2')!), [realMac]);
  await host.device.remove();
});

vip('other hosts in the table: a gate that is open stays open, beat or no beat meanwhile', async () => {
  const host = await new Host().arm();
  host.open();
  const other = new VipDevice(rtnl, work, sysctls, { ...SPEC, vhid: 8, addresses: ['10.9.0.8/24'] });
  await other.prepare();
  const both = [host.device, other].map((device, i) => ({
    ...{ key: `wan/${7 + i}` as const, mode: 'virtual' as const, device: device.device, addresses: device.prefixes },
  }));
  for (const hosts of [both, both.slice(0, 1), both]) {
    assert.is(await host.gate.load(hosts), null);
    assert.match(run('nft list set netdev carpio_gate alive'), /elements = /, 'the element has outlived the load');
  }
  assert.equal(await arp(FOUR), ['00005e000107']);
});

vip("the gate leaves a packet's own mark alone, in and out", async () => {
  const host = await new Host().arm();
  host.open();
  const failed = await applyNft(`table netdev marks {
  chain before { type filter hook ingress device "carp7-wan" priority -600; meta mark set 0x77; }
  chain in { type filter hook ingress device "carp7-wan" priority 0; meta mark 0x77 counter comment "in"; }
  chain out { type filter hook egress device "carp7-wan" priority 0; meta mark 0x78 counter comment "out"; }
}
`);
  assert.is(failed, null);
  try {
    assert.equal(await arp(FOUR), ['00005e000107']);
    // An IPv6 packet to a group needs no neighbour: it leaves at once.
    spawnSync('ping', ['-6', '-c', '1', '-W', '1', '-m', '120', '-I', 'carp7-wan', 'ff02::1'], { stdio: 'ignore' });
    const counted = (what: string): boolean =>
      new RegExp(`packets [1-9][0-9]* bytes [0-9]+ comment "${what}"`).test(run('nft list table netdev marks'));
    assert.ok(counted('in'), 'the mark that was set before the gate is there behind it');
    assert.ok(counted('out'));
  } finally {
    run('nft delete table netdev marks');
  }
});

vip('negative control: without the parent’s arp_ignore both MACs answer', async () => {
  const host = await new Host().arm();
  host.open();
  writeFileSync('/proc/sys/net/ipv4/conf/e0/arp_ignore', '0');
  assert.equal((await arp(FOUR)).sort(), ['00005e000107', realMac].sort());
});

vip('a backup’s device sends nothing, not even when it is made and armed', async () => {
  const host = new Host();
  segment.clear();
  await host.arm();
  await segment.find(() => false, SILENCE_MS);
  const fromVirtual = segment.frames.filter((frame) => text(frame.subarray(6, 12)) === '00005e000107');
  assert.equal(fromVirtual, []);
});

vip('how long taking over takes', async () => {
  const host = await new Host().arm();
  const calls: number[] = [];
  const answers: number[] = [];
  for (let i = 0; i < 20; i++) {
    const begun = performance.now();
    host.open();
    calls.push(performance.now() - begun);
    segment.clear();
    const four = performance.now();
    segment.send(arpRequest(STRANGER, FOUR));
    assert.ok(await segment.find(isArpReplyFor(FOUR), 1000));
    const six = performance.now();
    assert.equal(await solicit(SIX), ['00005e000107']);
    answers.push(six - four);
    host.close();
  }
  const middle = (list: number[]): string => list.sort((a, b) => a - b)[list.length >> 1]!.toFixed(2);
  console.log(
    `    gate and addresses: ${middle(calls)} ms (longest ${Math.max(...calls).toFixed(2)}); ` +
      `an ARP request right after it is answered in ${middle(answers)} ms`,
  );
});

vip('after kill -9 as master the next start takes the device over, down, without an address', async () => {
  const first = await new Host({ ...SPEC, addresses: ['10.9.0.1/24', '10.9.0.77/24'] }).arm();
  first.open();
  first.hang();
  const before = rtnl.link('carp7-wan')!;
  // Here the first run is killed: nothing of it runs any more, the kernel keeps what it made.
  const second = new VipDevice(rtnl, work, new Sysctls(), SPEC);
  await second.prepare();
  const after = rtnl.link('carp7-wan')!;
  assert.is(after.index, before.index, 'taken over, not made anew');
  assert.not(after.up);
  assert.equal(
    rtnl
      .addresses()
      .filter((address) => address.index === after.index)
      .map((address) => address.address),
    [],
  );
  const next = await new Host().arm();
  next.open();
  assert.equal(await arp(parseIp('10.9.0.77')!), []);
  assert.equal(await arp(FOUR), ['00005e000107']);
});

vip('a device of ours with another parent is made anew; one that is not ours is refused and left alone', async () => {
  cable('e1', 'p1', []);
  try {
    const first = new VipDevice(rtnl, work, sysctls, { ...SPEC, parent: 'e1' });
    await first.prepare();
    const second = new VipDevice(rtnl, work, sysctls, SPEC);
    await second.prepare();
    assert.is(rtnl.link('carp7-wan')?.parent, indexOf('e0'));
    await second.remove();
    run('ip link add carp7-wan type veth peer name far');
    await fails(new VipDevice(rtnl, work, sysctls, SPEC).prepare(), /carp7-wan exists that is not ours/);
    assert.is(rtnl.link('carp7-wan')?.kind, 'veth');
  } finally {
    remove('carp7-wan');
    remove('e1');
  }
});

vip('what is not wanted any more is found by kind, name and alias, and removed; nothing else is', async () => {
  for (const vhid of [7, 8]) await new VipDevice(rtnl, work, sysctls, { ...SPEC, vhid }).prepare();
  new VipDevice(rtnl, work, sysctls, { ...SPEC, vhid: 9, mode: 'physical', addresses: ['10.9.0.9/24'] }).up();
  const physical = new VipDevice(rtnl, work, sysctls, {
    ...SPEC,
    vhid: 9,
    mode: 'physical',
    addresses: ['10.9.0.9/24'],
  });
  await physical.prepare();
  physical.up();
  run('ip link add link e0 name carp1-mine type macvlan mode bridge');
  const leftovers = findLeftovers(rtnl.links(), rtnl.addresses(), [SPEC]);
  assert.equal(
    leftovers.devices.map((link) => link.name),
    ['carp8-wan'],
  );
  assert.equal(
    leftovers.addresses.map((address) => address.address),
    ['10.9.0.9'],
  );
  await removeLeftovers(rtnl, work, leftovers);
  assert.equal(
    ours()
      .map((link) => link.name)
      .sort(),
    ['carp1-mine', 'carp7-wan'],
  );
  assert.equal(findLeftovers(rtnl.links(), rtnl.addresses(), [SPEC]), { devices: [], addresses: [] });
});

vip('mode physical: the address is on the NIC while master, answered with its own MAC, and gone after', async () => {
  const device = new VipDevice(rtnl, work, sysctls, { ...SPEC, mode: 'physical' });
  await device.prepare();
  assert.is(device.device, 'e0');
  assert.equal(await arp(FOUR), []);
  assert.is(device.up(), null);
  assert.equal(await arp(FOUR), [realMac]);
  assert.equal(await solicit(SIX), [realMac]);
  segment.clear();
  assert.equal(device.announce(true), { sent: 2, failed: [] });
  const frame = await segment.find((one) => one.readUInt16BE(12) === 0x0806);
  assert.is(text(frame!.subarray(6, 12)), realMac);
  // The next run after kill -9: prepare takes the address away.
  const next = new VipDevice(rtnl, work, sysctls, { ...SPEC, mode: 'physical' });
  await next.prepare();
  assert.equal(await arp(FOUR), []);
  assert.equal(await arp(OWN), [realMac], 'the NIC keeps its own');
  assert.is(await next.remove(), null);
  assert.is(readSysctl(['net', 'ipv4', 'conf', 'e0', 'arp_ignore']), '0', 'the NIC’s ARP is not touched in this mode');
});

vip('one route per subnet: the virtual address brings its own only where the NIC has none', async () => {
  const host = await new Host({ ...SPEC, addresses: ['10.9.0.1/24', '10.77.0.1/24'] }).arm();
  host.open();
  const routes = run('ip -4 route show').trim().split('\n');
  assert.is(routes.filter((route) => route.startsWith('10.9.0.0/24')).length, 1);
  assert.match(routes.find((route) => route.startsWith('10.9.0.0/24')) ?? '', /dev e0/);
  assert.match(routes.find((route) => route.startsWith('10.77.0.0/24')) ?? '', /dev carp7-wan/);
});

vip('strict reverse path filtering is loosened where it would drop, and put back at the end', async () => {
  const rp = (device: string): string => readSysctl(['net', 'ipv4', 'conf', device, 'rp_filter']);
  writeFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', '1');
  try {
    const device = new VipDevice(rtnl, work, sysctls, SPEC);
    await device.prepare();
    assert.is(rp('e0'), '2');
    assert.is(rp('carp7-wan'), '2');
    assert.is(readSysctl(['net', 'ipv4', 'conf', 'e0', 'arp_ignore']), '1');
    await device.remove();
    assert.equal(sysctls.restore(), []);
    assert.is(rp('e0'), '0');
    assert.is(readSysctl(['net', 'ipv4', 'conf', 'e0', 'arp_ignore']), '0');
    assert.is(readSysctl(['net', 'ipv4', 'conf', 'e0', 'arp_announce']), '0');
  } finally {
    writeFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', '0');
  }
});

vip('what a run that was killed had changed is put back by the stop of the next one', async () => {
  const file = '/run/sysctl-test.json';
  const ignore = (): string => readSysctl(['net', 'ipv4', 'conf', 'e0', 'arp_ignore']);
  rmSync(file, { force: true });
  const killed = new VipDevice(rtnl, work, new Sysctls(file), SPEC);
  await killed.prepare();
  assert.is(ignore(), '1');
  const second = new Sysctls(file);
  const device = new VipDevice(rtnl, work, second, SPEC);
  await device.prepare();
  await device.remove();
  assert.equal(second.restore(), []);
  assert.is(ignore(), '0');
  assert.not.ok(existsSync(file), 'and is forgotten then');
  writeFileSync(file, JSON.stringify([{ name: ['net', '..', 'x'], value: '1' }, { name: 'net', value: 1 }, null, 7]));
  assert.equal(new Sysctls(file).restore(), [], 'what is no such list is not believed');
  assert.not.ok(existsSync(file));
});

vip('an ARP request for traffic from the virtual address does not tie that address to the real MAC', async () => {
  const host = await new Host().arm();
  host.open();
  const asks = (frame: Buffer): boolean => frame.readUInt16BE(12) === 0x0806 && frame.readUInt16BE(20) === 1;
  const sender = async (target: string): Promise<string> => {
    segment.clear();
    const ping = spawn('ping', ['-c', '1', '-W', '1', '-I', '10.9.0.1', target], { stdio: 'ignore' });
    const frame = await segment.find(asks);
    ping.kill();
    return Array.from(frame?.subarray(28, 32) ?? []).join('.');
  };
  assert.is(await sender('10.9.0.50'), '10.9.0.2');
  writeFileSync('/proc/sys/net/ipv4/conf/e0/arp_announce', '0');
  assert.is(await sender('10.9.0.51'), '10.9.0.1', 'negative control');
});

vip('without IPv6 addresses the device has no IPv6, and gets it when one is added', async () => {
  const six = (): string => readSysctl(['net', 'ipv6', 'conf', 'carp7-wan', 'disable_ipv6']);
  const device = new VipDevice(rtnl, work, sysctls, { ...SPEC, addresses: ['10.9.0.1/24'] });
  await device.prepare();
  await device.arm();
  device.up();
  assert.is(six(), '1');
  await device.prepare(SPEC);
  assert.is(six(), '0');
  const { index, up } = rtnl.link('carp7-wan')!;
  assert.ok(up, 'a change of addresses does not interrupt a master');
  const own = rtnl.addresses().filter((address) => address.index === index);
  assert.equal(
    own.map((address) => address.address),
    ['10.9.0.1', '2001:db8::1'],
  );
});

vip('errors name the vhid, the device and the address', async () => {
  await fails(new VipDevice(rtnl, work, sysctls, { ...SPEC, parent: 'gone0' }).prepare(), /vhid 7: .*gone0/);
  await fails(new VipDevice(rtnl, work, sysctls, { ...SPEC, addresses: ['10.9.0.300/24'] }).prepare(), /10\.9\.0\.300/);
  const device = new VipDevice(rtnl, work, sysctls, SPEC);
  assert.match(device.up()?.message ?? '', /carp7-wan was not prepared/);
  await device.prepare();
  rtnl.deleteLink(device.ifindex, 'carp7-wan');
  assert.match(device.up()?.message ?? '', /add 10\.9\.0\.1\/24 to carp7-wan: .*ENODEV/);
});

vip('device names fit the kernel and two long roles do not meet', async () => {
  assert.is(macvlanName(7, 'wan'), 'carp7-wan');
  const a = macvlanName(255, 'customers-north');
  const b = macvlanName(255, 'customers-south');
  assert.is(a.length, 15);
  assert.is.not(a, b);
  assert.match(a, /^carp255-/);
});

if (insideNamespace()) vip.run();
