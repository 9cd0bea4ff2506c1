/** Gathers the facts for `carpio check` from /proc, /sys and the probes. Changes nothing and never throws. */

import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces, release } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_CONFIG } from '../config/default-paths.ts';
import { loadConfig } from '../config/load.ts';
import type { KernelProbe, ProbeResult } from './kernel-probe.ts';
import type { DeviceFacts, SystemFacts } from './system-facts.ts';

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
];

const DEVICE_SYSCTLS = ['rp_filter', 'arp_ignore'];

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
  };
}

const PROGRAM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Looks where the service looks too: a login shell of an ordinary user has no /usr/sbin. */
function findProgram(name: string): string | null {
  for (const dir of `${process.env.PATH ?? ''}:${PROGRAM_PATH}`.split(':')) {
    const path = join(dir, name);
    try {
      if (dir.startsWith('/')) accessSync(path, constants.X_OK);
      else continue;
      return path;
    } catch {
      // not there
    }
  }
  return null;
}

async function runProbes(load: () => Promise<KernelProbe>): Promise<SystemFacts['probes']> {
  const attempt = async (act: () => Promise<ProbeResult>): Promise<ProbeResult> => {
    try {
      return await act();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { ok: false, found: `could not be tried: ${message.split('\n')[0]}`, mend: null };
    }
  };
  return {
    conntrackNetlink: await attempt(async () => (await load()).conntrackNetlink()),
    nft: await attempt(async () => (await load()).nft()),
    macvlan: await attempt(async () => (await load()).macvlan()),
    rawSocket: await attempt(async () => (await load()).rawSocket()),
  };
}

/** @param named the file that the user named, or `null` for the default one */
export async function gatherFacts(named: string | null, probe: () => Promise<KernelProbe>): Promise<SystemFacts> {
  const configPath = named ?? DEFAULT_CONFIG;
  const names = deviceNames();
  const sysfs = sysfsIsOurs(names);
  return {
    uid: process.getuid?.() ?? -1,
    capabilities: readCapabilities(),
    kernel: release(),
    sysctls: readSysctls(names),
    devices: Object.fromEntries(names.map((name) => [name, readDevice(name, sysfs)])),
    nft: findProgram('nft'),
    configPath,
    configNamed: named !== null || existsSync(configPath),
    config: loadConfig(configPath),
    probes: await runProbes(probe),
  };
}
