/** Aliases of both dialects to nftables sets. */

import { formatAddress, formatCidr, networkOf, parseAddress, parseCidr, sameNetwork } from '../../net/cidr.ts';
import { oneLine } from '../ledger.ts';
import { type Alias, isOne, textOf, type World } from './world.ts';
import { at, child, childrenOf, type XmlElement } from './xml.ts';

/** Aliases in aliases, at most. */
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 100_000;

const ADDRESS_TYPES = new Set(['host', 'network', 'networkgroup']);
const WHY_TYPE: Readonly<Record<string, string>> = {
  url: 'a list that is loaded from a URL',
  url_ports: 'a list that is loaded from a URL',
  urltable: 'a list that is loaded from a URL',
  urltable_ports: 'a list that is loaded from a URL',
  urljson: 'a list that is loaded from a URL',
  geoip: 'countries by a database',
  asn: 'networks of an AS, loaded from outside',
  mac: 'hardware addresses',
  external: 'filled by another program',
  dynipv6host: 'a prefix that changes',
  internal: 'made by the old firewall itself',
  authgroup: 'addresses of logged-in users',
};

/** Names that OPNsense lets stand for a port. */
const WELL_KNOWN: Readonly<Record<string, string>> = {
  ftp: '21',
  ssh: '22',
  telnet: '23',
  smtp: '25',
  domain: '53',
  http: '80',
  pop3: '110',
  ntp: '123',
  'netbios-ns': '137',
  'netbios-dgm': '138',
  'netbios-ssn': '139',
  imap: '143',
  snmp: '161',
  snmptrap: '162',
  bgp: '179',
  ldap: '389',
  https: '443',
  'microsoft-ds': '445',
  isakmp: '500',
  submission: '587',
  ldaps: '636',
  'domain-s': '853',
  imaps: '993',
  pop3s: '995',
  openvpn: '1194',
  pptp: '1723',
  radius: '1812',
  'radius-acct': '1813',
  mysql: '3306',
  'ms-wbt-server': '3389',
  rdp: '3389',
  sip: '5060',
  postgresql: '5432',
  'ipsec-nat-t': '4500',
  'ipsec-msft': '4500',
  l2tp: '1701',
};

