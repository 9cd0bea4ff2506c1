/** Filter rules of the three forms (pfSense, OPNsense, OPNsense's newer model) as one. */

import type { End, Transport } from './match.ts';
import { isOn, isOne, textOf, type World } from './world.ts';
import { child, childrenOf, type XmlElement } from './xml.ts';

export interface FilterRule {
  item: XmlElement;
  label: string;
  disabled: boolean;
  action: string;
  /** First match decides; without it the last match does. */
  quick: boolean;
  floating: boolean;
  direction: 'in' | 'out' | 'any';
  interfaces: string[];
  interfaceNot: boolean;
  families: (4 | 6)[];
  transport: Transport;
  source: End;
  destination: End;
  log: boolean;
  tcpFlags: { set: string[]; of: string[] } | null;
  /** Why it cannot be translated at all. */
  refused: string[];
  /** What the rule did besides, and does no more. */
  compromises: string[];
}

const words = (text: string) => text.split(/[\s,]+/).filter((one) => one !== '');

/** Elements that only the old firewall's pages and bookkeeping use. */
const BOOKKEEPING = [
  'id',
  'tracker',
  'created',
  'updated',
  'category',
  'categories',
  'nosync',
  'associated-rule-id',
  'sequence',
  'sort_order',
  'prio_group',
  'descr',
  'description',
  'allowopts',
  'disablereplyto',
  'tcpflags_any',
  'statetype',
  'state-policy',
  'nopfsync',
  'statepolicy',
];

/** Elements that, when they say something, make the rule match less: without them it would let more pass. */
const NARROWS: Readonly<Record<string, string>> = {
  gateway: 'routing by rule (gateway): see ip-rule(8)',
  'divert-to': 'divert-to',
  replyto: 'reply-to',
  'reply-to': 'reply-to',
  sched: 'a schedule',
  os: 'the operating system of the sender',
  dscp: 'DSCP',
  tos: 'TOS',
  tagged: 'a mark (tagged) of another rule',
  nottagged: 'a mark (tagged) of another rule',
  vlanprio: 'a VLAN priority',
  prio: 'a priority',
  srcmac: 'a hardware address',
  dstmac: 'a hardware address',
  'ether-type': 'Ethernet rules',
};

/** Elements of which the rule can do without. */
const COMPROMISES: Readonly<Record<string, string>> = {
  tag: 'sets no mark (tag)',
  max: 'without its limits',
  'max-src-nodes': 'without its limits',
  'max-src-conn': 'without its limits',
  'max-src-conn-rate': 'without its limits',
  'max-src-conn-rates': 'without its limits',
  'max-src-states': 'without its limits',
  'max-pkt-rate-number': 'without its limits',
  'max-pkt-rate-seconds': 'without its limits',
  overload: 'without its limits',
  statetimeout: 'without its timeout',
  'udp-first': 'without its timeout',
  'udp-multiple': 'without its timeout',
  'udp-single': 'without its timeout',
  adaptivestart: 'without its limits',
  adaptiveend: 'without its limits',
  dnpipe: 'without shaping',
  pdnpipe: 'without shaping',
  defaultqueue: 'without shaping',
  ackqueue: 'without shaping',
  'endpoint-independent': 'the kernel keeps ports where it can, and does not promise it',
  shaper1: 'without shaping',
  shaper2: 'without shaping',
  'set-prio': 'sets no priority',
  'set-prio-low': 'sets no priority',
  vlanprioset: 'sets no priority',
};

const MATCHED = [
  'type',
  'action',
  'interface',
  'interfacenot',
  'ipprotocol',
  'protocol',
  'icmptype',
  'icmp6-type',
  'icmp6type',
  'source',
  'destination',
  'log',
  'disabled',
  'enabled',
  'quick',
  'floating',
  'direction',
  'tcpflags1',
  'tcpflags2',
  'source_net',
  'source_not',
  'source_port',
  'destination_net',
  'destination_not',
  'destination_port',
  'sourceport',
  'dstport',
];

/** The elements of a rule that hold others. */
const HOLDERS = new Set(['source', 'destination', 'created', 'updated']);

