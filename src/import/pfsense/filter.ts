/**
 * Filter rules to nftables, in pf's order: floating rules that are quick, then those of groups, then those of each
 * interface; of the rules that are not quick the last match counts, so they come behind all others, from last to first.
 */

import { oneLine } from '../ledger.ts';
import {
  addressAlternatives,
  type MatchContext,
  product,
  transportCondition,
  Untranslatable,
  withFamily,
} from './match.ts';
import { type FilterRule, readFilterRule, readModelRule, resolveInterfaces, rulesOf } from './rule.ts';
import type { World } from './world.ts';
import { at, child, type XmlElement } from './xml.ts';

/** Lines of the rules file for each chain, comments among them. */
export class Chains {
  /** Floating and group rules, quick. */
  readonly first: string[] = [];
  /** By role. */
  readonly from = new Map<string, string[]>();
  /** Rules that are not quick, in the order of the file; they are written from last to first. */
  readonly last: string[][] = [];
  readonly out: string[] = [];
  readonly outLast: string[][] = [];
}

const VERDICTS: Readonly<Record<string, { in: string; out: string }>> = {
  pass: { in: 'accept', out: 'return' },
  block: { in: 'drop', out: 'drop' },
  reject: { in: 'reject', out: 'reject' },
};

const FLAGS = new Set(['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr']);

function flagCondition({ tcpFlags, transport }: FilterRule): string {
  if (!tcpFlags) return '';
  if (transport.protocol.toLowerCase() !== 'tcp') throw new Untranslatable('TCP flags without protocol tcp');
  const { set, of } = tcpFlags;
  const unknown = [...set, ...of].find((flag) => !FLAGS.has(flag));
  if (unknown !== undefined || set.some((flag) => !of.includes(flag)))
    throw new Untranslatable('TCP flags that cannot be');
  return `tcp flags & (${of.join(' | ')}) == ${set.length > 0 ? `(${set.join(' | ')})` : '0x0'}`;
}

/** A log prefix that is safe inside of quotes, and short enough for the kernel. */
function logPrefix(rule: FilterRule): string {
  if (!rule.log) return '';
  const text = rule.label
    .replace(/[^A-Za-z0-9 ._:/()-]+/g, '')
    .slice(0, 60)
    .trim();
  return `log prefix "${text || `line ${rule.item.line}`}: "`;
}

/** pf answers TCP with a reset and the rest with ICMP. */
function rejects(rule: FilterRule): { match: string; verdict: string }[] {
  const verdict = 'reject with tcp reset';
  const other = { match: '', verdict: 'reject' };
  const protocol = rule.transport.protocol.toLowerCase();
  if (protocol === 'tcp') return [{ match: '', verdict }];
  return protocol === '' || protocol === 'any' || protocol === 'tcp/udp'
    ? [{ match: 'meta l4proto tcp', verdict }, other]
    : [other];
}

const commentOf = (compromises: ReadonlySet<string>) =>
  compromises.size > 0 ? [`#   approximated: ${oneLine([...compromises].join('; '), 300)}`] : [];

interface Place {
  add(lines: string[]): void;
}

interface Lines {
  in: string[];
  out: string[];
}

export class FilterReader {
  readonly #world: World;
  readonly chains = new Chains();

  constructor(world: World) {
    this.#world = world;
    for (const one of world.interfaces.values()) this.chains.from.set(one.role, []);
  }

