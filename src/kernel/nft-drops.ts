/**
 * Which chains drop adverts, sync packets or the peer's packets, whoever made them: a drop is final in nftables, and no
 * table of ours can take it back. Pure; the rules come as `nft -j list ruleset` gives them. Only what is certain is
 * told: a rule that may match, and jumps, count for the chain.
 */
import type { RuleDrop } from '../contract/kernel-probe.ts';
import { equalAddress, parseAddress, sameNetwork } from '../net/cidr.ts';

type Fields = Readonly<Record<string, unknown>>;
type Answer = 'yes' | 'no' | 'maybe';

interface Subject {
  readonly what: string;
  readonly protocol: number | null;
  readonly address: string | null;
}

const PROTOCOL_NAMES: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  'ipv6-icmp': 58,
  vrrp: 112,
  carp: 112,
};
const HOOKS = new Set(['ingress', 'prerouting', 'input', 'output']);
/** Ours: what they drop of these has come from where it may not. */
const OWN = /^(inet|netdev) carpio(_\w+)?$/;

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

/** @param peers addresses of the peer */
export function ruleDrops(ruleset: unknown, peers: readonly string[]): RuleDrop[] {
  const list = fieldsOf(ruleset).nftables;
  const entries = Array.isArray(list) ? list.map(fieldsOf) : [];
  const rules = new Map<string, unknown[]>();
  for (const entry of entries) {
    const { family, table, chain, expr } = fieldsOf(entry.rule);
    const key = `${family} ${table} ${chain}`;
    if (Array.isArray(expr)) rules.set(key, [...(rules.get(key) ?? []), expr]);
  }
  const chains = entries.map((entry) => fieldsOf(entry.chain)).filter(({ type, hook }) => isFilter(type, hook));
  const subjects: Subject[] = [
    { what: 'adverts (protocol 112)', protocol: 112, address: null },
    { what: 'sync packets (protocol 240)', protocol: 240, address: null },
    ...peers.map((address) => ({ what: `packets of the peer ${address}`, protocol: null, address })),
  ];
  return chains.flatMap((chain) => {
    const table = `${chain.family} ${chain.table}`;
    if (OWN.test(table)) return [];
    return subjects.flatMap((subject) => {
      const by = dropOf(chain, rules.get(`${table} ${chain.name}`) ?? [], subject);
      return by === null ? [] : [{ table, chain: String(chain.name), what: subject.what, by }];
    });
  });
}

const isFilter = (type: unknown, hook: unknown): boolean => type === 'filter' && HOOKS.has(String(hook));

/** What in the chain drops the subject for certain; null: nothing. */
function dropOf(chain: Fields, rules: readonly unknown[], subject: Subject): string | null {
  for (const rule of rules) {
    const parts = (Array.isArray(rule) ? rule : []).map(fieldsOf);
    const answers = parts.filter((part) => 'match' in part).map((part) => matches(fieldsOf(part.match), subject));
    if (answers.includes('no')) continue;
    const certain = answers.every((answer) => answer === 'yes') && !parts.some((part) => 'limit' in part);
    const verdict = parts.map((part) => Object.keys(part)[0] ?? '').find((name) => VERDICTS.has(name));
    if (verdict === 'drop' || verdict === 'reject') {
      if (certain) return 'a rule';
    } else if (verdict !== undefined) return null;
  }
  // By a policy alone nobody can tell about a peer's packets of all kinds.
  return chain.policy === 'drop' && subject.protocol !== null ? 'policy drop' : null;
}

const VERDICTS = new Set(['accept', 'drop', 'reject', 'jump', 'goto', 'vmap', 'queue', 'return']);

function matches({ op, left, right }: Fields, subject: Subject): Answer {
  const meta = String(fieldsOf(fieldsOf(left).meta).key ?? '');
  const { protocol, field } = fieldsOf(fieldsOf(left).payload);
  const isProtocol = meta === 'l4proto' || field === 'protocol' || field === 'nexthdr';
  if (isProtocol && subject.protocol !== null)
    return turned(
      op,
      anyOf(right, (one) => isNumber(one, subject.protocol)),
    );
  if ((field === 'saddr' || field === 'daddr') && subject.address !== null && op !== '!=') {
    if (field === 'daddr') return 'maybe';
    return anyOf(right, (one) => holds(one, subject.address ?? ''));
  }
  // They are not tracked, so no state of a connection fits; and they come from no port and not from this box.
  if (subject.protocol !== null && String(fieldsOf(fieldsOf(left).ct).key ?? '') === 'state') {
    return JSON.stringify(right ?? '').includes('untracked') || op === '!=' ? 'maybe' : 'no';
  }
  if (subject.protocol !== null && typeof protocol === 'string' && protocol in PROTOCOL_NAMES) return 'no';
  if ((meta === 'iifname' || meta === 'iif') && right === 'lo') return turned(op, 'no');
  return 'maybe';
}

const turned = (op: unknown, answer: Answer): Answer =>
  op !== '!=' || answer === 'maybe' ? answer : answer === 'yes' ? 'no' : 'yes';

function anyOf(right: unknown, test: (one: unknown) => Answer): Answer {
  const set = fieldsOf(right).set;
  const answers = (Array.isArray(set) ? set : [right]).map(test);
  return answers.includes('yes') ? 'yes' : answers.includes('maybe') ? 'maybe' : 'no';
}

function isNumber(one: unknown, wanted: number | null): Answer {
  const value = typeof one === 'string' ? (PROTOCOL_NAMES[one] ?? Number(one)) : one;
  if (typeof value !== 'number') return 'maybe';
  return value === wanted ? 'yes' : Number.isNaN(value) ? 'maybe' : 'no';
}

function holds(one: unknown, address: string): Answer {
  const { addr, len } = fieldsOf(fieldsOf(one).prefix);
  const wanted = parseAddress(address);
  const found = parseAddress(String(addr ?? one));
  if (wanted === null || found === null) return 'maybe';
  const same = typeof len === 'number' ? sameNetwork(found, wanted, len) : equalAddress(found, wanted);
  return same ? 'yes' : 'no';
}
