/** 1:1 NAT (and what else is left in the NAT section) of config.xml to nftables. */

import { formatCidr, networkOf, parseAddress, parseCidr } from '../../net/cidr.ts';
import { addressAlternatives, type End, type MatchContext, Untranslatable } from './match.ts';
import { anyEnd, type NatChains, natHead, natRoles, untranslated } from './nat.ts';
import { readEnd, readExtras, rulesOf } from './rule.ts';
import { type Family, isOn, isOne, textOf, type World } from './world.ts';
import { at, child, childrenOf, type XmlElement } from './xml.ts';

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
      if (lines.prerouting.length > 0) this.#chains.oneToOneIn.push(head, ...lines.prerouting);
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

export function readOneToOnes(root: XmlElement, world: World, chains: NatChains): void {
  const section = child(root, 'nat');
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
