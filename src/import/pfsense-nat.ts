/** Port forwards and 1:1 NAT of config.xml to nftables. */

import { formatCidr, networkOf, parseAddress, parseCidr } from '../config/address.ts';
import { oneLine } from './ledger.ts';
import { portElement } from './pfsense-aliases.ts';
import {
  addressAlternatives,
  type End,
  type MatchContext,
  product,
  transportCondition,
  Untranslatable,
  withFamily,
} from './pfsense-match.ts';
import { readEnd, readExtras, resolveInterfaces, rulesOf } from './pfsense-rule.ts';
import { type Family, isOn, isOne, textOf, type World } from './pfsense-world.ts';
import { at, child, childrenOf, type XmlElement } from './xml.ts';

/** A range of ports that moves to another range becomes one rule a port; at most so many. */
const MAX_SHIFT = 64;

export class NatChains {
  readonly prerouting: string[] = [];
  readonly postrouting: string[] = [];
  /** 1:1 NAT comes before outbound rules: pf evaluates it first. */
  readonly oneToOne: string[] = [];
  /** What port forwards let in by themselves. */
  readonly forwarded: string[] = [];
  /** Whether the automatic part of outbound NAT is on. */
  automatic = false;
}

export const anyEnd: End = { values: ['any'], not: false, port: '' };

/** The head of a translated or untranslated rule in the rules file. */
export function natHead(item: XmlElement, label: string, what: string): string {
  return `# line ${item.line}: ${oneLine(label || what, 120)}`;
}

export function untranslated(head: string, why: string): string[] {
  return [head, `#   not translated: ${oneLine(why, 300)}`];
}

/** Roles of a NAT rule's interfaces. */
export function natRoles(names: string, world: World): { keys: string[]; roles: string[] } {
  const { keys, unknown } = resolveInterfaces(
    names.split(/[\s,]+/).filter((one) => one !== ''),
    world,
  );
  if (unknown.length > 0 || keys.length === 0)
    throw new Untranslatable(`interface ${unknown.join(', ') || '(none)'} is not a role`);
  return { keys, roles: keys.map((key) => world.interfaces.get(key)!.role) };
}

/** One address, given as itself or as an alias of one. */
export function singleAddress(text: string, world: World): { family: Family; text: string } {
  const alias = world.aliases.get(text);
  if (alias?.unusable) throw new Untranslatable(`alias ${text}: ${alias.unusable}`);
  const members = alias && alias.kind === 'addresses' ? [...alias.v4, ...alias.v6] : [text];
  const address = members.length === 1 ? parseAddress(members[0]!) : null;
  if (!address || alias?.incomplete) throw new Untranslatable(`target "${text}" is not one address`);
  return { family: address.family, text: members[0]! };
}

const withPort = (address: { family: Family; text: string }, port: string) =>
  port === '' ? address.text : address.family === 6 ? `[${address.text}]:${port}` : `${address.text}:${port}`;

const BOOK = [
  'associated-rule-id',
  'pass',
  'natreflection',
  'local-port',
  'target',
  'nordr',
  'poolopts',
  'interface',
  'ipprotocol',
  'protocol',
  'source',
  'destination',
  'disabled',
  'log',
];

interface Forward {
  item: XmlElement;
  roles: string[];
  keys: string[];
  protocol: string;
  source: End;
  destination: End;
  compromises: Set<string>;
}

class PortForwards {
  readonly #world: World;
  readonly #chains: NatChains;

  constructor(world: World, chains: NatChains) {
    this.#world = world;
    this.#chains = chains;
  }

  read(item: XmlElement): void {
    const { ledger } = this.#world;
    const label = textOf(child(item, 'descr'));
    const what = `port forward on ${textOf(child(item, 'interface'))}${label ? ` (${label})` : ''}`;
    const head = natHead(item, label, what);
    if (isOn(child(item, 'disabled'))) {
      ledger.whole('not needed', item, 'it was disabled', what);
      this.#chains.prerouting.push(...untranslated(head, 'it was disabled'));
      return;
    }
    try {
      const { lines, forward } = this.#translate(item);
      const note =
        forward.compromises.size > 0 ? [`#   approximated: ${oneLine([...forward.compromises].join('; '), 300)}`] : [];
      this.#chains.prerouting.push(head, ...note, ...lines);
      ledger.whole(note.length > 0 ? 'approximated' : 'translated', item, [...forward.compromises].join('; '), what);
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      ledger.whole('left out', item, error.message, what);
      this.#chains.prerouting.push(...untranslated(head, error.message));
    }
  }

