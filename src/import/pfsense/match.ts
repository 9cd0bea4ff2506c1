/** The conditions of a rule (addresses, ports, protocols) as nftables text. */

import { addressElement, portElement } from './aliases.ts';
import type { Alias, Family, PfInterface, World } from './world.ts';

/** One end of a rule, in the words of either dialect. */
export interface End {
  /** Names, addresses, `any`, `(self)`, `lan`, `lanip`; several count as one of them. */
  values: string[];
  not: boolean;
  /** Empty: any. */
  port: string;
}

/** A condition that cannot be said, or would say something else: the rule stays a comment. */
export class Untranslatable extends Error {}

/** Alternatives (one rule each); an empty text is "always". No alternative: never, for this family. */
type Alternatives = string[];

/** Most rules that one rule may become. */
export const MAX_RULES = 64;

export interface MatchContext {
  world: World;
  /** A rule that lets pass; there an incomplete alias only narrows, anywhere else it would let more pass. */
  passes: boolean;
  /** `fib` looks at the interface that a packet came in on or goes out on. */
  direction: 'in' | 'out';
  /** Texts for the report: what is not quite the same. */
  compromises: Set<string>;
}

const keyword = (family: Family, side: 'saddr' | 'daddr') => `${family === 4 ? 'ip' : 'ip6'} ${side}`;

function aliasCondition(
  alias: Alias,
  family: Family,
  side: 'saddr' | 'daddr',
  not: boolean,
  context: MatchContext,
): string | null {
  if (alias.kind === 'ports') throw new Untranslatable(`alias ${alias.name} holds ports, not addresses`);
  if (alias.unusable) throw new Untranslatable(`alias ${alias.name}: ${alias.unusable}`);
  if (alias.incomplete && (not || !context.passes)) {
    throw new Untranslatable(`alias ${alias.name} lacks members, so this rule would not block all that it did`);
  }
  if (alias.incomplete) context.compromises.add(`alias ${alias.name} lacks members`);
  const elements = family === 4 ? alias.v4 : alias.v6;
  if (elements.length === 0) return not ? '' : null;
  const type = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const set = context.world.set(`alias ${alias.name} ${family}`, alias.name, type, elements, `alias ${alias.name}`);
  const within = `${keyword(family, side)} ${not ? '!= ' : ''}@${set}`;
  return within + exceptionsOf(alias, family, side, not, context);
}

/**
 * The members of an alias that are excluded (`!10.6.6.0/24`). nft's sets have none, so a second condition says it. What
 * that cannot say (a member inside an excluded network, or the whole alias negated) makes a pass narrower and anything
 * else wider.
 */
function exceptionsOf(
  alias: Alias,
  family: Family,
  side: 'saddr' | 'daddr',
  not: boolean,
  context: MatchContext,
): string {
  const elements = family === 4 ? alias.except4 : alias.except6;
  if (elements.length === 0) return '';
  if (not && context.passes) {
    context.compromises.add(`what alias ${alias.name} excludes is not let in`);
    return '';
  }
  if (not) throw new Untranslatable(`all but alias ${alias.name}, which has exceptions`);
  if (alias.nestedExcept) {
    context.compromises.add(
      context.passes
        ? `members of alias ${alias.name} inside of its exceptions are not let in`
        : `the exceptions of alias ${alias.name} are matched, too`,
    );
    if (!context.passes) return '';
  }
  const type = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const wanted = `${alias.name}_except`;
  const note = `exceptions of alias ${alias.name}`;
  const set = context.world.set(`except ${alias.name} ${family}`, wanted, type, elements, note);
  return ` ${keyword(family, side)} != @${set}`;
}

/**
 * `lanip`, `wanip` and `(self)`: both boxes have such addresses, but not the same ones, so the kernel is asked which
 * are its own. The address of one interface is an own one within its networks, and none of the virtual ones: those have
 * rules and forwards of their own.
 */
function ownAddress(
  family: Family,
  side: 'saddr' | 'daddr',
  not: boolean,
  one: PfInterface | null,
  context: MatchContext,
): string {
  const wanted = context.direction === 'in' ? 'daddr' : 'saddr';
  if (side !== wanted) {
    throw new Untranslatable(`"this firewall" as ${side === 'saddr' ? 'source' : 'destination'} in this direction`);
  }
  const local = `fib ${side} type ${not ? '!= ' : ''}local`;
  if (one === null) return `meta nfproto ipv${family} ${local}`;
  if (not) throw new Untranslatable(`all but the address of ${one.role}`);
  const virtual = context.world.virtualAddresses(one, family);
  const others = virtual.length === 0 ? '' : ` ${keyword(family, side)} != { ${virtual.join(', ')} }`;
  const networks = one.dynamic.includes(family) ? null : context.world.networkSet(one, family);
  if (networks !== null) return `${keyword(family, side)} @${networks} ${local}${others}`;
  return `meta nfproto ipv${family} fib ${side} . ${context.direction === 'in' ? 'iif' : 'oif'} type local${others}`;
}

