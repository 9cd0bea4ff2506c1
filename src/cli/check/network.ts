/** The checks of a configuration against the interfaces of this machine. Pure. */

import { deviceOf } from '../../config/devices.ts';
import { formatError } from '../../config/problem.ts';
import { type LinkAddresses, type ResolvedVip, resolveVips } from '../../config/resolve.ts';
import { takeoverMs } from '../../config/timing.ts';
import type { Config } from '../../config/types.ts';
import type { PathFacts } from '../../contract/kernel-probe.ts';
import { nearest } from '../../contract/nearest.ts';
import { equalAddress, parseAddress, parseCidr, sameNetwork } from '../../net/cidr.ts';
import { seconds } from '../text.ts';
import { error, type Finding, ok, warning } from './finding.ts';
import type { DeviceFacts, SystemFacts } from './system-facts.ts';

const topicOf = (role: string, device: string) => `${role} (${device})`;

function checkDevice(role: string, device: string, facts: SystemFacts): Finding {
  const topic = topicOf(role, device);
  const found = Object.hasOwn(facts.devices, device) ? facts.devices[device] : undefined;
  if (!found) {
    const have = Object.keys(facts.devices).filter((name) => name !== 'lo');
    const near = nearest(device, have);
    const hint = near ? `; did you mean ${near}?` : '';
    return error(
      topic,
      `no such device; there is ${have.join(', ') || 'none at all'}${hint}`,
      `mend [interfaces] ${role}`,
    );
  }
  if (found.operstate === 'down' || found.carrier === false) {
    const mend = `plug the cable in, and bring it up: ip link set ${device} up`;
    return error(topic, found.carrier === false ? 'has no link' : 'is down', mend);
  }
  if (found.addresses === null || found.addresses.length === 0) {
    return error(topic, 'is not up, or has no address of its own', `ip link set ${device} up; give it an address`);
  }
  const odd = oddity(topic, device, found);
  if (odd !== null) return odd;
  const mtu = found.mtu === null ? '' : `, MTU ${found.mtu}`;
  return ok(
    topic,
    `${found.operstate === 'unknown' || found.operstate === null ? 'there' : found.operstate}, ${found.addresses.join(' ')}${mtu}`,
  );
}

/** A device that is there and up, and yet not one for CARP. */
function oddity(topic: string, device: string, { odd = {} }: DeviceFacts): Finding | null {
  const where = device;
  if (odd.master !== undefined) {
    const mend = `name ${odd.master} in [interfaces]: frames for ${device} are handed to it`;
    return error(topic, `is a part of ${odd.master}, so nothing reaches its own addresses`, mend, { where });
  }
  if (odd.wireless) {
    const mend = 'use a cable; or mac = "physical" for its vhids, and be patient';
    return warning(topic, 'is wireless: an access point lets one MAC address of a station through', mend, { where });
  }
  if (odd.noMulticast) {
    return warning(topic, 'takes no multicast', `ip link set ${device} multicast on; or use peers in [[vip]]`, {
      where,
    });
  }
  if (odd.halfDuplex) {
    return warning(topic, 'runs at half duplex', 'let both ends of the cable negotiate', { where });
  }
  return null;
}

function linkAddresses(facts: SystemFacts): LinkAddresses[] {
  return Object.entries(facts.devices).map(([device, { addresses }]) => ({ device, addresses: addresses ?? [] }));
}

/** One virtual address against the addresses that its device has itself. */
function checkVipAddress(text: string, vip: ResolvedVip, own: readonly string[]): Finding | null {
  const topic = `vhid ${vip.vhid} on ${vip.interface}`;
  const address = parseCidr(text);
  if (!address) return null;
  const nets = own.map((cidr) => parseCidr(cidr)).filter((cidr) => cidr !== null);
  if (vip.mac === 'virtual' && nets.some((net) => equalAddress(net, address))) {
    const found = `${text} is also ${vip.device}'s own address`;
    return error(topic, found, `give ${vip.device} another address in that subnet: both nodes need one of their own`);
  }
  const near = nets.filter((net) => net.family === address.family);
  if (near.length === 0) {
    const mend = 'give it one: adverts and announcements need a source';
    return error(topic, `${text}: ${vip.device} has no IPv${address.family} address of its own`, mend);
  }
  if (!near.some((net) => sameNetwork(net, address, net.prefix))) {
    const found = `${text} is in no subnet of ${vip.device} (${near.map((net) => own[nets.indexOf(net)]).join(' ')})`;
    return warning(
      topic,
      found,
      'fine if the network routes that address here; else mend the address or the interface',
    );
  }
  return null;
}

/** What `carpio run` changes on the device while it runs, so that nobody is surprised. */
function checkArp(vip: ResolvedVip, facts: SystemFacts): Finding[] {
  const effective = (leaf: string) =>
    Math.max(
      facts.sysctls[`net.ipv4.conf.all.${leaf}`] ?? 0,
      facts.sysctls[`net.ipv4.conf.${vip.device}.${leaf}`] ?? 0,
    );
  const changes: string[] = [];
  if (effective('arp_ignore') === 0) changes.push('arp_ignore 0 to 1 (or the NIC answers for the virtual address too)');
  if (effective('arp_announce') < 2)
    changes.push('arp_announce to 2 (or the NIC asks in the name of the virtual address)');
  if (effective('rp_filter') === 1) changes.push('rp_filter 1 to 2 (or what comes in for the virtual MAC is dropped)');
  if (changes.length === 0) return [];
  return [ok(topicOf(vip.interface, vip.device), `carpio run changes while it runs: ${changes.join(', ')}`)];
}