  #translate(item: XmlElement): { lines: string[]; forward: Forward } {
    const refused: string[] = [];
    const compromises: string[] = [];
    readExtras(item, BOOK, refused, compromises);
    const source = readEnd(child(item, 'source'), refused);
    const destination = readEnd(child(item, 'destination'), refused);
    if (refused.length > 0) throw new Untranslatable(refused.join('; '));
    const { keys, roles } = natRoles(textOf(child(item, 'interface')), this.#world);
    const protocol = (textOf(child(item, 'protocol')) || 'any').toLowerCase();
    const forward: Forward = { item, roles, keys, protocol, source, destination, compromises: new Set(compromises) };
    const reflection = textOf(child(item, 'natreflection'));
    if (/^(enable|purenat)$/.test(reflection))
      forward.compromises.add('without reflection: from inside use the inner address');
    if (/round-robin|random|source-hash|bitmask/.test(textOf(child(item, 'poolopts'))))
      forward.compromises.add('without its pool options');
    return { lines: this.#lines(forward), forward };
  }

  #conditions(forward: Forward, family: Family, protocol: string, dport: string): string[] {
    const { source, destination, keys, roles, compromises } = forward;
    const context: MatchContext = { world: this.#world, passes: false, direction: 'in', compromises };
    const texts = product([
      addressAlternatives(source, family, 'saddr', context, keys),
      addressAlternatives(destination, family, 'daddr', context, keys),
      [transportCondition({ protocol, icmp4: '', icmp6: '', sport: source.port, dport }, family, context)],
    ]);
    return roles.flatMap((role) => texts.map((text) => `iifname $${role} ${withFamily(text, family)}`));
  }

  #lines(forward: Forward): string[] {
    const { item, destination, protocol } = forward;
    // nft wants to know the one transport protocol before it changes a port.
    const protocols = protocol === 'tcp/udp' ? ['tcp', 'udp'] : [protocol];
    if (isOn(child(item, 'nordr')) && child(item, 'nordr')?.text !== '0') {
      const named = textOf(child(item, 'ipprotocol'));
      const families: Family[] = named === 'inet6' ? [6] : named === 'inet46' ? [4, 6] : [4];
      const lines = families.flatMap((family) =>
        protocols.flatMap((one) => this.#conditions(forward, family, one, destination.port)),
      );
      if (lines.length === 0) throw new Untranslatable('its source and destination can never meet');
      return lines.map((text) => `${text} accept`);
    }
    const target = singleAddress(textOf(child(item, 'target')), this.#world);
    const moves = this.#moves(destination.port, textOf(child(item, 'local-port')));
    const verb = target.family === 4 ? 'dnat ip to' : 'dnat ip6 to';
    const lines: string[] = [];
    for (const one of protocols) {
      for (const { from, to } of moves) {
        if (to !== '' && !/^(tcp|udp|sctp)$/.test(one))
          throw new Untranslatable(`it changes the port of protocol ${one}`);
        lines.push(
          ...this.#conditions(forward, target.family, one, from).map(
            (text) => `${text} ${verb} ${withPort(target, to)}`,
          ),
        );
      }
    }
    if (lines.length === 0) throw new Untranslatable('its source and destination can never meet');
    if (textOf(child(item, 'associated-rule-id')) === 'pass' || textOf(child(item, 'pass')) === 'pass')
      this.#pass(forward, target, moves, protocols);
    return lines;
  }

  /** Which port becomes which; an empty `to` keeps the port. */
  #moves(port: string, local: string): { from: string; to: string }[] {
    if (local === '' || local === port) return [{ from: port, to: '' }];
    if (port === '' || port === 'any') return [{ from: '', to: this.#onePort(local) }];
    const element = portElement(port);
    const first = this.#onePort(local);
    if (element === null) throw new Untranslatable(`the ports of alias ${port} move to another one`);
    const [low, high] = element.split('-').map(Number);
    if (high === undefined) return [{ from: element, to: first === element ? '' : first }];
    if (Number(first) === low) return [{ from: element, to: '' }];
    if (high - low! >= MAX_SHIFT || Number(first) + high - low! > 65_535)
      throw new Untranslatable(`more than ${MAX_SHIFT} ports move to others`);
    return Array.from({ length: high - low! + 1 }, (_, i) => ({
      from: String(low! + i),
      to: String(Number(first) + i),
    }));
  }

  #onePort(text: string): string {
    const alias = this.#world.aliases.get(text);
    const element =
      alias?.kind === 'ports' && alias.v4.length === 1 && !alias.incomplete ? alias.v4[0]! : portElement(text);
    if (element === null || element.includes('-')) throw new Untranslatable(`local port "${text}" is not one port`);
    return element;
  }

  /** A forward with "pass" needs no filter rule: what it has translated is let in. */
  #pass(
    forward: Forward,
    target: { family: Family; text: string },
    moves: { from: string; to: string }[],
    protocols: string[],
  ): void {
    const daddr = `${target.family === 4 ? 'ip' : 'ip6'} daddr ${target.text}`;
    const context: MatchContext = {
      world: this.#world,
      passes: true,
      direction: 'in',
      compromises: forward.compromises,
    };
    for (const role of forward.roles) {
      for (const protocol of protocols) {
        for (const { from, to } of moves) {
          const transport = transportCondition(
            { protocol, icmp4: '', icmp6: '', sport: '', dport: to || from },
            target.family,
            context,
          );
          this.#chains.forwarded.push(
            [`iifname $${role} ct status dnat`, daddr, transport, 'accept'].filter((one) => one !== '').join(' '),
          );
        }
      }
    }
  }
}