function addressCondition(
  value: string,
  family: Family,
  side: 'saddr' | 'daddr',
  not: boolean,
  context: MatchContext,
  here: readonly string[],
): string | null {
  const { world } = context;
  if (value === 'any') return not ? null : '';
  if (value === '(self)') return ownAddress(family, side, not, null, context);
  const alias = world.aliases.get(value);
  if (alias) return aliasCondition(alias, family, side, not, context);
  const address = addressElement(value);
  if (address) {
    if (address.family !== family) return not ? '' : null;
    return `${keyword(family, side)} ${not ? '!= ' : ''}${address.element}`;
  }
  const own = value.endsWith('ip') ? world.interfaces.get(value.slice(0, -2)) : undefined;
  if (own) {
    if (here.length !== 1 || here[0] !== own.key)
      throw new Untranslatable(`the address of ${own.role} on a rule of another interface`);
    return ownAddress(family, side, not, own, context);
  }
  const network = world.interfaces.get(value);
  if (!network) throw new Untranslatable(`"${value}" is no alias, address or interface of the file`);
  const set = world.networkSet(network, family);
  if (set === null && !network.dynamic.includes(family)) return not ? '' : null;
  if (set === null)
    throw new Untranslatable(`the network of ${network.role} is not in the file (it comes from outside)`);
  return `${keyword(family, side)} ${not ? '!= ' : ''}@${set}`;
}

/** An interface may have networks of one family in the file, and get those of the other from outside. */
export function addressAlternatives(
  end: End,
  family: Family,
  side: 'saddr' | 'daddr',
  context: MatchContext,
  here: readonly string[],
): Alternatives {
  const found = end.values.map((value) => addressCondition(value, family, side, end.not, context, here));
  if (!end.not) return found.filter((text) => text !== null);
  // None of several: all of the conditions at once.
  return found.includes(null) ? [] : [found.filter((text) => text !== '').join(' ')];
}

/** `dport 80` or `dport @web_ports`, for any transport protocol with ports. */
export function portCondition(port: string, side: 'sport' | 'dport', context: MatchContext): string {
  if (port === '' || port === 'any') return '';
  const element = portElement(port);
  if (element !== null) return `${side} ${element}`;
  const alias = context.world.aliases.get(port);
  if (!alias) throw new Untranslatable(`port "${port}" is neither a number nor an alias`);
  if (alias.kind !== 'ports') throw new Untranslatable(`alias ${port} holds addresses, not ports`);
  if (alias.unusable) throw new Untranslatable(`alias ${port}: ${alias.unusable}`);
  if (alias.incomplete && !context.passes)
    throw new Untranslatable(`alias ${port} lacks members, so this rule would not block all that it did`);
  if (alias.incomplete) context.compromises.add(`alias ${port} lacks members`);
  return `${side} @${context.world.set(`ports ${port}`, port, 'inet_service', alias.v4, `alias ${port}`)}`;
}

const PROTOCOLS: Readonly<Record<string, number>> = {
  hopopt: 0,
  igmp: 2,
  ipencap: 4,
  ipip: 4,
  egp: 8,
  igp: 9,
  ipv6: 41,
  'ipv6-route': 43,
  'ipv6-frag': 44,
  rsvp: 46,
  gre: 47,
  esp: 50,
  ah: 51,
  mobile: 55,
  eigrp: 88,
  ospf: 89,
  etherip: 97,
  pim: 103,
  ipcomp: 108,
  carp: 112,
  vrrp: 112,
  l2tp: 115,
  sctp: 132,
  udplite: 136,
  pfsync: 240,
  icmp: 1,
  'ipv6-icmp': 58,
  icmpv6: 58,
  icmp6: 58,
  tcp: 6,
  udp: 17,
};

