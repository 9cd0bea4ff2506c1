/** Decodes one state of the engine's memory for `carpio states`, by the offsets that the module exports. */
import type { StateView, TupleView } from '../../contract/state-view.ts';
import { formatIp } from '../../net/ip.ts';
import type { Engine } from './engine.ts';

/** What few connections have, in a block beside the state (asm/state/extra.ts). */
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

/** The state at offset `at` (as `engine.next` returned it). */
export function readState(engine: Engine, at: number): StateView {
  const field = engine.at;
  const bytes = new DataView(engine.memory.buffer, at, field.STATE_SIZE);
  const u8 = (offset: number): number => bytes.getUint8(offset);
  const u16 = (offset: number): number => bytes.getUint16(offset, true);
  const proto = u8(field.S_PROTO);
  const family = u8(field.S_FAMILY);
  const tuple = (src: number, dst: number, sport: number, dport: number): TupleView => {
    const ends = { src: address(bytes, src, family), dst: address(bytes, dst, family) };
    if (WITH_PORTS.has(proto)) return { ...ends, sport: u16(sport), dport: u16(dport) };
    if (!isIcmp(proto, family)) return { ...ends, sport: null, dport: null };
    return { ...ends, sport: null, dport: null, type: u16(dport) >> 8, code: u16(dport) & 0xff, id: u16(sport) };
  };
  const orig = tuple(field.S_OSRC, field.S_ODST, field.S_OSPORT, field.S_ODPORT);
  const reply = tuple(field.S_RSRC, field.S_RDST, field.S_RSPORT, field.S_RDPORT);
  const owner = engine.ownerOf(at);
  const status = u16(field.S_STATUS);
  return {
    proto: PROTOCOLS[proto] ?? String(proto),
    family: family === AF_INET ? 4 : 6,
    orig,
    reply,
    nat: natOf(orig, reply),
    state: stateName(proto, u8(field.S_L4STATE)),
    status: STATUS_BITS.filter((_, bit) => (status & (1 << bit)) !== 0),
    mark: bytes.getUint32(field.S_MARK, true),
    zone: u16(field.S_ZONE),
    ...rare(engine, at),
    owner: owner === 'own' ? 'own' : owner === 'mirrored' ? 'mirrored' : 'unclaimed',
    kernel: (u16(field.S_FLAGS) & field.F_INK) !== 0,
    // The kernel refreshes timeouts with every packet and tells nobody.
    timeout: null,
  };
}

/** Labels, helper and the zone of one direction; `zone` stands over the state's own when it is of replies only. */
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

function address(bytes: DataView, offset: number, family: number): string {
  return formatIp(new Uint8Array(bytes.buffer, bytes.byteOffset + offset, family === AF_INET ? 4 : 16));
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
