/** Reads and writes the neutral item in the module's memory, by the layout that asm/ itself uses. Pure. */
import * as L from '../../../../asm/pfsync/layout.ts';
import { formatIp, parseIp } from '../../../net/ip.ts';
import type { PfItem, PfKey, PfSide } from './item.ts';

type Names<T> = { [K in keyof PfItem]: PfItem[K] extends T ? K : never }[keyof PfItem];

/** Field, offset, bytes. */
const NUMBERS: readonly (readonly [Names<number>, number, 1 | 2 | 4])[] = [
  ['rule', L.P_RULE, 4],
  ['anchor', L.P_ANCHOR, 4],
  ['natRule', L.P_NAT_RULE, 4],
  ['creation', L.P_CREATION, 4],
  ['expire', L.P_EXPIRE, 4],
  ['maxMss', L.P_MAX_MSS, 2],
  ['af', L.P_AF, 1],
  ['proto', L.P_PROTO, 1],
  ['direction', L.P_DIRECTION, 1],
  ['log', L.P_LOG, 1],
  ['rt', L.P_RT, 1],
  ['timeout', L.P_TIMEOUT, 1],
  ['syncFlags', L.P_SYNC_FLAGS, 1],
  ['updates', L.P_UPDATES, 1],
  ['minTtl', L.P_MIN_TTL, 1],
  ['setTos', L.P_SET_TOS, 1],
  ['stateFlags', L.P_STATE_FLAGS, 2],
  ['setPrio0', L.P_SET_PRIO, 1],
  ['setPrio1', L.P_SET_PRIO + 1, 1],
  ['qid', L.P_QID, 2],
  ['pqid', L.P_PQID, 2],
  ['dnpipe', L.P_DNPIPE, 2],
  ['dnrpipe', L.P_DNRPIPE, 2],
  ['stackAf', L.P_STACK_AF, 1],
  ['rtAf', L.P_RT_AF, 1],
  ['stackProto', L.P_STACK_PROTO, 1],
  ['endtime', L.P_ENDTIME, 4],
  ['status', L.P_STATUS, 1],
  ['sproto', L.P_SPROTO, 1],
  ['tdbUpdates', L.P_TDB_UPDATES, 1],
  ['tdbRdomain', L.P_TDB_RDOMAIN, 2],
];
const LONGS: readonly (readonly [Names<bigint>, number])[] = [
  ['packets0', L.P_PACKETS0],
  ['packets1', L.P_PACKETS1],
  ['bytes0', L.P_BYTES0],
  ['bytes1', L.P_BYTES1],
  ['rpl', L.P_RPL],
  ['curBytes', L.P_CUR_BYTES],
];
type Text = Exclude<Names<string>, 'rtAddr'>;
const HEX: readonly (readonly [Text, number, number])[] = [
  ['id', L.P_ID, 8],
  ['creatorid', L.P_CREATORID, 4],
  ['spi', L.P_SPI, 4],
  ['tdbDst', L.P_TDB_DST, 28],
];
/** C strings: what stands behind the zero is nothing. */
const TEXTS: readonly (readonly [Text, number, number])[] = [
  ['ifname', L.P_IFNAME, 16],
  ['rtIfname', L.P_RT_IFNAME, 16],
  ['origIfname', L.P_ORIG_IFNAME, 16],
  ['tagname', L.P_TAGNAME, 64],
];
const SIDE: readonly (readonly [keyof PfSide, number, 1 | 2 | 4])[] = [
  ['flags', L.S_FLAGS, 2],
  ['ttl', L.S_TTL, 1],
  ['scrub', L.S_SCRUB, 1],
  ['tsMod', L.S_TSMOD, 4],
  ['seqlo', L.S_SEQLO, 4],
  ['seqhi', L.S_SEQHI, 4],
  ['seqdiff', L.S_SEQDIFF, 4],
  ['maxWin', L.S_MAXWIN, 2],
  ['mss', L.S_MSS, 2],
  ['state', L.S_STATE, 1],
  ['wscale', L.S_WSCALE, 1],
];
const KEY: readonly (readonly [Exclude<keyof PfKey, 'addr0' | 'addr1'>, number, 1 | 2])[] = [
  ['port0', L.K_PORT0, 2],
  ['port1', L.K_PORT1, 2],
  ['rdomain', L.K_RDOMAIN, 2],
  ['af', L.K_AF, 1],
];
const IPV4 = 2;

