/** One state in plain TypeScript, its fingerprint, and random ones. */
import { siphash } from './siphash.ts';

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;
export const ICMPV6 = 58;
export const SCTP = 132;
export const GRE = 47;

export interface Tuple {
  src: Uint8Array;
  dst: Uint8Array;
  /** ICMP: id. */
  sport: number;
  /** ICMP: type << 8 | code. */
  dport: number;
}

/** What few states have (asm/state/extra.ts). */
export interface Extra {
  labels?: Uint8Array;
  helper?: string;
  /** Position, offset before, offset after; original direction, then reply. */
  seq?: number[];
  /** The zone holds for one direction (1 original, 2 reply); `zone`: that of the reply direction. */
  zone?: { direction: 1 | 2; zone: number };
}

export interface State {
  family: 2 | 10;
  proto: number;
  zone: number;
  orig: Tuple;
  reply: Tuple;
  /** SEEN_REPLY 2, ASSURED 4, CONFIRMED 8. */
  status: number;
  mark: number;
  /** TCP or SCTP state. */
  l4: number;
  wscale: [number, number];
  /** TCP flags by direction. */
  flags: [number, number];
  /** SCTP tags. */
  vtags: [number, number] | null;
  timeout: number;
  extra?: Extra;
}

export function hasPorts(proto: number): boolean {
  return [6, 17, 33, 47, 132, 136].includes(proto);
}

export function isIcmp(state: { proto: number; family: number }): boolean {
  return state.family === 2 ? state.proto === ICMP : state.proto === ICMPV6;
}

const ANSWERS: Record<number, number> = { 8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17 };
const ANSWERS6: Record<number, number> = { 128: 129, 129: 128, 139: 140, 140: 139 };

export function icmpAnswer(family: number, type: number): number | undefined {
  return family === 2 ? ANSWERS[type] : ANSWERS6[type];
}

/** The reply tuple without any NAT. */
export function inverse(state: { family: number; proto: number; orig: Tuple }): Tuple {
  const { src, dst, sport, dport } = state.orig;
  if (isIcmp(state)) {
    const answer = icmpAnswer(state.family, dport >> 8) ?? 0;
    return { src: dst, dst: src, sport, dport: (answer << 8) | (dport & 0xff) };
  }
  return { src: dst, dst: src, sport: dport, dport: sport };
}

const CLASSES = [0, 1, 1, 2, 3, 3, 3, 4, 4, 1];

export function coarse(state: State): number {
  return state.proto === TCP ? (CLASSES[state.l4] ?? 0) : 0;
}

/** The words of the rare attributes (asm/state/hash.ts). */
function hashedExtra({ labels, helper, seq, zone }: Extra): Buffer {
  const parts = (labels ? 1 : 0) | (helper ? 2 : 0) | (seq ? 4 : 0) | (zone ? 8 : 0);
  const head = Buffer.alloc(8);
  head.writeUInt8(parts, 0);
  head.writeUInt16LE(zone?.zone ?? 0, 1);
  head.writeUInt8(zone?.direction ?? 0, 3);
  const name = Buffer.alloc(helper ? 16 : 0);
  name.write(helper ?? '');
  return Buffer.concat([head, labels ?? Buffer.alloc(0), name, numbersOf(seq ?? [])]);
}

/** Numbers of 32 bits, big endian. */
export function numbersOf(list: readonly number[]): Buffer {
  const out = Buffer.alloc(4 * list.length);
  list.forEach((value, i) => {
    out.writeUInt32BE(value >>> 0, 4 * i);
  });
  return out;
}

/** The bytes that are hashed (asm/state/hash.ts): the key, and with `value` also what both nodes must agree on. */
/** An established TCP connection through source NAT, told apart by its port: what most tests need. */
export function tcpState(port: number, change: Partial<State> = {}): State {
  const orig = { src: Uint8Array.of(10, 0, 0, 5), dst: Uint8Array.of(198, 51, 100, 80), sport: port, dport: 443 };
  const reply = { ...inverse({ family: 2, proto: TCP, orig }), dst: Uint8Array.of(203, 0, 113, 2) };
  return {
    ...{ family: 2, proto: TCP, zone: 0, orig, reply, status: 0xe, mark: 0, l4: 3 },
    ...{ wscale: [0, 0], flags: [0, 0], vtags: null, timeout: 100 },
    ...change,
  };
}

