/**
 * The expressions of `carpio states --filter`: terms with spaces between them, all of which must hold. Pure; the node
 * uses the same code, so that what is filtered out never crosses the socket.
 *
 *   TERM   KEY=VALUE[,VALUE...]   one of the values fits
 *          KEY!=VALUE[,VALUE...]  none of them fits
 */

import { type Cidr, parseAddress, parseCidr, sameNetwork } from '../net/cidr.ts';
import { nearest } from './nearest.ts';
import type { StateView, TupleView } from './state-view.ts';

export type StateTest = (state: StateView) => boolean;

type FilterResult = { ok: true; test: StateTest } | { ok: false; error: string };

const MAX_LENGTH = 4096;
const MAX_TERMS = 64;

/** Makes the test for one value, or says (`string`) what is allowed instead. */
type Key = { what: string; make: (value: string) => StateTest | string };

function addressKey(pick: (state: StateView) => readonly string[]): Key {
  const what = 'an address or a network, as in 192.0.2.1 or 192.0.2.0/24';
  const make = (value: string): StateTest | string => {
    const host = parseAddress(value);
    const wanted: Cidr | null = host ? { ...host, prefix: host.bytes.length * 8 } : parseCidr(value);
    if (!wanted) return what;
    const inside = (text: string): boolean => {
      const address = parseAddress(text);
      return address !== null && sameNetwork(address, wanted, wanted.prefix);
    };
    return (state) => pick(state).some(inside);
  };
  return { what, make };
}

function numberKey(max: number, pick: (state: StateView) => readonly (number | null | undefined)[]): Key {
  const what = `a number or a range in 0..${max}, as in 443 or 1000-2000`;
  const make = (value: string): StateTest | string => {
    const [, first, last = first] =
      /^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})(?:-(0x[0-9a-fA-F]{1,8}|[0-9]{1,10}))?$/.exec(value) ?? [];
    const low = Number(first);
    const high = Number(last);
    if (first === undefined || low > high || high > max) return what;
    return (state) => pick(state).some((n) => typeof n === 'number' && n >= low && n <= high);
  };
  return { what, make };
}

function wordKey(
  what: string,
  values: readonly string[] | null,
  pick: (state: StateView, value: string) => boolean,
): Key {
  const make = (value: string): StateTest | string => {
    if (values ? !values.includes(value) : !/^[A-Za-z0-9_-]{1,32}$/.test(value)) return what;
    return (state) => pick(state, value);
  };
  return { what, make };
}

const same = (a: string | null, b: string) => a !== null && a.toLowerCase() === b.toLowerCase();
const port = (pick: (state: StateView) => (number | null)[]) => numberKey(65_535, pick);
const tuples = (state: StateView): TupleView[] => [state.orig, state.reply];

const OWNERS = ['own', 'mirrored', 'unclaimed', 'peer'];
const NATS = ['snat', 'dnat', 'both', 'any', 'none'];

function natFits({ nat }: StateView, value: string): boolean {
  if (value === 'any') return nat !== null;
  if (value === 'none') return nat === null;
  return nat === value || (nat === 'both' && value !== 'both');
}

export const FILTER_KEYS: Readonly<Record<string, Key>> = {
  proto: wordKey('a protocol, as in tcp', null, (state, value) => same(state.proto, value)),
  family: wordKey('4 or 6', ['4', '6'], (state, value) => String(state.family) === value),
  src: addressKey((state) => [state.orig.src]),
  dst: addressKey((state) => [state.orig.dst]),
  sport: port((state) => [state.orig.sport]),
  dport: port((state) => [state.orig.dport]),
  'reply-src': addressKey((state) => [state.reply.src]),
  'reply-dst': addressKey((state) => [state.reply.dst]),
  'reply-sport': port((state) => [state.reply.sport]),
  'reply-dport': port((state) => [state.reply.dport]),
  addr: addressKey((state) => tuples(state).flatMap(({ src, dst }) => [src, dst])),
  port: port((state) => tuples(state).flatMap(({ sport, dport }) => [sport, dport])),
  state: wordKey('a state, as in ESTABLISHED', null, (state, value) => same(state.state, value)),
  status: wordKey('a status bit, as in ASSURED', null, (state, value) => state.status.some((bit) => same(bit, value))),
  nat: wordKey('snat, dnat, both, any or none', NATS, natFits),
  mark: numberKey(0xffffffff, (state) => [state.mark]),
  zone: numberKey(65_535, (state) => [state.zone]),
  label: numberKey(127, (state) => state.labels ?? []),
  helper: wordKey('a helper, as in ftp', null, (state, value) => same(state.helper ?? null, value)),
  owner: wordKey('own, peer (or mirrored) or unclaimed', OWNERS, (state, value) =>
    value === 'peer' ? state.owner === 'mirrored' : state.owner === value,
  ),
  kernel: wordKey('yes or no', ['yes', 'no'], (state, value) => state.kernel === (value === 'yes')),
};

function parseTerm(term: string): StateTest | string {
  const [, name, not, values] = /^([a-z-]+)(!?)=(.*)$/.exec(term) ?? [];
  const shown = JSON.stringify(term.slice(0, 60));
  if (name === undefined) return `${shown} is not KEY=VALUE`;
  const key = Object.hasOwn(FILTER_KEYS, name) ? FILTER_KEYS[name] : undefined;
  if (!key) {
    const near = nearest(name, Object.keys(FILTER_KEYS));
    return `${shown}: unknown key; ${near ? `did you mean ${near}?` : `allowed: ${Object.keys(FILTER_KEYS).join(', ')}`}`;
  }
  const tests: StateTest[] = [];
  for (const value of (values ?? '').split(',')) {
    const test = key.make(value);
    if (typeof test === 'string') return `${shown}: found ${JSON.stringify(value.slice(0, 60))}, allowed ${test}`;
    tests.push(test);
  }
  const any: StateTest = (state) => tests.some((test) => test(state));
  return not === '!' ? (state) => !any(state) : any;
}

/** Parses an expression; the empty one lets everything through. */
export function parseFilter(expression: string): FilterResult {
  if (expression.length > MAX_LENGTH) return { ok: false, error: `filter longer than ${MAX_LENGTH} characters` };
  const terms = expression.split(/\s+/).filter((term) => term !== '');
  if (terms.length > MAX_TERMS) return { ok: false, error: `more than ${MAX_TERMS} terms` };
  const tests: StateTest[] = [];
  for (const term of terms) {
    const test = parseTerm(term);
    if (typeof test === 'string') return { ok: false, error: test };
    tests.push(test);
  }
  return { ok: true, test: (state) => tests.every((test) => test(state)) };
}
