/**
 * The nftables text of the gate: the table `netdev carpio_gate`. Pure.
 *
 * A gate is an element of the set `alive`. The daemon renews it by a beat, a frame on the loopback device that carries
 * the virtual host's secret mark; without a beat the kernel removes the element after `GATE.timeoutUs`. The chains of
 * the virtual device let packets pass only while the element is there.
 *
 * `meta mark & 0 ^ KEY` is how a rule compares a constant with a set: it computes KEY from the packet's mark without
 * changing that mark, which may belong to the user's queues or policy routes.
 */
import { GATE } from '../contract/carp-timers.ts';
import { quoteDevice } from '../kernel/nft-text.ts';
import { formatIp, type Prefix } from '../net/ip.ts';

/** EtherTypes of the beats, from IEEE 802's range for local experiments: they never leave the loopback device. */
export const BEAT_OPEN = 0x88b5;
export const BEAT_CLOSE = 0x88b6;

export const GATE_TABLE = { family: 'netdev', name: 'carpio_gate' } as const;
const TABLE = `${GATE_TABLE.family} ${GATE_TABLE.name}`;
/**
 * Twice what one node may have of vhids: a gate that closes and opens again within one life of an element needs two.
 */
const SET_SIZE = 4096;

/** A virtual host as the gate sees it. */
export interface GatedHost {
  /** 32 bits, not 0; secret, another one in each run of the daemon */
  readonly mark: number;
  /** Another such mark: for what is forwarded only, while the peer's gate has still to close. */
  readonly passMark: number;
  readonly mode: 'virtual' | 'physical';
  /** the macvlan, or in mode `physical` the NIC */
  readonly device: string;
  readonly addresses: readonly Prefix[];
}

export const REMOVE_GATE = `table ${TABLE}\ndelete table ${TABLE}\n`;

/**
 * The whole table anew, in one transaction with the removal of the one before. The devices must exist when it is
 * loaded.
 * @param open marks of the gates that are open now: they stay so for one life of an element, until the next beat
 * @throws Error when a device's name cannot be written in a rule
 */
export function gateTable(hosts: readonly GatedHost[], open: readonly number[] = []): string {
  const life = `timeout ${GATE.timeoutUs / 1000}ms`;
  const carried = open.map((mark) => `add element ${TABLE} alive { ${hex(mark)} ${life} }\n`);
  return `${REMOVE_GATE}table ${TABLE} {
	set keys {
		type mark
	}
	set alive {
		type mark
		flags dynamic,timeout
		timeout ${GATE.timeoutUs / 1000}ms
		size ${SET_SIZE}
	}
	set passing_keys {
		type mark
	}
	set passing {
		type mark
		flags dynamic,timeout
		timeout ${GATE.timeoutUs / 1000}ms
		size ${SET_SIZE}
	}
	counter closed { comment "packets that met a closed gate" }
	chain beat {
		type filter hook ingress device "lo" priority -500; policy accept;
		meta protocol ${hex(BEAT_OPEN)} meta mark @keys update @alive { meta mark }
		meta protocol ${hex(BEAT_CLOSE)} meta mark @keys delete @alive { meta mark }
		meta protocol ${hex(BEAT_OPEN)} meta mark @passing_keys update @passing { meta mark }
		meta protocol ${hex(BEAT_CLOSE)} meta mark @passing_keys delete @passing { meta mark }
	}
}
${content(hosts)}${carried.join('')}`;
}

/**
 * Other hosts in a table that stands: the set of open gates stays as it is, so that no packet meets a gate that is
 * closed by mistake. Fails when a chain of before is gone, because its device is.
 * @param before what is in the table
 */
export function gateInPlace(before: readonly GatedHost[], hosts: readonly GatedHost[]): string {
  const gone = chains(before).map(({ name }) => `delete chain ${TABLE} ${name}\n`);
  return `flush set ${TABLE} keys\nflush set ${TABLE} passing_keys\n${gone.join('')}${content(hosts)}`;
}

