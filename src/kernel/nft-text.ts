/** The nftables text that this product writes itself: its own table, the roles as variables, the guards. Pure. */
import type { BaseChain } from './nft.ts';

/** family and name of the table that is ours alone */
export const OWN_TABLE = { family: 'inet', name: 'carpio' } as const;
export const GUARD_COMMENT = 'carpio';

const CARP = 112;
const SYNC = 240;

export interface TableOptions {
  /** devices that adverts come in on or go out on: the NICs with a vhid, and the macvlans on them */
  readonly carpDevices: readonly string[];
  readonly syncDevice: string | null;
  /** adverts and probes a second that one host may send */
  readonly senderRate?: number;
  /** TCP ports of the pair's own channel on the sync device: not tracked either */
  readonly peerPorts?: readonly number[];
}

/** What one host with a few vhids may send in a second, many times over. */
const SENDER_RATE = 400;
/** What all hosts together may send that were not heard in the last quarter of an hour. */
const STRANGERS_RATE = 100;

/** A device name as nft takes it. A `*` at the end would be a wildcard, a quote would end the string. */
export function quoteDevice(name: string): string {
  if (!/^[\x21-\x7e]{1,15}$/.test(name) || /["\\*/]/.test(name)) {
    throw new Error(
      `device name ${JSON.stringify(name)} cannot be used in nftables rules (no quotes, *, \\ or spaces)`,
    );
  }
  return `"${name}"`;
}

const setOf = (devices: readonly string[]): string => `{ ${devices.map(quoteDevice).join(', ')} }`;

/**
 * The table `inet carpio`, made anew within one transaction, whether it was there before or not.
 *
 * - Adverts (protocol 112) only on the CARP devices, sync (240) only on the sync device, both with TTL 255 only:
 *   nothing
 *   from beyond a router. A drop is final in nftables, whatever other tables say. (An accept is not: see guardInserts.)
 * - Of protocol 240, probes and their answers (liveness/probe/packet.ts: kinds 3 and 4) may also come in on the CARP
 *   devices.
 * - Each host has a budget of adverts and probes, and all hosts that were not heard lately have one together: what is
 *   over it never wakes the daemon, whose election runs at real-time priority. The peer is known, so a flood from
 *   forged addresses takes nothing from it.
 * - None of them is tracked.
 * - An empty nat chain keeps the NAT hooks registered, so that a mirrored state with NAT translates at once after a
 *   take-over; the rule with `ct` keeps connection tracking on. Both hold also without any rules of the user.
 *
 * @param counters the table with the counters as they were, to go on counting from (nft-keep.ts)
 */
export function carpioTable(options: TableOptions, counters = ''): string {
  const { carpDevices, syncDevice } = options;
  const elements = carpDevices.length === 0 ? '' : ` elements = ${setOf(carpDevices)};`;
  const fromSync = syncDevice === null ? '' : `iifname != ${quoteDevice(syncDevice)} `;
  const untracked = (direction: 'i' | 'o'): string =>
    [
      `\t\tmeta l4proto { ${CARP}, ${SYNC} } notrack`,
      ...(syncDevice === null ? [] : (options.peerPorts ?? [])).flatMap((port) =>
        ['dport', 'sport'].map(
          (side) => `\t\t${direction}ifname ${quoteDevice(syncDevice!)} tcp ${side} ${port} notrack`,
        ),
      ),
    ].join('\n');
  return `table inet carpio
delete table inet carpio
${counters}table inet carpio {
	set carp_devices { type ifname;${elements} }
	counter carp_device { comment "adverts on a device without CARP" }
	counter carp_ttl { comment "adverts with a TTL other than 255" }
	counter sync_device { comment "sync packets on another device" }
	counter channel_device { comment "peer channel from another device" }
	counter sync_ttl { comment "sync packets with a TTL other than 255" }
	counter ct_invalid { comment "forwarded packets that fit no connection" }
	counter carp_flood { comment "adverts and probes beyond a host's budget" }
${crowdSets()}
	chain raw_in {
		type filter hook prerouting priority raw; policy accept;
${untracked('i')}
	}
	chain raw_out {
		type filter hook output priority raw; policy accept;
${untracked('o')}
	}
	chain input {
		type filter hook input priority filter - 10; policy accept;
		meta l4proto ${CARP} jump carp_in
		meta l4proto ${SYNC} jump sync_in
${channelDoor(options)}	}
	chain carp_in {
		iifname != @carp_devices counter name carp_device drop
		ip ttl != 255 counter name carp_ttl drop
		ip6 hoplimit != 255 counter name carp_ttl drop
		jump crowd
	}
${crowdChains(options.senderRate ?? SENDER_RATE)}
	chain sync_in {
		iifname @carp_devices @th,0,16 0xca12 @th,24,8 { 3, 4 } goto probe_in
		${fromSync}counter name sync_device drop
		ip ttl != 255 counter name sync_ttl drop
		ip6 hoplimit != 255 counter name sync_ttl drop
	}
	chain probe_in {
		ip ttl != 255 counter name sync_ttl drop
		ip6 hoplimit != 255 counter name sync_ttl drop
		jump crowd
	}
	chain tracking {
		type filter hook forward priority filter - 10; policy accept;
		ct state invalid counter name ct_invalid
	}
	chain nat_hook {
		type nat hook postrouting priority srcnat + 10; policy accept;
	}
}
`;
}

const FAMILIES = [
  { v: 4, type: 'ipv4_addr', key: 'ip saddr' },
  { v: 6, type: 'ipv6_addr', key: 'ip6 saddr' },
] as const;

const crowdSets = (): string =>
  FAMILIES.map(
    ({ v, type }) => `	set carp_known${v} { type ${type}; size 4096; flags dynamic, timeout; timeout 15m; }
	set carp_rate${v} { type ${type}; size 4096; flags dynamic, timeout; timeout 1m; }`,
  ).join('\n');

/** A full set takes nobody in: then strangers stay strangers, and share their budget. */
function crowdChains(rate: number): string {
  const lines = (line: (family: (typeof FAMILIES)[number]) => string): string => FAMILIES.map(line).join('\n');
  return `	chain crowd {
${lines(({ v, key }) => `		${key} @carp_known${v} goto crowd_known`)}
		limit rate over ${STRANGERS_RATE}/second burst ${4 * STRANGERS_RATE} packets counter name carp_flood drop
${lines(({ v, key }) => `		add @carp_known${v} { ${key} }`)}
	}
	chain crowd_known {
${lines(({ v, key }) => `		update @carp_known${v} { ${key} }`)}
${lines(
  ({ v, key }) =>
    `		update @carp_rate${v} { ${key} limit rate over ${rate}/second burst ${2 * rate} packets } counter name carp_flood drop`,
)}
	}`;
}

/**
 * The peer channel listens on an address of the sync device; Linux would answer for that address on any other device
 * too.
 */
function channelDoor({ syncDevice, peerPorts }: TableOptions): string {
  if (syncDevice === null || peerPorts === undefined || peerPorts.length === 0) return '';
  const elsewhere = `iifname != { "lo", ${quoteDevice(syncDevice)} }`;
  return `\t\t${elsewhere} tcp dport { ${peerPorts.join(', ')} } counter name channel_device drop\n`;
}

/** Removes the table, also when it is not there. */
export const REMOVE_OWN_TABLE = 'table inet carpio\ndelete table inet carpio\n';

/**
 * One line a role: `define wan = { "eth0", "carp1-wan" }`, for `iifname $wan`.
 * @param roles role -> its devices, at least one each
 */
export function roleDefines(roles: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(roles)
    .filter(([, devices]) => devices.length > 0)
    .map(([role, devices]) => `define ${role} = ${setOf(devices)}\n`)
    .join('');
}

const GUARDED_FAMILIES = new Set(['inet', 'ip', 'ip6']);
const GUARDED_HOOKS = new Set(['input', 'output']);

/** Chains of a kind that could drop adverts or sync packets with their policy or rules. */
export function guardable(chains: readonly BaseChain[]): BaseChain[] {
  return chains.filter(
    (chain) =>
      chain.type === 'filter' &&
      GUARDED_FAMILIES.has(chain.family) &&
      GUARDED_HOOKS.has(chain.hook) &&
      !(chain.family === OWN_TABLE.family && chain.table === OWN_TABLE.name),
  );
}

/**
 * Rules at the head of the user's own input and output chains that let adverts and sync packets pass: an accept in our
 * table does not override a drop in another one, and a firewall with `policy drop` that forgets protocol 112 would
 * silence CARP. TTL and devices were checked in our own table before.
 */
export function guardInserts(chains: readonly BaseChain[], options: TableOptions): string {
  return guardable(chains)
    .map((chain) => {
      const where = `insert rule ${chain.family} ${chain.table} ${chain.name}`;
      const side = chain.hook === 'input' ? 'iifname' : 'oifname';
      const rule = (devices: readonly string[], match: string): string =>
        `${where} ${side} ${setOf(devices)} ${match} accept comment "${GUARD_COMMENT}"\n`;
      const { carpDevices, syncDevice } = options;
      const ports = options.peerPorts ?? [];
      return (
        (carpDevices.length === 0 ? '' : rule(carpDevices, `meta l4proto { ${CARP}, ${SYNC} }`)) +
        (syncDevice === null ? '' : rule([syncDevice], `meta l4proto ${SYNC}`)) +
        (syncDevice === null ? [] : ports)
          .flatMap((port) => ['dport', 'sport'].map((end) => rule([syncDevice!], `tcp ${end} ${port}`)))
          .join('')
      );
    })
    .join('');
}
