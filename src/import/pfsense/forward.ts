/** Port forwards of config.xml to nftables. */

import { oneLine } from '../ledger.ts';
import { portElement } from './aliases.ts';
import {
  addressAlternatives,
  type End,
  type MatchContext,
  portCondition,
  product,
  transportCondition,
  Untranslatable,
  withFamily,
} from './match.ts';
import { type NatChains, natHead, natRoles, singleAddress, untranslated } from './nat.ts';
import { readEnd, readExtras, rulesOf } from './rule.ts';
import { type Family, isOn, textOf, type World } from './world.ts';
import { child, type XmlElement } from './xml.ts';

/** A range of ports that moves to another range becomes one rule a port; at most so many. */
const MAX_SHIFT = 64;

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
  readonly #opnsense: boolean;

  constructor(world: World, chains: NatChains, opnsense: boolean) {
    this.#opnsense = opnsense;
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
    const opnsense = this.#opnsense;
    const source = readEnd(child(item, 'source'), refused, opnsense);
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
    // The kernel drops a packet from outside that is translated to loopback, and says nothing.
    if (/^127\.|^::1$/.test(target.text)) throw new Untranslatable(`its target ${target.text} is the box itself`);
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
    if (textOf(child(item, 'pass')) === 'rule')
      forward.compromises.add('what it forwards is let in before the other filter rules are asked');
    if (textOf(child(item, 'associated-rule-id')) === 'pass' || /^(pass|rule)$/.test(textOf(child(item, 'pass'))))
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

  /**
   * A forward with "pass" needs no filter rule: exactly what it has translated is let in, from its own sources and by
   * its own original address and port. Another forward, or a 1:1 mapping, to the same host and port is not.
   */
  #pass(
    forward: Forward,
    target: { family: Family; text: string },
    moves: { from: string; to: string }[],
    protocols: string[],
  ): void {
    const { family } = target;
    const daddr = `${family === 4 ? 'ip' : 'ip6'} daddr ${target.text}`;
    const context: MatchContext = {
      world: this.#world,
      passes: true,
      direction: 'in',
      compromises: forward.compromises,
    };
    const from = addressAlternatives(forward.source, family, 'saddr', context, forward.keys);
    const by = addressAlternatives(forward.destination, family, 'daddr', context, forward.keys).map(original);
    for (const role of forward.roles) {
      for (const protocol of protocols) {
        for (const move of moves) {
          const ports = { protocol, icmp4: '', icmp6: '', sport: forward.source.port, dport: move.to || move.from };
          const transport = transportCondition(ports, family, context);
          const port = portCondition(move.from, 'dport', context).replace(/^dport/, 'ct original proto-dst');
          for (const ends of product([from, by])) {
            const parts = [`iifname $${role} ct status dnat`, daddr, transport, ends, port, 'accept'];
            this.#chains.forwarded.push(parts.filter((one) => one !== '').join(' '));
          }
        }
      }
    }
  }
}

/**
 * A condition on the destination as it was before translation; which addresses are the box's own is not known of it.
 */
function original(text: string): string {
  return text
    .replace(/(?:meta nfproto ipv[46] )?fib daddr(?: \. iif)? type local ?/g, '')
    .replace(/\b(ip6?) daddr/g, 'ct original $1 daddr')
    .trim();
}

export function readForwards(root: XmlElement, world: World, chains: NatChains): void {
  const forwards = new PortForwards(world, chains, root.name === 'opnsense');
  for (const item of rulesOf(child(root, 'nat'))) forwards.read(item);
}