  read(root: XmlElement): void {
    const section = child(root, 'filter');
    const opnsense = root.name === 'opnsense';
    const old = rulesOf(section).map((item) => readFilterRule(item, opnsense));
    const model = rulesOf(at(root, 'OPNsense', 'Firewall', 'Filter', 'rules')).map(readModelRule);
    // OPNsense generates the rules of its newer model before the older ones of the same kind.
    const rules = [...model, ...old];
    const isGroup = (rule: FilterRule) => resolveInterfaces(rule.interfaces, this.#world).group;
    const groupRank = (rule: FilterRule) => Math.min(...rule.interfaces.map((name) => this.#world.groupRank(name)));
    // pf takes floating rules before those of groups, and these before those of interfaces.
    const staged = [
      ...rules.filter((rule) => rule.floating),
      // Groups in the order of their <sequence>; the sort is stable.
      ...rules.filter((rule) => !rule.floating && isGroup(rule)).sort((a, b) => groupRank(a) - groupRank(b)),
      ...rules.filter((rule) => !rule.floating && !isGroup(rule)),
    ];
    for (const rule of staged) this.#rule(rule);
    for (const one of section?.children ?? []) {
      if (one.name === 'separator')
        this.#world.ledger.whole('not needed', one, "a line on the old firewall's pages", 'filter: separator');
    }
  }

  #rule(rule: FilterRule): void {
    const { ledger } = this.#world;
    const { keys } = resolveInterfaces(rule.interfaces, this.#world);
    const place = this.#place(rule, keys);
    const what = this.#name(rule);
    const head = `# line ${rule.item.line}: ${oneLine(rule.label || what, 120)}`;
    const compromises = new Set(rule.compromises);
    const lines = rule.disabled ? 'it was disabled' : this.#translate(rule, compromises);
    if (typeof lines === 'string' || rule.refused.length > 0) {
      this.#leave(rule, place, head, lines);
      return;
    }
    ledger.whole(compromises.size > 0 ? 'approximated' : 'translated', rule.item, [...compromises].join('; '), what);
    const text = [head, ...commentOf(compromises)];
    if (lines.in.length > 0) place.add([...text, ...lines.in]);
    if (lines.out.length === 0) return;
    if (rule.quick) this.chains.out.push(...text, ...lines.out);
    else this.chains.outLast.push([...text, ...lines.out]);
  }

  #name(rule: FilterRule): string {
    const where = rule.interfaces.join(', ') || 'any interface';
    return `rule ${rule.action || 'without action'} on ${where}${rule.label ? ` (${rule.label})` : ''}`;
  }

  /** A rule that stays a comment; with the text that it would have been, where there is one. */
  #leave(rule: FilterRule, place: Place, head: string, lines: Lines | string): void {
    const { ledger } = this.#world;
    const off = typeof lines === 'string' && /disabled$/.test(lines);
    const why = off ? lines : [...rule.refused, ...(typeof lines === 'string' ? [lines] : [])].join('; ');
    ledger.whole(off ? 'not needed' : 'left out', rule.item, why, this.#name(rule));
    if (!off && (rule.action === 'block' || rule.action === 'reject')) {
      ledger.advise(
        `line ${rule.item.line}: a ${rule.action} rule was left out: what it stopped may pass by a later rule`,
      );
    }
    const would = typeof lines === 'string' ? [] : [...lines.in, ...lines.out].slice(0, 4);
    place.add([head, `#   not translated: ${oneLine(why, 300)}`, ...would.map((text) => `#   would be: ${text}`)]);
  }

  /** @returns its lines, or why there are none */
  #translate(rule: FilterRule, compromises: Set<string>): Lines | string {
    const { keys, unknown, disabled } = resolveInterfaces(rule.interfaces, this.#world);
    try {
      if (!Object.hasOwn(VERDICTS, rule.action))
        throw new Untranslatable(rule.action === '' ? 'it says neither pass nor block' : `action "${rule.action}"`);
      if (unknown.length > 0) throw new Untranslatable(`interface ${unknown.join(', ')} is not a role`);
      if (keys.length === 0 && disabled.length > 0) return `its interface ${disabled.join(', ')} was disabled`;
      if (!rule.floating && keys.length === 0) throw new Untranslatable('it names no interface');
      return this.#lines(rule, keys, compromises);
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      return error.message;
    }
  }

  /** Where the rule's lines for incoming packets (or its comment) go. */
  #place(rule: FilterRule, keys: readonly string[]): Place {
    const role = keys.length === 1 ? this.#world.interfaces.get(keys[0]!)?.role : undefined;
    const own = role === undefined ? undefined : this.chains.from.get(role);
    if (!rule.quick) return { add: (lines) => this.chains.last.push(lines) };
    if (!rule.floating && own && !resolveInterfaces(rule.interfaces, this.#world).group)
      return { add: (lines) => own.push(...lines) };
    return { add: (lines) => this.chains.first.push(...lines) };
  }

  #lines(rule: FilterRule, keys: readonly string[], compromises: Set<string>): Lines {
    const inward = rule.direction !== 'out' ? this.#direction(rule, keys, 'in', compromises) : [];
    const outward = rule.direction !== 'in' ? this.#direction(rule, keys, 'out', compromises) : [];
    if (outward.length > 0) compromises.add('outgoing packets are seen before their source is translated');
    if (inward.length + outward.length === 0) throw new Untranslatable('its source and destination can never meet');
    return { in: inward, out: outward };
  }

  #direction(rule: FilterRule, keys: readonly string[], direction: 'in' | 'out', compromises: Set<string>): string[] {
    const context: MatchContext = { world: this.#world, passes: rule.action === 'pass', direction, compromises };
    const found: string[] = [];
    for (const family of rule.families) {
      const sources = addressAlternatives(rule.source, family, 'saddr', context, keys);
      const destinations = addressAlternatives(rule.destination, family, 'daddr', context, keys);
      const transport = transportCondition(rule.transport, family, context);
      for (const text of product([sources, destinations, [transport], [flagCondition(rule)]]))
        found.push(withFamily(text, family));
    }
    const both =
      rule.families.length === 2 &&
      found.length === 2 &&
      found[0]!.replace('meta nfproto ipv4', '') === found[1]!.replace('meta nfproto ipv6', '');
    const conditions = both ? [found[0]!.replace('meta nfproto ipv4', '').trim()] : found;
    const verdict = VERDICTS[rule.action]![direction];
    const verdicts = verdict === 'reject' ? rejects(rule) : [{ match: '', verdict }];
    const where = this.#interfaceMatch(rule, keys, direction);
    const join = (...parts: string[]) => parts.filter((part) => part !== '').join(' ');
    return where.flatMap((device) =>
      conditions.flatMap((text) => verdicts.map((one) => join(device, text, one.match, logPrefix(rule), one.verdict))),
    );
  }

  #interfaceMatch(rule: FilterRule, keys: readonly string[], direction: 'in' | 'out'): string[] {
    const word = direction === 'in' ? 'iifname' : 'oifname';
    const { group } = resolveInterfaces(rule.interfaces, this.#world);
    if (!rule.floating && !group && rule.quick && direction === 'in' && !rule.interfaceNot) return [''];
    const roles = keys.map((key) => this.#world.interfaces.get(key)!.role);
    if (rule.interfaceNot) return [roles.map((role) => `${word} != $${role}`).join(' ')];
    return roles.length === 0 ? [''] : roles.map((role) => `${word} $${role}`);
  }
}