/** `80`, `80-90`, `80:90` or a well-known name as nft has it; null: none of these. */
export function portElement(text: string): string | null {
  const known = Object.hasOwn(WELL_KNOWN, text.toLowerCase()) ? WELL_KNOWN[text.toLowerCase()]! : text;
  const [, from, to = from] = /^([0-9]{1,5})(?:[-:]([0-9]{1,5}))?$/.exec(known) ?? [];
  if (from === undefined || to === undefined) return null;
  const [low, high] = [Number(from), Number(to)];
  if (low > high || high > 65_535) return null;
  return low === high ? String(low) : `${low}-${high}`;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/** An address, a network or a range of addresses as nft has it. */
export function addressElement(text: string): { family: 4 | 6; element: string } | null {
  const single = parseAddress(text);
  if (single) return { family: single.family, element: formatAddress(single) };
  const cidr = parseCidr(text);
  if (cidr) return { family: cidr.family, element: formatCidr(networkOf(cidr)) };
  const [from, to] = text.split('-').map((part) => parseAddress(part.trim()));
  if (!from || !to || text.split('-').length !== 2 || from.family !== to.family || compare(from.bytes, to.bytes) > 0)
    return null;
  const [low, high] = [formatAddress(from), formatAddress(to)];
  return { family: from.family, element: low === high ? low : `${low}-${high}` };
}

interface Raw {
  item: XmlElement;
  name: string;
  type: string;
  members: string[];
}

/** pfSense parts members by spaces, and networks may have their masks in an element of their own; OPNsense by lines. */
function rawAliases(root: XmlElement): Raw[] {
  const old = [...childrenOf(child(root, 'aliases'), 'alias')];
  const now = childrenOf(at(root, 'OPNsense', 'Firewall', 'Alias', 'aliases'), 'alias');
  return [...old, ...now].map((item) => {
    const content = child(item, 'content') ?? child(item, 'address');
    const members = textOf(content).split(content?.name === 'content' ? /[\n,]+/ : /[\s,]+/);
    return {
      item,
      name: textOf(child(item, 'name')),
      type: textOf(child(item, 'type')).toLowerCase(),
      members: members.map((one) => one.trim()).filter((one) => one !== ''),
    };
  });
}

class AliasReader {
  readonly #world: World;
  readonly #raw: Map<string, Raw>;
  /** Aliases whose members are in the one that is being read; each counts once, also when they name each other. */
  readonly #inside = new Set<string>();

  constructor(world: World, raw: Raw[]) {
    this.#world = world;
    this.#raw = new Map(raw.map((one) => [one.name, one]));
  }

  read(raw: Raw): void {
    const { ledger, aliases } = this.#world;
    const what = `alias ${raw.name}`;
    if (raw.name === '' || aliases.has(raw.name)) {
      ledger.whole('left out', raw.item, raw.name === '' ? 'it has no name' : 'there are two of that name', what);
      return;
    }
    const kind = raw.type.startsWith('port') ? 'ports' : 'addresses';
    const alias: Alias = {
      name: raw.name,
      kind,
      v4: [],
      v6: [],
      except4: [],
      except6: [],
      nestedExcept: false,
      incomplete: false,
      unusable: null,
    };
    aliases.set(raw.name, alias);
    const enabled = child(raw.item, 'enabled');
    if (enabled && !isOne(enabled)) alias.unusable = 'it was disabled';
    else if (kind === 'addresses' && !ADDRESS_TYPES.has(raw.type))
      alias.unusable = WHY_TYPE[raw.type] ?? `its type ${raw.type || '(none)'} is not known`;
    if (alias.unusable) {
      ledger.whole(alias.unusable === 'it was disabled' ? 'not needed' : 'left out', raw.item, alias.unusable, what);
      return;
    }
    const bad: string[] = [];
    this.#inside.clear();
    this.#inside.add(raw.name);
    this.#fill(alias, raw, bad, 0);
    this.#conclude(raw, alias, bad, what);
  }

  #conclude(raw: Raw, alias: Alias, bad: string[], what: string): void {
    const { ledger } = this.#world;
    const count = alias.v4.length + alias.v6.length;
    for (const name of [
      'name',
      'type',
      'address',
      'content',
      'detail',
      'descr',
      'description',
      'enabled',
      'counters',
      'interface',
      'updatefreq',
      'proto',
      'categories',
      'expire',
      'current_items',
      'last_updated',
      'path_expression',
      'authtype',
      'username',
      'password',
      'apikey',
      'url',
    ]) {
      ledger.use(...childrenOf(raw.item, name).filter((one) => one.children.length === 0));
    }
    if (count === 0) {
      alias.unusable = 'it has no member that could be used';
      ledger.note(
        'left out',
        raw.item,
        `${alias.unusable}${bad.length > 0 ? `: ${bad.slice(0, 10).join(', ')}` : ''}`,
        what,
      );
      return;
    }
    alias.nestedExcept = hasNested(alias.v4, alias.except4) || hasNested(alias.v6, alias.except6);
    alias.incomplete = bad.length > 0;
    const detail =
      bad.length > 0
        ? `without ${bad.length} of its members (no address: names are not followed): ${bad.slice(0, 10).join(', ')}`
        : `a set of ${count}`;
    ledger.note(bad.length > 0 ? 'approximated' : 'translated', raw.item, detail, what);
  }

  #fill(alias: Alias, raw: Raw, bad: string[], depth: number): void {
    for (const member of raw.members) {
      if (alias.v4.length + alias.v6.length >= MAX_ELEMENTS) {
        if (!bad.includes('too many members')) bad.push('too many members');
        return;
      }
      const nested = this.#raw.get(member);
      if (nested) this.#nested(alias, nested, bad, depth);
      else if (alias.kind === 'ports') this.#take(alias.v4, portElement(member), member, bad);
      else {
        const excluded = member.startsWith('!');
        const found = addressElement(excluded ? member.slice(1).trim() : member);
        const [four, six] = excluded ? [alias.except4, alias.except6] : [alias.v4, alias.v6];
        this.#take(found?.family === 6 ? six : four, found?.element ?? null, member, bad);
      }
    }
  }

  #nested(alias: Alias, nested: Raw, bad: string[], depth: number): void {
    if (this.#inside.has(nested.name)) return;
    this.#inside.add(nested.name);
    const fits = (nested.type.startsWith('port') ? 'ports' : 'addresses') === alias.kind;
    const usable = alias.kind === 'ports' || ADDRESS_TYPES.has(nested.type);
    if (depth >= MAX_DEPTH || !fits || !usable) bad.push(oneLine(nested.name, 60));
    else this.#fill(alias, nested, bad, depth + 1);
  }

  #take(into: string[], element: string | null, member: string, bad: string[]): void {
    if (element === null) bad.push(oneLine(member, 60));
    else if (!into.includes(element) || into.length > 1000) into.push(element);
  }
}

/** Is one of `members` inside of one of `excepted` (or the same)? Ranges are taken for "perhaps". */
function hasNested(members: readonly string[], excepted: readonly string[]): boolean {
  const net = (text: string) => parseCidr(text) ?? parseCidr(`${text}/${text.includes(':') ? 128 : 32}`);
  return excepted.some((outer) =>
    members.some((inner) => {
      const [a, b] = [net(outer), net(inner)];
      if (a === null || b === null) return true;
      return b.prefix >= a.prefix && sameNetwork(a, b, a.prefix);
    }),
  );
}

export function readAliases(root: XmlElement, world: World): void {
  const raw = rawAliases(root);
  const reader = new AliasReader(world, raw);
  for (const one of raw) reader.read(one);
}
