/** Decodes one record of the state engine's memory for `carpio states`. Layout: asm/state/layout.ts. */
import type { StateView, TupleView } from '../../contract/state-view.ts';
import { formatIp } from '../../net/ip.ts';
import type { Engine } from './engine.ts';

/** Bytes of a record. */
export const RECORD_SIZE = 144;

/** Offsets in a record (asm/state/layout.ts). */
export const FIELD = {
  zone: 8,
  proto: 10,
  family: 11,
  origSport: 12,
  origDport: 14,
  origSrc: 16,
  origDst: 32,
  replySrc: 48,
  replyDst: 64,
  replySport: 80,
  replyDport: 82,
  mark: 84,
  status: 88,
  l4state: 90,
  wscale: 91,
  tcpFlags: 92,
  tag: 93,
  flags: 94,
  fingerprint: 96,
} as const;

const IN_KERNEL = 0x0080;

/** What few connections have, in a block beside the record (asm/state/extra.ts). */
const EXTRA = { size: 32, zoneDirection: 1, zone: 2, helper: 4, labels: 16 } as const;
const HAS = { labels: 1, helper: 2, zone: 8 } as const;
const LABEL_BYTES = 16;
const HELPER_NAME = 16;

const AF_INET = 2;
const TCP = 6;
const SCTP = 132;

const PROTOCOLS: Record<number, string> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  33: 'dccp',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  58: 'icmpv6',
  89: 'ospf',
  132: 'sctp',
  136: 'udplite',
};

/** Protocols whose port fields hold ports or, for GRE, keys. */
const WITH_PORTS = new Set([6, 17, 33, 47, 132, 136]);

const TCP_STATES = [
  'NONE',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2',
];

const SCTP_STATES = [
  'NONE',
  'CLOSED',
  'COOKIE_WAIT',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
  'HEARTBEAT_SENT',
];

/** Bit n of the status is STATUS_BITS[n] (IPS_* of the kernel). */
const STATUS_BITS = [
  'EXPECTED',
  'SEEN_REPLY',
  'ASSURED',
  'CONFIRMED',
  'SRC_NAT',
  'DST_NAT',
  'SEQ_ADJUST',
  'SRC_NAT_DONE',
  'DST_NAT_DONE',
  'DYING',
  'FIXED_TIMEOUT',
  'TEMPLATE',
  'UNTRACKED',
  'HELPER',
  'OFFLOAD',
  'HW_OFFLOAD',
];

function isIcmp(proto: number, family: number): boolean {
  return family === AF_INET ? proto === 1 : proto === 58;
}

/** The state in the record at offset `at` (as `engine.next` returned it). */
export function readState(engine: Engine, at: number): StateView {
  const record = new DataView(engine.memory.buffer, at, RECORD_SIZE);
  const u8 = (field: number): number => record.getUint8(field);
  const u16 = (field: number): number => record.getUint16(field, true);
  const proto = u8(FIELD.proto);
  const family = u8(FIELD.family);
  const tuple = (src: number, dst: number, sport: number, dport: number): TupleView => {
    const ends = { src: address(record, src, family), dst: address(record, dst, family) };
    if (WITH_PORTS.has(proto)) return { ...ends, sport: u16(sport), dport: u16(dport) };
    if (!isIcmp(proto, family)) return { ...ends, sport: null, dport: null };
    return { ...ends, sport: null, dport: null, type: u16(dport) >> 8, code: u16(dport) & 0xff, id: u16(sport) };
  };
  const orig = tuple(FIELD.origSrc, FIELD.origDst, FIELD.origSport, FIELD.origDport);
  const reply = tuple(FIELD.replySrc, FIELD.replyDst, FIELD.replySport, FIELD.replyDport);
  const owner = engine.ownerOf(at);
  const status = u16(FIELD.status);
  return {
    proto: PROTOCOLS[proto] ?? String(proto),
    family: family === AF_INET ? 4 : 6,
    orig,
    reply,
    nat: natOf(orig, reply),
    state: stateName(proto, u8(FIELD.l4state)),
    status: STATUS_BITS.filter((_, bit) => (status & (1 << bit)) !== 0),
    mark: record.getUint32(FIELD.mark, true),
    zone: u16(FIELD.zone),
    ...rare(engine, at),
    owner: owner === 'me' ? 'own' : owner === 'peer' ? 'mirrored' : 'unclaimed',
    kernel: (u16(FIELD.flags) & IN_KERNEL) !== 0,
    // The kernel refreshes timeouts with every packet and tells nobody.
    timeout: null,
  };
}

/** Labels, helper and the zone of one direction; `zone` stands over the record's own when it is of replies only. */
function rare(engine: Engine, at: number): Pick<StateView, 'labels' | 'helper' | 'zone_direction'> & { zone?: number } {
  const offset = engine.x.extraOf(at) >>> 0;
  if (offset === 0) return { labels: [], helper: null, zone_direction: null };
  const block = new DataView(engine.memory.buffer, offset, EXTRA.size);
  const present = block.getUint8(0);
  const replies = (present & HAS.zone) !== 0 && block.getUint8(EXTRA.zoneDirection) === 2;
  return {
    labels: (present & HAS.labels) === 0 ? [] : labelsOf(block),
    helper: (present & HAS.helper) === 0 ? null : helperOf(engine, block.getUint32(EXTRA.helper, true)),
    zone_direction: (present & HAS.zone) === 0 ? null : replies ? 'reply' : 'original',
    ...(replies ? { zone: block.getUint16(EXTRA.zone, true) } : {}),
  };
}

/** The numbers of the bits that are set, as nftables counts them. */
function labelsOf(block: DataView): number[] {
  const bits = Array.from({ length: LABEL_BYTES * 8 }, (_, bit) => bit);
  return bits.filter((bit) => ((block.getUint8(EXTRA.labels + (bit >> 3)) >> (bit & 7)) & 1) === 1);
}

function helperOf(engine: Engine, number: number): string | null {
  if (number === 0) return null;
  const bytes = Buffer.from(engine.memory.buffer, engine.x.helperName(number) >>> 0, HELPER_NAME);
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? HELPER_NAME : end);
}

function address(record: DataView, offset: number, family: number): string {
  return formatIp(new Uint8Array(record.buffer, record.byteOffset + offset, family === AF_INET ? 4 : 16));
}

function stateName(proto: number, state: number): string | null {
  if (proto === TCP) return TCP_STATES[state] ?? null;
  if (proto === SCTP) return SCTP_STATES[state] ?? null;
  return null;
}

function natOf(orig: TupleView, reply: TupleView): StateView['nat'] {
  const source = reply.dst !== orig.src || reply.dport !== orig.sport || reply.id !== orig.id;
  const destination = reply.src !== orig.dst || reply.sport !== orig.dport;
  if (source && destination) return 'both';
  return source ? 'snat' : destination ? 'dnat' : null;
}