function checkVip(vip: ResolvedVip, facts: SystemFacts): Finding[] {
  const topic = `vhid ${vip.vhid} on ${vip.interface}`;
  const own = facts.devices[vip.device]?.addresses;
  const found = own ? vip.addresses.map((text) => checkVipAddress(text, vip, own)).filter((item) => item !== null) : [];
  if (found.every(({ level }) => level !== 'error')) {
    const peers = vip.peers.length > 0 ? `unicast to ${vip.peers.join(' ')}` : 'multicast';
    found.unshift(ok(topic, `${vip.addresses.join(' ')}, takes over after ${seconds(takeoverMs(vip))}, ${peers}`));
  }
  return found;
}

export function checkInterfaces(facts: SystemFacts, config: Config): Finding[] {
  return Object.entries(config.interfaces).map(([role, device]) => checkDevice(role, device, facts));
}

export function checkVips(facts: SystemFacts, config: Config): Finding[] {
  const resolved = resolveVips(config, linkAddresses(facts));
  if (!resolved.ok) return resolved.errors.map((problem) => error('virtual addresses', formatError(problem), null));
  const byDevice = new Map(resolved.vips.filter((vip) => vip.mac === 'virtual').map((vip) => [vip.device, vip]));
  return [
    ...resolved.vips.flatMap((vip) => checkVip(vip, facts)),
    ...[...byDevice.values()].flatMap((vip) => checkArp(vip, facts)),
  ];
}

/** What netfilter does to frames that a bridge only passes on. */
const BRIDGE_CALLS = ['net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables'] as const;

/**
 * A virtual MAC on a bridge: its frames come in through a port, so the bridge hands them to the rules of IP first, as
 * packets for another host, and they never arrive. ARP is not handed over, so that the address seems to work.
 */
export function checkBridges(facts: SystemFacts, config: Config): Finding[] {
  const wanted = new Set(config.vip.filter(({ mac }) => mac === 'virtual').map((vip) => vip.interface));
  return Object.entries(config.interfaces).flatMap(([role, device]) => {
    if (facts.devices[device]?.odd?.bridge !== true || !(wanted.has(role) || wanted.has(null))) return [];
    return BRIDGE_CALLS.filter((name) => facts.sysctls[name] === 1).map((name) => {
      const found = `is a bridge, and ${name} = 1: the virtual address answers ARP and loses every packet`;
      const mend = `sysctl -w ${name}=0, and put it in /etc/sysctl.d/ so that it holds after a restart`;
      return error(topicOf(role, device), found, mend, { where: name, fix: { kind: 'sysctl', name, value: 0 } });
    });
  });
}

function checkPeer(peer: string, device: string, found: DeviceFacts): Finding {
  const topic = 'sync peer';
  const address = parseAddress(peer);
  const own = (found.addresses ?? []).map((text) => parseCidr(text)).filter((cidr) => cidr !== null);
  if (address && own.some((cidr) => equalAddress(cidr, address))) {
    return error(topic, `${peer} is this node's own address`, "set [sync] peer to the other node's address");
  }
  if (address && own.some((cidr) => sameNetwork(cidr, address, cidr.prefix)))
    return ok(topic, `${peer} is on ${device}`);
  const list = found.addresses?.join(' ') || 'none';
  return error(
    topic,
    `${peer} is in no subnet of ${device} (${list})`,
    `mend [sync] peer, or the address of ${device}`,
  );
}

/** What came back from the peer while no node runs here. The peer's own check measures the other direction. */
function checkPath({ largest, rtt_ms, failed }: PathFacts, peer: string, mtu: number): Finding {
  const topic = 'sync link';
  if (failed !== null) return warning(topic, `could not be tried: ${failed}`, 'run carpio check as root');
  if (largest === null) {
    const mend = 'look at the cable, at the other box and its address; or its rules let no ping in on this link';
    return warning(topic, `${peer} does not answer to ping`, mend, { where: peer });
  }
  return (
    mtuFinding(topic, `to ${peer} and back`, largest, mtu, peer) ??
    ok(topic, `packets of ${mtu} bytes pass to ${peer} and back, ${rtt_ms} ms`)
  );
}

/** The error, or null when packets of `mtu` bytes pass. */
export function mtuFinding(topic: string, way: string, largest: number, mtu: number, where: string): Finding | null {
  if (largest >= mtu) return null;
  const mend = `[sync] mtu = ${largest} on both boxes, or mend the MTU on the way`;
  return error(topic, `packets of [sync] mtu = ${mtu} bytes do not pass ${way}; ${largest} do`, mend, { where });
}

export function checkSync(facts: SystemFacts, config: Config): Finding[] {
  const { sync } = config;
  if (!sync) return [warning('sync', 'no [sync] section: connections will not survive a fail-over', 'add [sync]')];
  const found: Finding[] = [];
  if (sync.key && sync.dialect === 'carpio') found.push(ok('sync key', 'the sync link is sealed'));
  const device = deviceOf(config.interfaces, sync.interface);
  const link = device === null ? undefined : facts.devices[device];
  if (device === null || !link) return found; // said already
  if (link.mtu !== null && link.mtu < sync.mtu) {
    const text = `${device} has MTU ${link.mtu}, but [sync] mtu = ${sync.mtu}`;
    found.push(error('sync mtu', text, `set [sync] mtu = ${link.mtu}, or ip link set ${device} mtu ${sync.mtu}`));
  }
  if (sync.peer === null) found.push(ok('sync peer', 'none named: found by multicast to 224.0.0.240'));
  else if (link.addresses) found.push(checkPeer(sync.peer, device, link));
  if (facts.path !== null && sync.peer !== null) found.push(checkPath(facts.path, sync.peer, sync.mtu));
  return found;
}
