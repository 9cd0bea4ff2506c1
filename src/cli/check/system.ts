/** The checks that need no configuration: privileges, kernel, connection tracking, nftables. Pure. */

import type { Config } from '../../config/types.ts';
import type { ProbeResult } from '../../contract/kernel-probe.ts';
import { error, type Finding, type Fix, ok, warning } from './finding.ts';
import type { ProbeName, SystemFacts } from './system-facts.ts';

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

const PROBES: Record<ProbeName, string> = {
  conntrackNetlink: 'conntrack netlink',
  nft: 'nftables',
  macvlan: 'macvlan',
  gate: 'gate',
  rawSocket: 'raw socket',
};

/** Kernel modules that the probes need; loading them is no risk. */
const MODULES: Record<ProbeName, readonly string[]> = {
  conntrackNetlink: ['nf_conntrack', 'nf_conntrack_netlink'],
  nft: ['nf_tables', 'nft_ct', 'nft_nat'],
  macvlan: ['macvlan'],
  gate: ['nf_tables'],
  rawSocket: [],
};

function modulesFor(name: ProbeName, found: string): Fix | null {
  const names = MODULES[name];
  return names.length === 0 || /EPERM|not permitted/.test(found) ? null : { kind: 'modules', names };
}

export function checkProbes(facts: SystemFacts): Finding[] {
  if (!facts.probes) return [];
  const entries = Object.entries(facts.probes) as [ProbeName, ProbeResult][];
  return entries.map(([name, { ok: good, found, mend }]) =>
    good ? ok(PROBES[name], found) : error(PROBES[name], found, mend, { fix: modulesFor(name, found) }),
  );
}

function checkEvents(value: number | undefined): Finding {
  const topic = 'conntrack events';
  const name = 'net.netfilter.nf_conntrack_events';
  if (value === undefined) return error(topic, `${name} is not there`, 'use a kernel with CONFIG_NF_CONNTRACK_EVENTS');
  if (value === 1) return ok(topic, 'on');
  const early = 'connections that begin before carpio run will not be followed';
  const more = { where: name, fix: { kind: 'sysctl', name, value: 1 } } as const;
  if (value === 2) return warning(topic, `${name} = 2 (only while somebody listens): ${early}`, setting(name, 1), more);
  return error(topic, `${name} = ${value}: the kernel says nothing about its connections`, setting(name, 1), more);
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
    const fix = { kind: 'modules', names: MODULES.conntrackNetlink } as const;
    return [error('conntrack', 'connection tracking is not in this kernel, or not loaded', mend, { fix })];
  }
  const found = [
    checkTableSize(max, sysctls['net.netfilter.nf_conntrack_count'], config),
    checkEvents(sysctls['net.netfilter.nf_conntrack_events']),
  ];
  const liberal = 'net.netfilter.nf_conntrack_tcp_be_liberal';
  if (sysctls[liberal] === 0) {
    const what =
      'a connection whose packets went through the peer for a while may be cut as out of window when it comes back';
    const more = { where: liberal, fix: { kind: 'sysctl', name: liberal, value: 1 } } as const;
    found.push(warning('tcp window', `${liberal} = 0: ${what}`, setting(liberal, 1), more));
  } else if (sysctls[liberal] !== undefined) found.push(ok('tcp window', 'liberal'));
  return found;
}

export function checkNft(facts: SystemFacts): Finding[] {
  if (facts.nft !== null) return [ok('nft program', facts.nft)];
  return [error('nft program', 'not found, so no rules can be loaded', 'apt-get install nftables')];
}

/** Whoever has made them. */
export function checkDrops(facts: SystemFacts): Finding[] {
  return (facts.drops ?? []).map(({ table, chain, what, by }) => {
    const mend = `let them pass there (meta l4proto { 112, 240 } accept), or take it away: nft delete table ${table}`;
    return error('nftables rules', `table ${table}, chain ${chain} drops ${what} (${by})`, mend, { where: table });
  });
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

/** A second program that moves addresses or mirrors states: both would undo what the other does. */
export function checkRivals(facts: SystemFacts): Finding[] {
  return facts.rivals.map((name) =>
    warning(name, 'runs here too', `systemctl disable --now ${name}, before carpio run is to do its work`),
  );
}

/** Who may read a secret, and who may put another in its place. */
export function checkFiles(facts: SystemFacts): Finding[] {
  return facts.files.map(({ path, what, mode }) => {
    const more = { where: path, fix: { kind: 'mode', path, mode: mode & 0o740 } } as const;
    const shown = `${path}: mode ${mode.toString(8).padStart(4, '0')}`;
    const mend = `chmod ${(mode & 0o740).toString(8)} ${path}`;
    if ((mode & 0o022) !== 0) return error(what, `${shown}: others than its owner can change it`, mend, more);
    if ((mode & 0o004) !== 0) return warning(what, `${shown}: everybody on this machine can read it`, mend, more);
    return ok(what, shown, { where: path });
  });
}

/** The kernel's queue for connection events. With CAP_NET_ADMIN the limit does not count. */
export function checkBuffers(facts: SystemFacts, config: Config | null): Finding[] {
  const most = facts.sysctls['net.core.rmem_max'];
  const wanted = config?.sync?.event_buffer;
  if (most === undefined || wanted === undefined || facts.capabilities?.net_admin !== false || most >= wanted)
    return [];
  const found = `net.core.rmem_max = ${most}, but [sync] event_buffer = ${wanted}: bursts of connections overrun it`;
  return [warning('event buffer', found, setting('net.core.rmem_max', wanted), { where: 'net.core.rmem_max' })];
}

/** Logs, feeds and certificates of a box that thinks it is 1970 are of no use; CARP and sync do not mind. */
const EARLIEST = Date.UTC(2025, 0, 1);

export function checkClock(facts: SystemFacts): Finding[] {
  const shown = new Date(facts.clock).toISOString().slice(0, 19);
  if (facts.clock >= EARLIEST) return [ok('clock', `${shown} UTC`)];
  return [warning('clock', `${shown} UTC cannot be right`, 'let a clock service run: apt-get install chrony')];
}
