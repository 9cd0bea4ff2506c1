/** Outbound NAT of config.xml: automatic, hybrid, manual, off. */

import { type Cidr, formatAddress, formatCidr, networkOf, parseCidr, sameNetwork } from '../../net/cidr.ts';
import { oneLine } from '../ledger.ts';
import { portElement } from './aliases.ts';
import {
  addressAlternatives,
  type End,
  type MatchContext,
  product,
  transportCondition,
  Untranslatable,
  withFamily,
} from './match.ts';
import { anyEnd, type NatChains, natHead, natRoles, singleAddress, untranslated } from './nat.ts';
import { readEnd, readExtras, rulesOf } from './rule.ts';
import { type Family, isOn, isOne, type PfInterface, textOf, type World } from './world.ts';
import { at, child, childrenOf, type XmlElement } from './xml.ts';

const KNOWN = [
  'interface',
  'protocol',
  'ipprotocol',
  'source',
  'sourceport',
  'destination',
  'dstport',
  'target',
  'targetip',
  'targetip_subnet',
  'natport',
  'staticnatport',
  'nonat',
  'poolopts',
  'source_hash_key',
  'disabled',
  'enabled',
  'log',
  'source_net',
  'source_not',
  'source_port',
  'destination_net',
  'destination_not',
  'destination_port',
  'target_port',
];

/**
 * An address that moves with the role, so that connections through it survive a take-over: the first CARP one there.
 */
function outsideAddress(one: PfInterface, world: World): string | null {
  const found = world.draft.vips.filter((vip) => vip.role === one.role).flatMap((vip) => vip.addresses);
  const first = found.map((text) => parseCidr(text)).find((cidr) => cidr?.family === 4);
  return first ? formatAddress(first) : null;
}

class Outbound {
  readonly #world: World;
  readonly #chains: NatChains;

  constructor(world: World, chains: NatChains) {
    this.#world = world;
    this.#chains = chains;
  }

  rule(item: XmlElement, model: boolean): void {
    const { ledger } = this.#world;
    const label = textOf(child(item, model ? 'description' : 'descr'));
    const what = `outbound NAT on ${textOf(child(item, 'interface'))}${label ? ` (${label})` : ''}`;
    const head = natHead(item, label, what);
    const enabled = child(item, 'enabled');
    const off = model ? enabled !== null && !isOne(enabled) : isOn(child(item, 'disabled'));
    if (off) {
      ledger.whole('not needed', item, 'it was disabled', what);
      this.#chains.postrouting.push(...untranslated(head, 'it was disabled'));
      return;
    }
    try {
      const compromises = new Set<string>();
      const lines = this.#translate(item, model, compromises);
      const note = compromises.size > 0 ? [`#   approximated: ${oneLine([...compromises].join('; '), 300)}`] : [];
      this.#chains.postrouting.push(head, ...note, ...lines);
      ledger.whole(compromises.size > 0 ? 'approximated' : 'translated', item, [...compromises].join('; '), what);
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      ledger.whole('left out', item, error.message, what);
      this.#chains.postrouting.push(...untranslated(head, error.message));
    }
  }