interface OneToOne {
  external: string;
  internal: string;
  destination: End;
  compromises: Set<string>;
}

class OneToOnes {
  readonly #world: World;
  readonly #chains: NatChains;

  constructor(world: World, chains: NatChains) {
    this.#world = world;
    this.#chains = chains;
  }

  read(item: XmlElement, model: boolean): void {
    const { ledger } = this.#world;
    const label = textOf(child(item, model ? 'description' : 'descr'));
    const what = `1:1 NAT ${textOf(child(item, 'external'))}${label ? ` (${label})` : ''}`;
    const head = natHead(item, label, what);
    const enabled = child(item, 'enabled');
    const off = model ? enabled !== null && !isOne(enabled) : isOn(child(item, 'disabled'));
    try {
      if (off) {
        ledger.whole('not needed', item, 'it was disabled', what);
        this.#chains.oneToOne.push(...untranslated(head, 'it was disabled'));
        return;
      }
      const { lines, compromises } = this.#translate(item, model);
      this.#chains.prerouting.unshift(head, ...lines.prerouting);
      this.#chains.oneToOne.push(head, ...lines.postrouting);
      ledger.whole(compromises.size > 0 ? 'approximated' : 'translated', item, [...compromises].join('; '), what);
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      ledger.whole('left out', item, error.message, what);
      this.#chains.oneToOne.push(...untranslated(head, error.message));
    }
  }

