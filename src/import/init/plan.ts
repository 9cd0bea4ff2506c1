/** The answers of `carpio init`, checked: everything that the two files are made of. Pure. */

import {
  type Cidr,
  equalAddress,
  formatAddress,
  formatCidr,
  networkOf,
  notAssignable,
  notUnicast,
  parseAddress,
  parseCidr,
} from '../../net/cidr.ts';
import { isDevice, isNodeName } from '../roles.ts';

export interface Question {
  /** Name of the option, and key of the answer. */
  key: Key;
  /** Asked at a terminal. */
  text: string;
  example: string;
  needed: boolean;
}

export const KEYS = ['name', 'wan', 'lan', 'sync', 'wan-vip', 'lan-vip', 'peer', 'advskew'] as const;
export type Key = (typeof KEYS)[number];
export type Answers = Partial<Record<Key, string>>;

/** In the order in which they are asked. */
export const QUESTIONS: readonly Question[] = [
  { key: 'name', text: "This node's name", example: 'fw-a', needed: true },
  { key: 'wan', text: 'Device towards the internet', example: 'eth0', needed: true },
  { key: 'lan', text: 'Device towards your network', example: 'eth1', needed: true },
  { key: 'sync', text: 'Device of the cable to the other box (empty: none)', example: 'eth2', needed: false },
  { key: 'wan-vip', text: 'Shared address on the internet side, with prefix', example: '203.0.113.1/24', needed: true },
  { key: 'lan-vip', text: 'Shared address on the inner side, with prefix', example: '192.168.1.1/24', needed: true },
  {
    key: 'peer',
    text: "The other box's own address on the sync link (empty: found by multicast)",
    example: '10.99.0.2',
    needed: false,
  },
  { key: 'advskew', text: '0 on the box that shall be master, 100 on the other', example: '0', needed: false },
];

export interface Plan {
  name: string;
  wan: string;
  lan: string;
  /** `null`: no cable of its own; states then go over the inner network. */
  sync: string | null;
  wanVips: string[];
  lanVips: string[];
  peer: string | null;
  advskew: number;
}

type PlanResult = { ok: true; plan: Plan } | { ok: false; key: Key; error: string };

/** Why an answer cannot be taken, or null. Empty answers are the caller's. */
export function answerTrouble(key: Key, text: string): string | null {
  if (key === 'name')
    return isNodeName(text)
      ? null
      : 'allowed 1 to 63 letters, digits, ".", "_" or "-", beginning and ending with a letter or digit';
  if (key === 'wan' || key === 'lan' || key === 'sync')
    return isDevice(text) ? null : 'allowed a device name of 1 to 15 characters, as ip link shows it';
  if (key === 'advskew') return /^[0-9]{1,3}$/.test(text) && Number(text) <= 240 ? null : 'allowed 0..240';
  if (key === 'peer') {
    const address = parseAddress(text);
    const odd = address ? notUnicast(address) : null;
    return address && !odd
      ? null
      : `allowed one address without prefix, as in 10.99.0.2${odd ? ` (this is ${odd})` : ''}`;
  }
  return vipTrouble(text);
}

function vipTrouble(text: string): string | null {
  const allowed = 'allowed addresses with prefix, parted by commas, as in 203.0.113.1/24,2001:db8::1/64';
  for (const one of text.split(',')) {
    const cidr = parseCidr(one);
    if (!cidr) return allowed;
    const odd = notAssignable(cidr);
    if (odd) return `${one} is ${odd}; ${allowed}`;
  }
  return null;
}

const cidrs = (text: string): Cidr[] => text.split(',').map((one) => parseCidr(one)!);

/** Rules between answers. */
function together(answers: Record<Key, string>): { key: Key; error: string } | null {
  const { wan, lan, sync, peer } = answers;
  if (lan === wan) return { key: 'lan', error: `found ${lan} for wan and lan, allowed two devices` };
  if (sync !== '' && (sync === wan || sync === lan))
    return {
      key: 'sync',
      error: `found ${sync}, which is wan or lan already; leave it out when there is no cable of its own`,
    };
  const all = [...cidrs(answers['wan-vip']), ...cidrs(answers['lan-vip'])];
  const twice = all.find((cidr, index) => all.findIndex((other) => equalAddress(other, cidr)) < index);
  if (twice) return { key: 'lan-vip', error: `found ${formatCidr(twice)} twice, allowed each address once` };
  const own = peer === '' ? null : parseAddress(peer);
  if (own && all.some((cidr) => equalAddress(cidr, own)))
    return { key: 'peer', error: `found ${peer}, a shared address, allowed the other box's own one` };
  if (
    !cidrs(answers['lan-vip']).some((cidr) => cidr.family === 4) &&
    cidrs(answers['wan-vip']).some((cidr) => cidr.family === 4)
  ) {
    return { key: 'lan-vip', error: 'found no IPv4 address, but wan has one; NAT needs both' };
  }
  return null;
}

/** @param answers complete for what is needed; anything else counts as empty */
export function makePlan(answers: Answers): PlanResult {
  const all = Object.fromEntries(KEYS.map((key) => [key, answers[key] ?? ''])) as Record<Key, string>;
  for (const { key, needed } of QUESTIONS) {
    if (all[key] === '' && needed) return { ok: false, key, error: 'is missing' };
    const trouble = all[key] === '' ? null : answerTrouble(key, all[key]);
    if (trouble) return { ok: false, key, error: `found ${JSON.stringify(all[key].slice(0, 60))}, ${trouble}` };
  }
  const odd = together(all);
  if (odd) return { ok: false, ...odd };
  const { name, wan, lan, sync, peer } = all;
  const vips = (key: Key) => cidrs(all[key]).map(formatCidr);
  const address = peer === '' ? null : formatAddress(parseAddress(peer)!);
  const advskew = Number(all.advskew || '0');
  return {
    ok: true,
    plan: {
      name,
      wan,
      lan,
      sync: sync || null,
      wanVips: vips('wan-vip'),
      lanVips: vips('lan-vip'),
      peer: address,
      advskew,
    },
  };
}

/** The networks of these addresses, each once. */
export function networksOf(vips: readonly string[], family: 4 | 6): string[] {
  const nets = vips.map((text) => parseCidr(text)!).filter((cidr) => cidr.family === family);
  return [...new Set(nets.map((cidr) => formatCidr(networkOf(cidr))))];
}

/** The first address of a family, without its prefix. */
export function firstAddress(vips: readonly string[], family: 4 | 6): string | null {
  const found = vips.map((text) => parseCidr(text)!).find((cidr) => cidr.family === family);
  return found ? formatAddress(found) : null;
}