/**
 * `<source>` or `<destination>` of the older form.
 * @param emptyIsAny OPNsense's forwards write an empty network for "any"
 */
export function readEnd(item: XmlElement | null, refused: string[], emptyIsAny = false): End {
  const network = textOf(child(item, 'network'));
  const address = textOf(child(item, 'address'));
  const any = child(item, 'any');
  for (const one of item?.children ?? []) {
    if (one.children.length > 0) refused.push(`<${one.name}> in <${item?.name}> holds elements`);
    if (!['network', 'address', 'any', 'not', 'port'].includes(one.name))
      refused.push(`<${one.name}> in <${item?.name}> is not known`);
  }
  if (item && item.children.length > new Set(item.children.map((one) => one.name)).size)
    refused.push(`<${item.name}> names something twice`);
  const value = network || address;
  // A network element that is there and empty is not "any": the rule is broken, and must not become wider.
  if (
    value === '' &&
    !any &&
    !emptyIsAny &&
    item?.children.some((one) => one.name === 'network' || one.name === 'address')
  )
    refused.push(`its ${item.name} is empty`);
  return {
    values: value === '' ? ['any'] : words(value),
    not: isOn(child(item, 'not')),
    port: textOf(child(item, 'port')),
  };
}

/** Notes what the elements of the rule say besides its conditions; an element that is not known refuses the rule. */
export function readExtras(
  item: XmlElement,
  matched: readonly string[],
  refused: string[],
  compromises: string[],
): void {
  const seen = new Set<string>();
  for (const one of item.children) {
    const { name } = one;
    const said = one.text !== '' && one.text !== '0' && !(name === 'gateway' && one.text === 'default');
    if (seen.has(name)) refused.push(`it names ${name} twice`);
    seen.add(name);
    // Read as a text it would be empty, and that often means "any".
    if (one.children.length > 0 && !HOLDERS.has(name)) refused.push(`<${name}> holds elements`);
    if (matched.includes(name) || BOOKKEEPING.includes(name)) continue;
    if (NARROWS[name] !== undefined) {
      if (said) refused.push(NARROWS[name]);
    } else if (COMPROMISES[name] !== undefined) {
      if (said) compromises.push(COMPROMISES[name]);
    } else if (said || one.children.length > 0) refused.push(`<${name}> is not known`);
    // Empty means the default: the products write such elements for whatever a later version has added.
    else compromises.push(`<${name}> is not known, and empty`);
  }
  const state = textOf(child(item, 'statetype'));
  if (state !== '' && !/^keep( state)?$/.test(state)) compromises.push(`with plain state tracking (was ${state})`);
  if (isOn(child(item, 'nopfsync')) && child(item, 'nopfsync')?.text !== '') compromises.push('its states are synced');
}

/** @param both OPNsense: a rule that names no family is for both; pfSense: for IPv4 */
function families(text: string, both: boolean, refused: string[]): (4 | 6)[] {
  const known: Record<string, (4 | 6)[]> = { '': both ? [4, 6] : [4], inet: [4], inet6: [6], inet46: [4, 6] };
  const found = Object.hasOwn(known, text) ? known[text] : undefined;
  if (!found) refused.push(`ipprotocol "${text}" is not known`);
  return found ?? [];
}

function flags(item: XmlElement): FilterRule['tcpFlags'] {
  if (isOn(child(item, 'tcpflags_any'))) return null;
  const set = words(textOf(child(item, 'tcpflags1')));
  const of = words(textOf(child(item, 'tcpflags2')));
  return of.length > 0 ? { set, of } : null;
}

function direction(text: string, refused: string[]): FilterRule['direction'] {
  if (text === '' || text === 'in') return 'in';
  if (text === 'out' || text === 'any') return text;
  refused.push(`direction "${text}" is not known`);
  return 'in';
}

