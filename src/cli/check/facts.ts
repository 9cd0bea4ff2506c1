/** Gathers the facts for `carpio check` from /proc, /sys and the probes. Changes nothing and never throws. */

import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';
import { basename } from 'node:path';
import { DEFAULT_CONFIG } from '../../config/default-paths.ts';
import { deviceOf } from '../../config/devices.ts';
import { type LoadResult, loadConfig } from '../../config/load.ts';
import type { Config } from '../../config/types.ts';
import type { KernelProbe, PathFacts, ProbeResult } from '../../contract/kernel-probe.ts';
import { messageOf } from '../../contract/message-of.ts';
import { findProgram } from '../../kernel/programs.ts';
import type { DeviceFacts, FileFacts, NodeFacts, SystemFacts } from './system-facts.ts';

/** Bits of linux/capability.h. */
const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;

const SYSCTLS = [
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_count',
  'net.netfilter.nf_conntrack_events',
  'net.netfilter.nf_conntrack_tcp_be_liberal',
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.conf.all.arp_ignore',
  'net.ipv4.conf.all.arp_announce',
  'net.core.rmem_max',
  'net.bridge.bridge-nf-call-iptables',
  'net.bridge.bridge-nf-call-ip6tables',
];

const DEVICE_SYSCTLS = ['rp_filter', 'arp_ignore', 'arp_announce'];

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return null;
  }
}

function readNumber(path: string): number | null {
  const text = read(path);
  return text !== null && /^-?[0-9]+$/.test(text) ? Number(text) : null;
}

function readSysctls(devices: readonly string[]): Record<string, number> {
  const values: Record<string, number> = {};
  const take = (name: string, path: string) => {
    const value = readNumber(`/proc/sys/${path}`);
    if (value !== null) values[name] = value;
  };
  for (const name of SYSCTLS) take(name, name.replaceAll('.', '/'));
  // Not by the dotted name: a device may have dots in its own (eth0.100).
  for (const device of devices) {
    for (const leaf of DEVICE_SYSCTLS) take(`net.ipv4.conf.${device}.${leaf}`, `net/ipv4/conf/${device}/${leaf}`);
  }
  return values;
}

function readCapabilities(): SystemFacts['capabilities'] {
  const match = /^CapEff:\s*([0-9a-fA-F]+)$/m.exec(read('/proc/self/status') ?? '');
  if (!match) return null;
  const bits = BigInt(`0x${match[1]}`);
  const has = (bit: bigint) => ((bits >> bit) & 1n) === 1n;
  return { net_admin: has(CAP_NET_ADMIN), net_raw: has(CAP_NET_RAW) };
}

/** The devices of this network namespace; /proc/net follows the process, /sys may show another namespace's. */
function deviceNames(): string[] {
  const lines = (read('/proc/net/dev') ?? '').split('\n').slice(2);
  return lines.map((line) => line.slice(0, line.lastIndexOf(':')).trim()).filter((name) => name !== '');
}

function sysfsIsOurs(names: readonly string[]): boolean {
  try {
    const shown = readdirSync('/sys/class/net');
    return names.every((name) => shown.includes(name));
  } catch {
    return false;
  }
}

function readDevice(name: string, sysfs: boolean): DeviceFacts {
  const file = (leaf: string) => (sysfs ? `/sys/class/net/${name}/${leaf}` : '');
  const carrier = readNumber(file('carrier'));
  const addresses = networkInterfaces()[name]?.flatMap(({ cidr }) => (cidr === null ? [] : [cidr])) ?? null;
  return {
    operstate: read(file('operstate')),
    carrier: carrier === null ? null : carrier === 1,
    mtu: readNumber(file('mtu')),
    addresses,
    odd: oddities(file),
  };
}

/** linux/if.h */
const IFF_MULTICAST = 0x1000;

function oddities(file: (leaf: string) => string): NonNullable<DeviceFacts['odd']> {
  const flags = Number(read(file('flags')) ?? Number.NaN);
  const master = linkName(file('master'));
  return {
    ...(Number.isInteger(flags) && (flags & IFF_MULTICAST) === 0 ? { noMulticast: true } : {}),
    ...(existsSync(file('bridge')) ? { bridge: true } : {}),
    ...(master === null ? {} : { master }),
    ...(existsSync(file('wireless')) || existsSync(file('phy80211')) ? { wireless: true } : {}),
    ...(read(file('duplex')) === 'half' ? { halfDuplex: true } : {}),
  };
}

function linkName(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}

