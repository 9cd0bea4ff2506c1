/** The checks that need no configuration: privileges, kernel, connection tracking, nftables. Pure. */

import type { Config } from '../config/types.ts';
import { error, type Finding, ok, warning } from './finding.ts';
import type { KernelProbe, ProbeResult } from './kernel-probe.ts';
import type { SystemFacts } from './system-facts.ts';

/** The oldest kernel series that is meant to work; Debian 10's. */
const OLDEST_KERNEL = [4, 19] as const;

const setting = (name: string, value: number) =>
  `sysctl -w ${name}=${value}, and put it in /etc/sysctl.d/ so that it holds after a restart`;

export function checkPrivileges(facts: SystemFacts): Finding[] {
  const { capabilities: caps, uid } = facts;
  const topic = 'privileges';
  if (!caps) return [warning(topic, 'could not read /proc/self/status', 'mount /proc')];
  const missing = [!caps.net_admin && 'CAP_NET_ADMIN', !caps.net_raw && 'CAP_NET_RAW'].filter((name) => name !== false);
  if (missing.length === 0) return [ok(topic, `uid ${uid} with CAP_NET_ADMIN and CAP_NET_RAW`)];
  const mend = 'run it as root, or give the service AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW';
  return [error(topic, `uid ${uid} without ${missing.join(' and ')}`, mend)];
}

export function checkKernel(facts: SystemFacts): Finding[] {
  const [, major, minor] = /^([0-9]+)\.([0-9]+)/.exec(facts.kernel) ?? [];
  const [wantMajor, wantMinor] = OLDEST_KERNEL;
  const old = Number(major) < wantMajor || (Number(major) === wantMajor && Number(minor) < wantMinor);
  if (major === undefined || old) {
    return [warning('kernel', `Linux ${facts.kernel}`, `not tried on kernels older than ${OLDEST_KERNEL.join('.')}`)];
  }
  return [ok('kernel', `Linux ${facts.kernel}`)];
}

const PROBES: Record<keyof KernelProbe, string> = {
  conntrackNetlink: 'conntrack netlink',
  nft: 'nftables',
  macvlan: 'macvlan',
  rawSocket: 'raw socket',
};

export function checkProbes(facts: SystemFacts): Finding[] {
  if (!facts.probes) return [];
  const entries = Object.entries(facts.probes) as [keyof KernelProbe, ProbeResult][];
  return entries.map(([name, { ok: good, found, mend }]) =>
    good ? ok(PROBES[name], found) : error(PROBES[name], found, mend),
  );
}

function checkEvents(value: number | undefined): Finding {
  const topic = 'conntrack events';
  const name = 'net.netfilter.nf_conntrack_events';
  if (value === undefined) return error(topic, `${name} is not there`, 'use a kernel with CONFIG_NF_CONNTRACK_EVENTS');
  if (value === 1) return ok(topic, 'on');
  const early = 'connections that begin before carpio run will not be followed';
  if (value === 2) return warning(topic, `${name} = 2 (only while somebody listens): ${early}`, setting(name, 1));
  return error(topic, `${name} = ${value}: the kernel says nothing about its connections`, setting(name, 1));
}

function checkTableSize(max: number, count: number | undefined, config: Config | null): Finding {
  const topic = 'conntrack table';
  const name = 'net.netfilter.nf_conntrack_max';
  const text = `${count ?? '?'} of ${max} connections`;
  if (count !== undefined && count > max * 0.9) return warning(topic, `${text}: nearly full`, setting(name, 2 * max));
  const mirror = config?.sync?.max_states;
  if (mirror !== undefined && max > mirror) {
    const found = `${text}, but [sync] max_states = ${mirror}: what is beyond is not synced`;
    return warning(topic, found, `raise max_states to ${max}, or lower ${name}`);
  }
  return ok(topic, text);
}

export function checkConntrack(facts: SystemFacts, config: Config | null): Finding[] {
  const { sysctls } = facts;
  const max = sysctls['net.netfilter.nf_conntrack_max'];
  if (max === undefined) {
    const mend = 'modprobe nf_conntrack, and put nf_conntrack in /etc/modules-load.d/carpio.conf';
    return [error('conntrack', 'connection tracking is not in this kernel, or not loaded', mend)];
  }
  const found = [
    checkTableSize(max, sysctls['net.netfilter.nf_conntrack_count'], config),
    checkEvents(sysctls['net.netfilter.nf_conntrack_events']),
  ];
  const liberal = 'net.netfilter.nf_conntrack_tcp_be_liberal';
  if (sysctls[liberal] === 0) {
    const what =
      'a connection whose packets went through the peer for a while may be cut as out of window when it comes back';
    found.push(warning('tcp window', `${liberal} = 0: ${what}`, setting(liberal, 1)));
  } else if (sysctls[liberal] !== undefined) found.push(ok('tcp window', 'liberal'));
  return found;
}

export function checkNft(facts: SystemFacts): Finding[] {
  if (facts.nft !== null) return [ok('nft program', facts.nft)];
  return [error('nft program', 'not found, so no rules can be loaded', 'apt-get install nftables')];
}

export function checkForwarding(facts: SystemFacts, config: Config | null): Finding[] {
  const names: [string, string, boolean][] = [['IPv4', 'net.ipv4.ip_forward', true]];
  const v6 = config?.vip.some((vip) => vip.addresses.some((address) => address.includes(':'))) ?? false;
  names.push(['IPv6', 'net.ipv6.conf.all.forwarding', v6]);
  return names.flatMap(([family, name, wanted]) => {
    const topic = `${family} forwarding`;
    if (!wanted) return [];
    if (facts.sysctls[name] === 1) return [ok(topic, 'on')];
    if (config?.firewall?.forward) return [ok(topic, 'off now; carpio run switches it on ([firewall] forward)')];
    return [
      warning(
        topic,
        `${name} is off: this box forwards nothing`,
        `set [firewall] forward = true, or ${setting(name, 1)}`,
      ),
    ];
  });
}