function content(hosts: readonly GatedHost[]): string {
  if (hosts.length === 0) return '';
  const keys = hosts.map(({ mark }) => hex(mark)).join(', ');
  const passing = hosts.map(({ passMark }) => hex(passMark)).join(', ');
  const text = chains(hosts).map((one) => one.text);
  return `add element ${TABLE} keys { ${keys} }\nadd element ${TABLE} passing_keys { ${passing} }\ntable ${TABLE} {\n${text.join('')}}\n`;
}

interface Chain {
  readonly name: string;
  readonly text: string;
}

/** The gate's chains on each device, in a fixed order. */
function chains(hosts: readonly GatedHost[]): Chain[] {
  const devices = [...new Set(hosts.map(({ device }) => device))];
  return devices.flatMap((device, i) => {
    const here = hosts.filter((host) => host.device === device);
    const [incoming, outgoing] = [here.flatMap(rulesIn), here.flatMap(rulesOut)];
    return [chain(`in_${i}`, 'ingress', device, incoming), chain(`out_${i}`, 'egress', device, outgoing)];
  });
}

function chain(name: string, hook: 'ingress' | 'egress', device: string, rules: readonly string[]): Chain {
  const head = `type filter hook ${hook} device ${quoteDevice(device)} priority -500; policy accept;`;
  return { name, text: `\tchain ${name} {\n\t\t${head}\n${rules.map((rule) => `\t\t${rule}\n`).join('')}\t}\n` };
}

const isOpen = ({ mark }: GatedHost): string => `meta mark & 0x0 ^ ${hex(mark)} @alive`;
const isClosed = ({ mark }: GatedHost): string => `meta mark & 0x0 ^ ${hex(mark)} != @alive`;
const DROP = 'counter name closed drop';

function rulesIn(host: GatedHost): string[] {
  if (host.mode === 'virtual') return [`${isOpen(host)} accept`, forwarded(host), DROP];
  return host.addresses.flatMap(({ bytes }) => {
    const to =
      bytes.length === 4 ? [`ip daddr ${formatIp(bytes)}`, `arp daddr ip ${formatIp(bytes)}`] : solicited(bytes);
    return to.map((match) => `${match} ${isClosed(host)} ${DROP}`);
  });
}

/**
 * Unicast IP to the virtual MAC passes a gate that waits. The addresses are not on the device yet, so nothing is
 * answered; what is addressed to them, and no NAT translates, is on its way to nobody.
 */
const forwarded = ({ passMark }: GatedHost): string =>
  `meta pkttype host meta protocol { ip, ip6 } meta mark & 0x0 ^ ${hex(passMark)} @passing accept`;

/** RFC 4861 section 4.3: a solicitation goes to a multicast group; its target is 8 bytes into the ICMPv6 message. */
function solicited(bytes: Uint8Array): string[] {
  return [`ip6 daddr ${formatIp(bytes)}`, `icmpv6 type nd-neighbor-solicit ${target(bytes)}`];
}

function rulesOut(host: GatedHost): string[] {
  // An advertisement is how the node speaks of its role: the bow-out leaves after the gate has closed.
  if (host.mode === 'virtual')
    return ['ip protocol 112 accept', 'ip6 nexthdr 112 accept', `${isOpen(host)} accept`, DROP];
  return host.addresses.flatMap(({ bytes }) => {
    const text = formatIp(bytes);
    const from =
      bytes.length === 4
        ? [`ip saddr ${text}`, `arp saddr ip ${text}`]
        : [`ip6 saddr ${text}`, `icmpv6 type nd-neighbor-advert ${target(bytes)}`];
    return from.map((match) => `${match} ${isClosed(host)} ${DROP}`);
  });
}

/** The target address of a neighbour solicitation or advertisement: behind 40 bytes of IPv6 and 8 of ICMPv6. */
const target = (bytes: Uint8Array): string => `@nh,384,128 0x${Buffer.from(bytes).toString('hex')}`;

const hex = (value: number): string => `0x${value.toString(16)}`;