async function runProbes(load: () => Promise<KernelProbe>): Promise<SystemFacts['probes']> {
  const attempt = async (act: () => Promise<ProbeResult>): Promise<ProbeResult> => {
    try {
      return await act();
    } catch (error) {
      const message = messageOf(error);
      return { ok: false, found: `could not be tried: ${message.split('\n')[0]}`, mend: null };
    }
  };
  return {
    conntrackNetlink: await attempt(async () => (await load()).conntrackNetlink()),
    nft: await attempt(async () => (await load()).nft()),
    macvlan: await attempt(async () => (await load()).macvlan()),
    gate: await attempt(async () => (await load()).gate()),
    rawSocket: await attempt(async () => (await load()).rawSocket()),
  };
}

/**
 * The files of a configuration that hold a secret. Those that cannot be looked at are the loader's to complain about.
 */
function secretFiles(path: string, config: Config): FileFacts[] {
  const named: [string | null | undefined, string][] = [
    [config.sync?.key_file, "the pair's key"],
    ...config.vip.map((vip): [string | null, string] => [vip.password_file, "CARP's password"]),
    [config.feed?.token_file, "the feed's token"],
    [config.feed?.tls?.key, "the feed's TLS key"],
    // A password in the file itself: vip has no password_file then.
    [config.vip.some((vip) => vip.password_file === null) ? path : null, 'the configuration, with a password in it'],
  ];
  const files = new Map<string, FileFacts>();
  for (const [file, what] of named) {
    if (!file || files.has(file)) continue;
    try {
      files.set(file, { path: file, what, mode: statSync(file).mode & 0o777 });
    } catch {
      // not there
    }
  }
  return [...files.values()];
}

/** Programs that also move addresses or mirror states. */
const RIVALS = ['keepalived', 'conntrackd', 'ucarp', 'vrrpd', 'heartbeat', 'corosync'];

/** Those of them that run in this network namespace. */
function rivals(): string[] {
  const own = linkName('/proc/self/ns/net');
  const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  const names = pids.flatMap((pid) => {
    const name = read(`/proc/${pid}/comm`);
    return name !== null && RIVALS.includes(name) && linkName(`/proc/${pid}/ns/net`) === own ? [name] : [];
  });
  return [...new Set(names)];
}

/** On the sync link, when no node runs that could measure itself and the peer too. */
async function trySync(load: () => Promise<KernelProbe>, result: LoadResult, devices: SystemFacts['devices']) {
  const sync = result.ok ? result.config.sync : null;
  if (!result.ok || !sync || sync.peer === null || sync.peer.includes(':')) return null;
  const device = deviceOf(result.config.interfaces, sync.interface);
  if (device === null || !devices[device]?.addresses?.length) return null;
  try {
    return await (await load()).syncPath(device, sync.peer, sync.mtu);
  } catch (error) {
    return { largest: null, rtt_ms: null, failed: messageOf(error) };
  }
}

/** `undefined`: nft cannot be asked here, which another line says. */
async function findDrops(load: () => Promise<KernelProbe>, peer: string | null): Promise<SystemFacts['drops']> {
  try {
    return await (await load()).drops?.(peer === null ? [] : [peer]);
  } catch {
    return undefined;
  }
}

interface FactSources {
  /** The file that the user named, or `null` for the default one. */
  named: string | null;
  probe(): Promise<KernelProbe>;
  /** Asks the running node at this control socket; `null`: none runs. */
  node(socket: string): Promise<NodeFacts | null>;
  now(): number;
}

/** Never throws. */
export async function gatherFacts({ named, probe, node, now }: FactSources): Promise<SystemFacts> {
  const configPath = named ?? DEFAULT_CONFIG;
  const names = deviceNames();
  const sysfs = sysfsIsOurs(names);
  const config = loadConfig(configPath);
  const devices = Object.fromEntries(names.map((name) => [name, readDevice(name, sysfs)]));
  const probes = await runProbes(probe);
  const running = config.ok ? await node(config.config.node.control) : null;
  const path: PathFacts | null = running === null ? await trySync(probe, config, devices) : null;
  const peer = config.ok ? (config.config.sync?.peer ?? null) : null;
  const drops = await findDrops(probe, peer);
  return {
    ...(drops === undefined ? {} : { drops }),
    uid: process.getuid?.() ?? -1,
    capabilities: readCapabilities(),
    kernel: release(),
    sysctls: readSysctls(names),
    devices,
    nft: findProgram('nft'),
    configPath,
    configNamed: named !== null || existsSync(configPath),
    config,
    probes,
    files: config.ok ? secretFiles(configPath, config.config) : [],
    rivals: rivals(),
    node: running,
    path,
    clock: now(),
  };
}
