/** What the parts of the NAT import share: the chains, roles, single addresses. */

import { parseAddress } from '../../net/cidr.ts';
import { oneLine } from '../ledger.ts';
import { type End, Untranslatable } from './match.ts';
import { resolveInterfaces } from './rule.ts';
import type { Family, World } from './world.ts';
import type { XmlElement } from './xml.ts';

export class NatChains {
  readonly prerouting: string[] = [];
  readonly postrouting: string[] = [];
  /** 1:1 NAT inwards: behind the forwards, which pf evaluates first. */
  readonly oneToOneIn: string[] = [];
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