  #ends(item: XmlElement, model: boolean, refused: string[]): { source: End; destination: End } {
    if (model) {
      const end = (name: string): End => ({
        values: [textOf(child(item, `${name}_net`)) || 'any'],
        not: isOne(child(item, `${name}_not`)),
        port: textOf(child(item, `${name}_port`)),
      });
      return { source: end('source'), destination: end('destination') };
    }
    const destination = child(item, 'destination') ? readEnd(child(item, 'destination'), refused) : anyEnd;
    const source = readEnd(child(item, 'source'), refused);
    return {
      source: { ...source, port: textOf(child(item, 'sourceport')) || source.port },
      destination: { ...destination, port: textOf(child(item, 'dstport')) || destination.port },
    };
  }

  #translate(item: XmlElement, model: boolean, compromises: Set<string>): string[] {
    const refused: string[] = [];
    const more: string[] = [];
    readExtras(item, KNOWN, refused, more);
    const { source, destination } = this.#ends(item, model, refused);
    if (refused.length > 0) throw new Untranslatable(refused.join('; '));
    for (const one of more) compromises.add(one);
    const { keys, roles } = natRoles(textOf(child(item, 'interface')), this.#world);
    const exempt = isOn(child(item, 'nonat')) && !(model && !isOne(child(item, 'nonat')));
    const action = exempt ? { family: null, text: 'accept' } : this.#action(item, compromises);
    const protocol = (textOf(child(item, 'protocol')) || 'any').toLowerCase();
    const protocols = protocol === 'tcp/udp' && /:[0-9]/.test(action.text) ? ['tcp', 'udp'] : [protocol];
    if (/:[0-9-]+$/.test(action.text) && action.family === 4 && !/^(tcp|udp|sctp)$/.test(protocols[0]!))
      throw new Untranslatable('it changes the port without tcp or udp');
    const context: MatchContext = { world: this.#world, passes: exempt, direction: 'out', compromises };
    const lines: string[] = [];
    for (const family of this.#families(item, action.family)) {
      for (const one of protocols) {
        const transport = transportCondition(
          { protocol: one, icmp4: '', icmp6: '', sport: source.port, dport: destination.port },
          family,
          context,
        );
        const texts = product([
          addressAlternatives(source, family, 'saddr', context, keys),
          addressAlternatives(destination, family, 'daddr', context, keys),
          [transport],
        ]);
        for (const role of roles)
          lines.push(...texts.map((text) => `oifname $${role} ${withFamily(text, family)} ${action.text}`));
      }
    }
    if (lines.length === 0) throw new Untranslatable('its source, destination and target are of different families');
    return lines;
  }

  #families(item: XmlElement, target: Family | null): Family[] {
    const named = textOf(child(item, 'ipprotocol'));
    const wanted: Family[] =
      named === 'inet6' ? [6] : named === 'inet46' || (named === '' && target !== null) ? [4, 6] : [4];
    return wanted.filter((family) => target === null || family === target);
  }

  #action(item: XmlElement, compromises: Set<string>): { family: Family | null; text: string } {
    const pool = textOf(child(item, 'poolopts'));
    if (pool !== '' && !/^round-robin( sticky-address)?$/.test(pool)) compromises.add('without its pool options');
    const port = this.#port(item);
    let target = textOf(child(item, 'target'));
    if (target === 'other-subnet') {
      const bits = textOf(child(item, 'targetip_subnet'));
      if (bits !== '' && bits !== '32' && bits !== '128') throw new Untranslatable('its target is a network');
      target = textOf(child(item, 'targetip'));
    }
    const own = textOf(child(item, 'interface'));
    if (target === '' || target === `${own}ip`) {
      const advice =
        "outbound NAT to the box's own address ends connections at a take-over; use a virtual address as target";
      this.#world.ledger.advise(advice);
      return { family: null, text: port === '' ? 'masquerade' : `masquerade to :${port}` };
    }
    const { family, text } = singleAddress(target, this.#world);
    const verb = family === 4 ? 'snat ip to' : 'snat ip6 to';
    return { family, text: `${verb} ${port === '' ? text : family === 4 ? `${text}:${port}` : `[${text}]:${port}`}` };
  }

  #port(item: XmlElement): string {
    const port = textOf(child(item, 'natport')) || textOf(child(item, 'target_port'));
    if (port === '') return '';
    const element = portElement(port);
    if (element === null) throw new Untranslatable(`the port "${port}" of its target is not a number`);
    return element;
  }

  /** Networks that automatic NAT hides: those of the inner interfaces, and behind static routes. */
  #inner(root: XmlElement): Cidr[] {
    const own = [...this.#world.interfaces.values()].filter((one) => !one.outside).flatMap((one) => one.networks);
    const routes = childrenOf(child(root, 'staticroutes'), 'route').filter((one) => !isOn(child(one, 'disabled')));
    const behind = routes.map((one) => parseCidr(textOf(child(one, 'network')))).filter((cidr) => cidr !== null);
    const outside = this.#world.outside().flatMap((one) => one.networks);
    const inside = (cidr: Cidr) => !outside.some((net) => sameNetwork(net, cidr, net.prefix));
    return [...own, ...behind]
      .filter((cidr) => cidr.family === 4 && cidr.prefix > 0 && inside(cidr))
      .map((cidr) => networkOf(cidr));
  }

  automatic(root: XmlElement): { lines: string[]; detail: string; same: boolean } {
    const inner = [...new Set(this.#inner(root).map(formatCidr))];
    const outside = this.#world.outside();
    if (inner.length === 0 || outside.length === 0)
      return { lines: [], detail: 'no inner network or no outer interface is in the file: nothing to do', same: true };
    const set = this.#world.set(
      'automatic',
      'automatic_nat',
      'ipv4_addr',
      inner,
      'inner networks for automatic outbound NAT',
    );
    let same = true;
    const lines = outside.map((one) => {
      const address = outsideAddress(one, this.#world);
      if (address === null) {
        this.#world.ledger.advise(
          `outbound NAT on ${one.role} uses the box's own address: connections through it end at a take-over`,
        );
        return `oifname $${one.role} ip saddr @${set} masquerade`;
      }
      same = false;
      return `oifname $${one.role} ip saddr @${set} snat ip to ${address}`;
    });
    const detail = same
      ? `masquerade on ${outside.map((one) => one.role).join(', ')}`
      : 'to the first virtual address there, so that connections survive a take-over; it was the own one of the box';
    return { lines, detail, same };
  }
}

export function readOutbound(root: XmlElement, world: World, chains: NatChains): void {
  const section = at(root, 'nat', 'outbound');
  const advanced = isOn(child(section, 'enable')) && child(section, 'enable') !== null;
  const mode = textOf(child(section, 'mode')) || (advanced ? 'advanced' : 'automatic');
  const outbound = new Outbound(world, chains);
  const rules = [
    // OPNsense generates the rules of its newer model before the older ones.
    ...rulesOf(at(root, 'OPNsense', 'Firewall', 'Filter', 'snatrules')).map((item) => ({ item, model: true })),
    ...rulesOf(section).map((item) => ({ item, model: false })),
  ];
  const off =
    mode === 'disabled'
      ? 'outbound NAT was off'
      : mode === 'automatic'
        ? 'with automatic outbound NAT these rules were not used'
        : null;
  for (const { item, model } of rules) {
    if (off !== null && !model) world.ledger.whole('not needed', item, off, 'outbound NAT rule');
    else outbound.rule(item, model);
  }
  const where = child(section, 'mode') ?? section ?? child(root, 'nat') ?? root;
  if (child(section, 'enable')) world.ledger.use(child(section, 'enable')!);
  if (mode === 'automatic' || mode === 'hybrid') {
    const { lines, detail, same } = outbound.automatic(root);
    chains.postrouting.push(`# ${mode} outbound NAT`, ...lines);
    world.ledger.note(same ? 'translated' : 'approximated', where, detail, `outbound NAT: ${mode}`);
  } else if (mode === 'advanced' || mode === 'disabled')
    world.ledger.note('translated', where, mode === 'disabled' ? 'no NAT' : 'the rules alone', `outbound NAT: ${mode}`);
  else world.ledger.note('left out', where, 'this mode is not known', `outbound NAT: ${mode}`);
}