function number(at: Buffer, offset: number, size: 1 | 2 | 4): number {
  return at.readUIntLE(offset, size);
}

/** An address of the family by the sender's number; of an unknown family all 16 bytes. */
function address(at: Buffer, offset: number, af: number): string {
  return formatIp(at.subarray(offset, offset + (af === IPV4 ? 4 : 16)));
}

function text(at: Buffer, offset: number, size: number): string {
  const end = at.indexOf(0, offset);
  return at.toString('latin1', offset, end < 0 || end > offset + size ? offset + size : end);
}

function readSide(at: Buffer): PfSide {
  return Object.fromEntries(SIDE.map(([name, offset, size]) => [name, number(at, offset, size)])) as unknown as PfSide;
}

function readKey(at: Buffer, af: number): PfKey {
  const numbers = KEY.map(([name, offset, size]) => [name, number(at, offset, size)]);
  const fields = Object.fromEntries(numbers) as Omit<PfKey, 'addr0' | 'addr1'>;
  const family = fields.af || af;
  return { ...fields, addr0: address(at, 0, family), addr1: address(at, 16, family) };
}

/** @param at P_SIZE bytes of the module's memory */
export function readItem(at: Buffer): PfItem {
  const af = number(at, L.P_AF, 1);
  const fields = [
    ...NUMBERS.map(([name, offset, size]) => [name, number(at, offset, size)] as const),
    ...LONGS.map(([name, offset]) => [name, at.readBigUInt64LE(offset)] as const),
    ...HEX.map(([name, offset, size]) => [name, at.toString('hex', offset, offset + size)] as const),
    ...TEXTS.map(([name, offset, size]) => [name, text(at, offset, size)] as const),
    ['rtable0', at.readInt32LE(L.P_RTABLE0)] as const,
    ['rtable1', at.readInt32LE(L.P_RTABLE1)] as const,
    ['wire', readKey(at.subarray(L.P_WIRE, L.P_STACK), af)] as const,
    // Only record 1500 has a family of the stack key; the others have one for both.
    ['stack', readKey(at.subarray(L.P_STACK, L.P_SRC), number(at, L.P_STACK_AF, 1) || af)] as const,
    ['src', readSide(at.subarray(L.P_SRC, L.P_DST))] as const,
    ['dst', readSide(at.subarray(L.P_DST, L.P_RT_ADDR))] as const,
    ['rtAddr', address(at, L.P_RT_ADDR, number(at, L.P_RT_AF, 1) || af)] as const,
  ];
  return Object.fromEntries(fields) as unknown as PfItem;
}

function putAddress(at: Buffer, offset: number, value: string): void {
  const bytes = parseIp(value);
  if (bytes === null) throw new RangeError(`${value} is no address`);
  at.set(bytes, offset);
}

function putKey(at: Buffer, key: PfKey): void {
  for (const [name, offset, size] of KEY) at.writeUIntLE(key[name], offset, size);
  putAddress(at, 0, key.addr0);
  putAddress(at, 16, key.addr1);
}

/** Writes all fields; what is no field (padding) becomes 0. @throws RangeError for a value that does not fit */
export function writeItem(at: Buffer, item: PfItem): void {
  at.fill(0, 0, L.P_SIZE);
  for (const [name, offset, size] of NUMBERS) at.writeUIntLE(item[name], offset, size);
  for (const [name, offset] of LONGS) at.writeBigUInt64LE(item[name], offset);
  for (const [name, offset, size] of HEX) at.write(item[name], offset, size, 'hex');
  for (const [name, offset, size] of TEXTS) at.write(item[name], offset, size, 'latin1');
  at.writeInt32LE(item.rtable0, L.P_RTABLE0);
  at.writeInt32LE(item.rtable1, L.P_RTABLE1);
  putKey(at.subarray(L.P_WIRE, L.P_STACK), item.wire);
  putKey(at.subarray(L.P_STACK, L.P_SRC), item.stack);
  for (const [name, offset, size] of SIDE) {
    at.writeUIntLE(item.src[name], L.P_SRC + offset, size);
    at.writeUIntLE(item.dst[name], L.P_DST + offset, size);
  }
  putAddress(at, L.P_RT_ADDR, item.rtAddr);
}