  #ends(item: XmlElement, model: boolean, refused: string[]): OneToOne {
    const source = model
      ? { values: [textOf(child(item, 'source_net'))], not: isOne(child(item, 'source_not')), port: '' }
      : readEnd(child(item, 'source'), refused);
    const destination = model
      ? {
          values: [textOf(child(item, 'destination_net')) || 'any'],
          not: isOne(child(item, 'destination_not')),
          port: '',
        }
      : child(item, 'destination') === null
        ? anyEnd
        : readEnd(child(item, 'destination'), refused);
    if (source.not || source.values.length !== 1) refused.push('its inner side is not one network');
    if (destination.port !== '' || source.port !== '') refused.push('it names a port');
    return {
      external: textOf(child(item, 'external')),
      internal: source.values[0] ?? '',
      destination,
      compromises: new Set(),
    };
  }

  #translate(
    item: XmlElement,
    model: boolean,
  ): { lines: { prerouting: string[]; postrouting: string[] }; compromises: Set<string> } {
    const refused: string[] = [];
    const compromises: string[] = [];
    readExtras(
      item,
      [
        'external',
        'natreflection',
        'nobinat',
        'interface',
        'source',
        'destination',
        'disabled',
        'ipprotocol',
        'enabled',
        'type',
        'source_net',
        'source_not',
        'destination_net',
        'destination_not',
        'log',
      ],
      refused,
      compromises,
    );
    const ends = this.#ends(item, model, refused);
    if (isOn(child(item, 'nobinat'))) refused.push('an exception from 1:1 NAT (nobinat)');
    if (refused.length > 0) throw new Untranslatable(refused.join('; '));
    for (const one of compromises) ends.compromises.add(one);
    if (/^(enable|purenat)$/.test(textOf(child(item, 'natreflection'))))
      ends.compromises.add('without reflection: from inside use the inner address');
    const { roles, keys } = natRoles(textOf(child(item, 'interface')), this.#world);
    const both = textOf(child(item, 'type')) !== 'nat';
    return { lines: this.#lines(ends, roles, keys, both), compromises: ends.compromises };
  }

  #network(text: string, prefix: number | null): { family: Family; prefix: number; text: string } {
    const address = parseAddress(text);
    const cidr = address ? { ...address, prefix: prefix ?? address.bytes.length * 8 } : parseCidr(text);
    if (!cidr) throw new Untranslatable(`"${text}" is not an address or network`);
    const net = networkOf(cidr);
    return { family: net.family, prefix: net.prefix, text: formatCidr(net) };
  }

  #lines(
    ends: OneToOne,
    roles: string[],
    keys: string[],
    both: boolean,
  ): { prerouting: string[]; postrouting: string[] } {
    const inner = this.#network(ends.internal, null);
    // The file names the first outer address only; the network is as large as the inner one.
    const outer = this.#network(ends.external, inner.prefix);
    if (inner.family !== outer.family || inner.prefix !== outer.prefix)
      throw new Untranslatable('its two sides are not of one size');
    const ip = inner.family === 4 ? 'ip' : 'ip6';
    const one = inner.prefix === (inner.family === 4 ? 32 : 128);
    const bare = (text: string) => text.slice(0, text.lastIndexOf('/'));
    const [a, b] = one ? [bare(inner.text), bare(outer.text)] : [inner.text, outer.text];
    const out: MatchContext = { world: this.#world, passes: false, direction: 'out', compromises: ends.compromises };
    const remote = addressAlternatives(ends.destination, inner.family, 'daddr', out, keys);
    if (remote.length === 0) throw new Untranslatable('its two sides can never meet');
    const from = remote.map((text) => text.replace(/\b(ip6?) daddr/g, '$1 saddr'));
    const to = (verb: string, side: string, key: string, value: string) =>
      one ? `${verb} ${ip} to ${value}` : `${verb} ${ip} prefix to ${ip} ${side} map { ${key} : ${value} }`;
    const join = (...parts: string[]) => parts.filter((part) => part !== '').join(' ');
    return {
      prerouting: both
        ? roles.flatMap((role) =>
            from.map((text) => join(`iifname $${role} ${ip} daddr ${b}`, text, to('dnat', 'daddr', b, a))),
          )
        : [],
      postrouting: roles.flatMap((role) =>
        remote.map((text) => join(`oifname $${role} ${ip} saddr ${a}`, text, to('snat', 'saddr', a, b))),
      ),
    };
  }
}

/** Port forwards and 1:1 rules; outbound ones are in pfsense-outbound.ts. */
export function readNat(root: XmlElement, world: World, chains: NatChains): void {
  const section = child(root, 'nat');
  const forwards = new PortForwards(world, chains);
  for (const item of rulesOf(section)) forwards.read(item);
  const pairs = new OneToOnes(world, chains);
  for (const item of childrenOf(section, 'onetoone')) if (item.children.length > 0) pairs.read(item, false);
  for (const item of rulesOf(at(root, 'OPNsense', 'Firewall', 'Filter', 'onetoone'))) pairs.read(item, true);
  const npt = [...childrenOf(section, 'npt'), ...rulesOf(at(root, 'OPNsense', 'Firewall', 'Filter', 'npt'))].filter(
    (item) => item.children.length > 0,
  );
  for (const item of npt) {
    const why = 'IPv6 prefix translation (NPt) is not translated';
    world.ledger.whole('left out', item, why, 'NPt rule');
    chains.oneToOne.push(...untranslated(natHead(item, textOf(child(item, 'descr')), 'NPt'), why));
  }
  for (const one of section?.children ?? [])
    if (one.name === 'separator')
      world.ledger.whole('not needed', one, "a line on the old firewall's pages", 'nat: separator');
}
