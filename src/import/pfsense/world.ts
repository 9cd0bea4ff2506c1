/** What the parts of the pfSense/OPNsense import share: roles, networks, aliases, names of sets. */

import { type Cidr, formatCidr, networkOf, parseCidr } from '../../net/cidr.ts';
import type { Draft } from '../draft.ts';
import type { Ledger } from '../ledger.ts';
import type { XmlElement } from './xml.ts';

export type Family = 4 | 6;

export interface PfInterface {
  /** wan, lan, opt1 … as the file names it. */
  key: string;
  role: string;
  /** Its networks as the file gives them; empty when they come from outside (DHCP, track6 …). */
  networks: Cidr[];
  /** Families whose addresses it gets from elsewhere: their networks are not in the file. */
  dynamic: Family[];
  /** It leads to the outside: it has a gateway, or gets its address from there. */
  outside: boolean;
  blockPrivate: boolean;
  blockBogons: boolean;
}

export interface Alias {
  name: string;
  kind: 'addresses' | 'ports';
  /** nft elements; for ports `v4` holds them. */
  v4: string[];
  v6: string[];
  /** Excluded members. */
  except4: string[];
  except6: string[];
  /** A member lies inside of an excluded network: pf takes the more specific one. */
  nestedExcept: boolean;
  /** Some of its members could not be translated, so it matches less than before. */
  incomplete: boolean;
  /** Why nothing of it could be used, or null. */
  unusable: string | null;
}

interface NftSet {
  name: string;
  type: 'ipv4_addr' | 'ipv6_addr' | 'inet_service';
  elements: string[];
  note: string;
}

export class World {
  readonly draft: Draft;
  readonly ledger: Ledger;
  readonly interfaces = new Map<string, PfInterface>();
  /** Interfaces that were switched off: they are no roles. */
  readonly disabled = new Set<string>();
  /** Virtual addresses that are not CARP's (alias, proxy ARP, other), by interface key. */
  readonly otherVirtual = new Map<string, string[]>();
  /** Groups of interfaces: name -> keys. */
  readonly groups = new Map<string, string[]>();
  /** `<sequence>` of a group, where it has one. */
  readonly groupSequence = new Map<string, number>();
  readonly aliases = new Map<string, Alias>();
  readonly #sets = new Map<string, NftSet>();
  readonly #names = new Set<string>();

  constructor(draft: Draft, ledger: Ledger) {
    this.draft = draft;
    this.ledger = ledger;
  }

  /** The sets that rules have asked for, in the order in which they did. */
  sets(): NftSet[] {
    return [...this.#sets.values()];
  }

  /** The name of a set with these elements, made at the first call for `key`. */
  set(key: string, wanted: string, type: NftSet['type'], elements: string[], note: string): string {
    const known = this.#sets.get(key);
    if (known) return known.name;
    // The ending keeps names apart from the words of nft.
    const ending = type === 'ipv4_addr' ? '_4' : type === 'ipv6_addr' ? '_6' : '_ports';
    const base =
      `${wanted
        .replace(/_?ports$/i, type === 'inet_service' ? '' : '$&')
        .replace(/[^A-Za-z0-9_]/g, '_')
        .replace(/^[^A-Za-z]+/, '')}`.slice(0, 40) || 'set';
    let name = `${base}${ending}`;
    for (let n = 2; this.#names.has(name); n++) name = `${base}${n}${ending}`;
    this.#names.add(name);
    this.#sets.set(key, { name, type, elements, note });
    return name;
  }

  /** The networks of an interface as a set, or null when it has none of that family. */
  networkSet(one: PfInterface, family: Family): string | null {
    const networks = one.networks.filter((net) => net.family === family).map((net) => formatCidr(networkOf(net)));
    if (networks.length === 0) return null;
    const type = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
    return this.set(`net ${one.key} ${family}`, `${one.role}_net`, type, networks, `networks of ${one.role}`);
  }

  /** As `networkSet`, with the networks of the virtual addresses there; null when they are not in the file. */
  ownNetworkSet(one: PfInterface, family: Family): string | null {
    const virtual = this.draft.vips.filter((vip) => vip.role === one.role).flatMap((vip) => vip.addresses);
    const all = [...one.networks, ...virtual.map((text) => parseCidr(text)!)].filter((net) => net.family === family);
    if (all.length === 0 || one.dynamic.includes(family)) return null;
    const elements = [...new Set(all.map((net) => formatCidr(networkOf(net))))];
    const same = elements.length === 1 && one.networks.some((net) => net.family === family);
    if (same) return this.networkSet(one, family);
    const type = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
    const note = `networks of ${one.role} and its virtual addresses`;
    return this.set(`own ${one.key} ${family}`, `${one.role}_own`, type, elements, note);
  }

  /** Groups without a number come first, as number 0. */
  groupRank(name: string): number {
    return this.groupSequence.get(name) ?? 0;
  }

  /** Virtual addresses of an interface, of every kind that the file has. */
  virtualAddresses(one: PfInterface, family: Family): string[] {
    const carp = this.draft.vips.filter((vip) => vip.role === one.role).flatMap((vip) => vip.addresses);
    const bare = [...carp, ...(this.otherVirtual.get(one.key) ?? [])].map((text) => text.replace(/\/.*/, ''));
    return [...new Set(bare)].filter((text) => text.includes(':') === (family === 6));
  }

  outside(): PfInterface[] {
    return [...this.interfaces.values()].filter((one) => one.outside);
  }
}

/** An element that is there, and is not one of the ways to write "no". */
export function isOn(element: XmlElement | null): boolean {
  return element !== null && !/^(0|no|off|false|disabled)$/i.test(element.text);
}

/** OPNsense writes 1 and 0, pfSense lets the element be there or not; an empty element of the new models means no. */
export function isOne(element: XmlElement | null): boolean {
  return element !== null && /^(1|yes|on|true|enabled)$/i.test(element.text);
}

/** Text, or empty. */
export function textOf(element: XmlElement | null): string {
  return element?.text ?? '';
}

/** Address and prefix length of the file as a Cidr. */
export function cidrOf(address: string, bits: string): Cidr | null {
  return parseCidr(`${address}/${bits}`);
}