export function hashed(state: State, value: boolean): Buffer {
  const pair = state.family === 2 ? 8 : 32;
  const out = Buffer.alloc(8 + pair + (value ? pair + 16 : 0));
  out.writeUInt16LE(state.zone, 0);
  out.writeUInt8(state.proto, 2);
  out.writeUInt8(state.family, 3);
  out.writeUInt16LE(state.orig.sport, 4);
  out.writeUInt16LE(state.orig.dport, 6);
  out.set(state.orig.src, 8);
  out.set(state.orig.dst, 8 + pair / 2);
  if (!value) return out;
  out.set(state.reply.src, 8 + pair);
  out.set(state.reply.dst, 8 + pair + pair / 2);
  const at = 8 + 2 * pair;
  out.writeUInt16LE(state.reply.sport, at);
  out.writeUInt16LE(state.reply.dport, at + 2);
  out.writeUInt32LE(state.mark, at + 4);
  out.writeUInt8(coarse(state), at + 8);
  out.writeUInt8(state.status & 6, at + 9);
  return state.extra === undefined ? out : Buffer.concat([out, hashedExtra(state.extra)]);
}

export function keyOf(state: State): string {
  return hashed(state, false).toString('latin1');
}

export function fingerprint(state: State, key: Uint8Array): bigint {
  return siphash(key, hashed(state, true), 1, 3, 128);
}

export function clone(state: State): State {
  return { ...state, orig: { ...state.orig }, reply: { ...state.reply } };
}

/** Repeatable random numbers (mulberry32). */
export function randomSource(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function below(random: () => number, n: number): number {
  return Math.floor(random() * n);
}

function pick<T>(random: () => number, list: readonly T[]): T {
  return list[below(random, list.length)] as T;
}

function address(random: () => number, family: 2 | 10, host: number): Uint8Array {
  if (family === 2) return Uint8Array.of(10, 1 + below(random, 3), host >> 8, host & 0xff);
  const bytes = new Uint8Array(16);
  bytes.set([0x20, 0x01, 0x0d, 0xb8]);
  bytes[7] = below(random, 3);
  bytes[14] = host >> 8;
  bytes[15] = host & 0xff;
  return bytes;
}

/** A random state; `hosts` limits how many keys there are, so that they meet again. */
export function randomState(random: () => number, hosts = 200): State {
  const family = random() < 0.75 ? 2 : 10;
  const proto = pick(random, [TCP, TCP, TCP, UDP, UDP, UDP, family === 2 ? ICMP : ICMPV6, SCTP, GRE, 136, 33, 89]);
  const src = address(random, family, below(random, hosts));
  const dst = address(random, family, 300 + below(random, 4));
  let sport = hasPorts(proto) ? 1024 + below(random, 4) : 0;
  let dport = hasPorts(proto) ? pick(random, [53, 443]) : 0;
  if (isIcmp({ proto, family })) {
    sport = below(random, 4);
    dport = pick(random, family === 2 ? [8, 13] : [128]) << 8;
  }
  const zone = random() < 0.05 ? 5 : 0;
  return randomContent(random, { family, proto, zone, orig: { src, dst, sport, dport } });
}

function randomExtra(random: () => number): Extra {
  const extra: Extra = {};
  if (random() < 0.5) extra.labels = Uint8Array.from({ length: 16 }, (_, i) => (i === 3 ? 1 + below(random, 255) : 0));
  if (random() < 0.5) extra.helper = pick(random, ['ftp', 'sip', 'pptp', 'netbios-ns']);
  if (random() < 0.3 || Object.keys(extra).length === 0) {
    extra.seq = Array.from({ length: 6 }, () => below(random, 0xffffffff));
  }
  return extra;
}

/** Another random content for the same key. */
export function randomContent(random: () => number, key: Pick<State, 'family' | 'proto' | 'zone' | 'orig'>): State {
  const { family, proto, zone, orig } = key;
  const reply = inverse(key);
  if (random() < 0.5) {
    reply.dst = family === 2 ? Uint8Array.of(203, 0, 113, 1) : address(random, 10, 999);
    if (hasPorts(proto)) reply.dport = 20000 + below(random, 3);
    if (isIcmp(key)) reply.sport = 50 + below(random, 3);
  }
  if (random() < 0.1) {
    reply.src = address(random, family, 700);
    if (hasPorts(proto)) reply.sport = 8080;
  }
  const tcp = proto === TCP;
  const assured = random() < 0.6;
  const extra = random() < 0.15 ? randomExtra(random) : null;
  return {
    ...(extra === null ? {} : { extra }),
    family,
    proto,
    zone,
    orig,
    reply,
    status: 8 | 2 | (assured ? 4 : 0),
    mark: random() < 0.1 ? 1 + below(random, 3) : 0,
    l4: tcp ? 2 + below(random, 7) : proto === SCTP ? 1 + below(random, 8) : 0,
    wscale: tcp && random() < 0.7 ? [7, 9] : [0, 0],
    flags: tcp && random() < 0.7 ? [3, 3] : [0, 0],
    vtags: proto === SCTP ? [below(random, 0x7fffffff), below(random, 0x7fffffff)] : null,
    timeout: 1 + below(random, 1000),
  };
}