/** A rule of <filter>; OPNsense writes `quick` and `floating` as it does elsewhere. */
export function readFilterRule(item: XmlElement, opnsense: boolean): FilterRule {
  const refused: string[] = [];
  const compromises: string[] = [];
  readExtras(item, MATCHED, refused, compromises);
  const floating = isOn(child(item, 'floating'));
  const quick = child(item, 'quick');
  const icmp = textOf(child(item, 'icmptype'));
  const source = readEnd(child(item, 'source'), refused);
  const destination = readEnd(child(item, 'destination'), refused);
  const way = textOf(child(item, 'direction'));
  return {
    item,
    label: textOf(child(item, 'descr')),
    disabled: isOn(child(item, 'disabled')),
    // Both products take a rule without a type as pass.
    action: textOf(child(item, 'type')) || 'pass',
    quick: floating ? isOn(quick) : opnsense ? quick === null || isOn(quick) : true,
    floating,
    direction: floating && way === '' ? 'any' : direction(way, refused),
    interfaces: words(textOf(child(item, 'interface'))),
    interfaceNot: isOn(child(item, 'interfacenot')) && child(item, 'interfacenot')?.text !== '',
    families: families(textOf(child(item, 'ipprotocol')), opnsense, refused),
    transport: {
      protocol: textOf(child(item, 'protocol')),
      icmp4: icmp,
      icmp6: textOf(child(item, 'icmp6-type') ?? child(item, 'icmp6type')) || icmp,
      sport: source.port,
      dport: destination.port,
    },
    source,
    destination,
    log: isOn(child(item, 'log')),
    tcpFlags: flags(item),
    refused,
    compromises,
  };
}

const end = (item: XmlElement, name: string): End => ({
  values: words(textOf(child(item, `${name}_net`)) || 'any'),
  not: isOne(child(item, `${name}_not`)),
  port: textOf(child(item, `${name}_port`)),
});

/** A rule of OPNsense's newer model, where 1 and 0 are written out. */
export function readModelRule(item: XmlElement): FilterRule {
  const refused: string[] = [];
  const compromises: string[] = [];
  readExtras(item, MATCHED, refused, compromises);
  const interfaces = words(textOf(child(item, 'interface')));
  const source = end(item, 'source');
  const destination = end(item, 'destination');
  const enabled = child(item, 'enabled');
  const quick = child(item, 'quick');
  return {
    item,
    label: textOf(child(item, 'description')),
    disabled: enabled !== null && !isOne(enabled),
    action: textOf(child(item, 'action')),
    quick: quick === null || isOne(quick),
    floating: interfaces.length !== 1 || isOne(child(item, 'interfacenot')),
    direction: direction(textOf(child(item, 'direction')), refused),
    interfaces,
    interfaceNot: isOne(child(item, 'interfacenot')),
    families: families(textOf(child(item, 'ipprotocol')), true, refused),
    transport: {
      protocol: textOf(child(item, 'protocol')),
      icmp4: textOf(child(item, 'icmptype')),
      icmp6: textOf(child(item, 'icmp6type')),
      sport: source.port,
      dport: destination.port,
    },
    source,
    destination,
    log: isOne(child(item, 'log')),
    tcpFlags: isOne(child(item, 'tcpflags_any')) ? null : flags(item),
    refused,
    compromises,
  };
}

/** The rules of an element, in the order of their sequence numbers where they have them. */
export function rulesOf(section: XmlElement | null): XmlElement[] {
  const rank = (item: XmlElement) => Number(textOf(child(item, 'sequence'))) || 0;
  return childrenOf(section, 'rule')
    .map((item, index) => ({ item, index }))
    .sort((a, b) => rank(a.item) - rank(b.item) || a.index - b.index)
    .map(({ item }) => item);
}

interface RuleInterfaces {
  /** Of roles; groups are filled in. */
  keys: string[];
  /** Interfaces that were disabled, and are no roles. */
  disabled: string[];
  /** What is none of these. */
  unknown: string[];
  /** A group was among them. */
  group: boolean;
}

export function resolveInterfaces(names: readonly string[], world: World): RuleInterfaces {
  const found: RuleInterfaces = { keys: [], disabled: [], unknown: [], group: false };
  for (const name of names) {
    const members = world.groups.get(name);
    found.group ||= members !== undefined;
    for (const key of members ?? [name]) {
      const list = world.interfaces.has(key) ? 'keys' : world.disabled.has(key) ? 'disabled' : 'unknown';
      if (!found[list].includes(key)) found[list].push(key);
    }
  }
  return found;
}