const ICMP4: Readonly<Record<string, number>> = {
  echorep: 0,
  unreach: 3,
  squench: 4,
  redir: 5,
  althost: 6,
  echoreq: 8,
  routeradv: 9,
  routersol: 10,
  timex: 11,
  paramprob: 12,
  timereq: 13,
  timerep: 14,
  inforeq: 15,
  inforep: 16,
  maskreq: 17,
  maskrep: 18,
  trace: 30,
  dataconv: 31,
  mobredir: 32,
  'ipv6-where': 33,
  'ipv6-here': 34,
  mobregreq: 35,
  mobregrep: 36,
  skip: 39,
  photuris: 40,
};

const ICMP6: Readonly<Record<string, number>> = {
  unreach: 1,
  toobig: 2,
  timex: 3,
  paramprob: 4,
  echoreq: 128,
  echorep: 129,
  groupqry: 130,
  listqry: 130,
  grouprep: 131,
  listenrep: 131,
  groupterm: 132,
  listendone: 132,
  routersol: 133,
  routeradv: 134,
  neighbrsol: 135,
  neighbradv: 136,
  redir: 137,
  routrrenum: 138,
  fqdnreq: 139,
  niqry: 139,
  wrureq: 139,
  wrurep: 140,
  fqdnrep: 140,
  nirep: 140,
  mtraceresp: 200,
  mtrace: 201,
};

function icmpCondition(types: string, family: Family): string {
  const protocol = family === 4 ? 'icmp' : 'ipv6-icmp';
  const names = types
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '' && one !== 'any');
  if (names.length === 0) return `meta l4proto ${protocol}`;
  const table = family === 4 ? ICMP4 : ICMP6;
  const numbers = names.map((name) => {
    const number = Object.hasOwn(table, name)
      ? table[name]
      : /^[0-9]{1,3}$/.test(name) && Number(name) < 256
        ? Number(name)
        : undefined;
    if (number === undefined) throw new Untranslatable(`ICMP type "${name}" is not one of IPv${family}`);
    return number;
  });
  return `${family === 4 ? 'icmp' : 'icmpv6'} type { ${[...new Set(numbers)].join(', ')} }`;
}

export interface Transport {
  /** As in the file; empty or `any`: every protocol. */
  protocol: string;
  icmp4: string;
  icmp6: string;
  sport: string;
  dport: string;
}

/** The condition for protocol and ports, `''` for none. */
export function transportCondition(transport: Transport, family: Family, context: MatchContext): string {
  const protocol = transport.protocol.toLowerCase();
  const ports = [
    portCondition(transport.sport, 'sport', context),
    portCondition(transport.dport, 'dport', context),
  ].filter((one) => one !== '');
  if (protocol === 'tcp/udp') {
    return ['meta l4proto { tcp, udp }', ...ports.map((one) => `th ${one}`)].join(' ');
  }
  if (protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp') {
    return ports.length > 0 ? ports.map((one) => `${protocol} ${one}`).join(' ') : `meta l4proto ${protocol}`;
  }
  if (ports.length > 0) throw new Untranslatable(`ports without tcp or udp (protocol ${protocol || 'any'})`);
  if (protocol === '' || protocol === 'any') return '';
  if (/^(icmp|icmpv6|icmp6|ipv6-icmp)$/.test(protocol)) {
    const six = protocol !== 'icmp' || family === 6;
    return icmpCondition(six ? transport.icmp6 : transport.icmp4, six ? 6 : 4);
  }
  const number = Object.hasOwn(PROTOCOLS, protocol)
    ? PROTOCOLS[protocol]
    : /^[0-9]{1,3}$/.test(protocol) && Number(protocol) < 256
      ? Number(protocol)
      : undefined;
  if (number === undefined) throw new Untranslatable(`protocol "${protocol}" is not known`);
  return `meta l4proto ${number}`;
}

/** Every way to take one of each list, joined by spaces. */
export function product(lists: readonly Alternatives[]): string[] {
  let found = [''];
  for (const list of lists) {
    found = found.flatMap((head) => list.map((tail) => [head, tail].filter((one) => one !== '').join(' ')));
    if (found.length > MAX_RULES) throw new Untranslatable(`it would become more than ${MAX_RULES} rules`);
  }
  return found;
}

/** Puts the family in front where nothing else tells it. */
export function withFamily(text: string, family: Family): string {
  const told =
    family === 4 ? /\b(ip (saddr|daddr)|nfproto ipv4|icmp type)\b/ : /\b(ip6 (saddr|daddr)|nfproto ipv6|icmpv6 type)\b/;
  return told.test(text) ? text : `meta nfproto ipv${family} ${text}`.trim();
}
