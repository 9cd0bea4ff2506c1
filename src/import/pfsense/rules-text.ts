/** The rules file of a pfSense/OPNsense import. Pure. */

import { networkOf, parseCidr, sameNetwork } from '../../net/cidr.ts';
import { oneLine } from '../ledger.ts';
import type { Chains } from './filter.ts';
import type { NatChains } from './nat.ts';
import type { PfInterface, World } from './world.ts';

/** Sources that pfSense's "block private networks" names. */
const PRIVATE = { 4: ['10.0.0.0/8', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], 6: ['fc00::/7'] } as const;
/** Sources that no packet from outside can have; the changing part of the bogon list is not here. */
const BOGONS = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '240.0.0.0/4',
];

/** Elements on a line of a set. */
const PER_LINE = 8;

const indent = (lines: readonly string[]) => lines.map((line) => `\t\t${line}\n`).join('');

function setsText(world: World): string {
  return world
    .sets()
    .map(({ name, type, elements, note }) => {
      const rows: string[] = [];
      for (let i = 0; i < elements.length; i += PER_LINE)
        rows.push(`\t\t\t${elements.slice(i, i + PER_LINE).join(', ')}`);
      return `\t# ${oneLine(note, 120)}\n\tset ${name} {\n\t\ttype ${type}\n\t\tflags interval\n\t\tauto-merge\n\t\telements = {\n${rows.join(',\n')}\n\t\t}\n\t}\n`;
    })
    .join('');
}

/** The bogons, less those that this interface is in itself (a test network, say). */
function blockLines(one: PfInterface): string[] {
  const own = one.networks.filter((net) => net.family === 4);
  const foreign = (text: string) => {
    const net = parseCidr(text)!;
    return !own.some(
      (mine) => sameNetwork(mine, net, Math.min(mine.prefix, net.prefix)) && networkOf(mine).prefix >= 0,
    );
  };
  const privates = PRIVATE[4].filter(foreign);
  const bogons = BOGONS.filter(foreign);
  return [
    ...(one.blockPrivate && privates.length > 0
      ? [`iifname $${one.role} ip saddr { ${privates.join(', ')} } drop comment "private networks"`]
      : []),
    ...(one.blockPrivate
      ? [`iifname $${one.role} ip6 saddr { ${PRIVATE[6].join(', ')} } drop comment "private networks"`]
      : []),
    ...(one.blockBogons ? [`iifname $${one.role} ip saddr { ${bogons.join(', ')} } drop comment "bogons"`] : []),
  ];
}

const STATEFUL = ['ct state vmap { established : accept, related : accept, invalid : drop }'];

function inboundText(world: World, filter: Chains, nat: NatChains): string {
  const active = [...world.interfaces.values()];
  const own = active.map((one) => `\tchain from_${one.role} {\n${indent(filter.from.get(one.role) ?? [])}\t}\n`);
  const inbound = [
    ...active.flatMap(blockLines),
    ...(nat.forwarded.length > 0 ? ['# port forwards that pass by themselves', ...nat.forwarded] : []),
    ...(filter.first.length > 0 ? ['# floating rules and rules of groups', ...filter.first] : []),
    ...active.map((one) => `iifname $${one.role} jump from_${one.role}`),
    ...(filter.last.length > 0
      ? [
          '# rules that are not quick: the last match counts, so the last one is first',
          ...[...filter.last].reverse().flat(),
        ]
      : []),
  ];
  return `${own.join('')}\tchain inbound {\n${indent(inbound)}\t}\n`;
}

function baseText(antiLockout: string | null, hasOut: boolean): string {
  const lockout =
    antiLockout === null
      ? []
      : [
          '# anti-lockout: this box by ssh from the inner side',
          `iifname $${antiLockout} fib daddr type local tcp dport 22 accept`,
        ];
  const input = [
    'type filter hook input priority filter; policy drop;',
    ...STATEFUL,
    'iifname "lo" accept',
    '# IPv6 does not work without these',
    'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } ip6 hoplimit 255 accept',
    ...lockout,
    'jump inbound',
  ];
  const forward = [
    'type filter hook forward priority filter; policy drop;',
    ...STATEFUL,
    ...(hasOut ? ['jump outbound'] : []),
    'jump inbound',
  ];
  const output = [
    'type filter hook output priority filter; policy accept;',
    ...(hasOut ? ['ct state established,related accept', 'jump outbound'] : []),
  ];
  return `\tchain input {\n${indent(input)}\t}\n\tchain forward {\n${indent(forward)}\t}\n\tchain output {\n${indent(output)}\t}\n`;
}

export function rulesText(world: World, filter: Chains, nat: NatChains, antiLockout: string | null): string {
  const out = [...filter.out, ...[...filter.outLast].reverse().flat()];
  const prerouting = ['type nat hook prerouting priority dstnat; policy accept;', ...nat.prerouting, ...nat.oneToOneIn];
  const postrouting = [
    'type nat hook postrouting priority srcnat; policy accept;',
    ...nat.oneToOne,
    ...nat.postrouting,
  ];
  const inbound = inboundText(world, filter, nat);
  return [
    '# Made by carpio import pfsense. $wan, $lan … are the devices of the roles in carpio.toml; Carpio puts them in.\n',
    '# "line N" is the line of config.xml. Check it with: carpio check\n\n',
    'table inet firewall {\n',
    setsText(world),
    inbound,
    out.length > 0 ? `\tchain outbound {\n${indent(out)}\t}\n` : '',
    baseText(antiLockout, out.length > 0),
    `\tchain prerouting {\n${indent(prerouting)}\t}\n`,
    `\tchain postrouting {\n${indent(postrouting)}\t}\n`,
    '}\n',
  ].join('');
}
