/** Frames of pfsync in the words of OpenBSD's tcpdump, states as `pfctl -s states` prints them. Pure. */
import { clean } from '../contract/text.ts';
import type { PfFrame, PfKind } from '../sync/dialect/pfsync/codec.ts';
import type { PfItem, PfKey } from '../sync/dialect/pfsync/item.ts';

export interface DumpedFrame {
  /** Seconds since 1970. */
  time: number;
  src: string;
  dst: string;
  ttl: number;
  bytes: number;
  dialect: string;
  frame: PfFrame;
}

const TCP = 6;
const UDP = 17;
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  [TCP]: 'tcp',
  [UDP]: 'udp',
  47: 'gre',
  50: 'esp',
  58: 'icmp6',
};
/** pf's states of one side (netinet/tcp_fsm.h, net/pfvar.h). */
const TCP_STATES = [
  ...['CLOSED', 'LISTEN', 'SYN_SENT', 'SYN_RCVD', 'ESTABLISHED', 'CLOSE_WAIT', 'FIN_WAIT_1'],
  ...['CLOSING', 'LAST_ACK', 'FIN_WAIT_2', 'TIME_WAIT', 'PROXY_SRC', 'PROXY_DST'],
];
const OTHER_STATES = ['NO_TRAFFIC', 'SINGLE', 'MULTIPLE'];
/** PF_OUT of net/pfvar.h. */
const OUT = 2;

const stateName = (proto: number, state: number): string =>
  (proto === TCP ? TCP_STATES : OTHER_STATES)[state] ?? String(state);

const endText = (address: string, port: number): string =>
  port === 0 ? address : address.includes(':') ? `${address}[${port}]` : `${address}:${port}`;

/** One end: as it is on the near side of pf, and in brackets how the far side sees it, where they differ. */
function sideText(near: PfKey, far: PfKey, place: 0 | 1): string {
  const [a, b] = [endOf(near, place), endOf(far, place)];
  return a === b ? a : `${a} (${b})`;
}

const endOf = (key: PfKey, place: 0 | 1): string =>
  place === 0 ? endText(key.addr0, key.port0) : endText(key.addr1, key.port1);

const clock = (seconds: number): string =>
  [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');

/** A whole state, as pfctl prints it: for an outgoing one the wire's key stands first. */
function stateText(item: PfItem): string {
  const outgoing = item.direction === OUT;
  const [near, far] = outgoing ? [item.wire, item.stack] : [item.stack, item.wire];
  const proto = PROTOCOLS[item.proto] ?? `proto ${item.proto}`;
  const states = `${stateName(item.proto, item.src.state)}:${stateName(item.proto, item.dst.state)}`;
  const where = item.ifname === '' ? 'all' : clean(item.ifname);
  return (
    `${where} ${proto} ${sideText(near, far, 1)} ${outgoing ? '->' : '<-'} ${sideText(near, far, 0)} ${states} ` +
    `age ${clock(item.creation)} expires ${clock(item.expire)} id ${item.id} creator ${item.creatorid}`
  );
}

const named = (item: PfItem): string => `id ${item.id} creator ${item.creatorid}`;
const BULK: Readonly<Record<number, string>> = { 1: 'start', 2: 'end' };

function itemText(kind: PfKind, item: PfItem): string {
  switch (kind) {
    case 'INS':
    case 'UPD':
    case 'DEL':
      return stateText(item);
    case 'UPD_C':
      return `${named(item)} sides ${item.src.state}:${item.dst.state} expires ${clock(item.expire)}`;
    case 'UPD_REQ':
      // The state 0 of creator 0 does not exist: it asks for all (docs/protocol/pfsync.md).
      return /^0+$/.test(item.id) && /^0+$/.test(item.creatorid) ? 'everything (bulk)' : named(item);
    case 'CLR':
      return `creator ${item.creatorid} ${item.ifname === '' ? 'every interface' : clean(item.ifname)}`;
    case 'BUS':
      return `creator ${item.creatorid} ${BULK[item.status] ?? item.status} age ${clock(item.endtime)}`;
    case 'TDB':
      return `spi ${item.spi} rpl ${item.rpl} bytes ${item.curBytes}`;
    default:
      return named(item);
  }
}

export function frameText({ time, src, dst, ttl, bytes, dialect, frame }: DumpedFrame): string {
  const at = new Date(time * 1000).toISOString().slice(11, 23);
  const odd = ttl === 255 ? '' : ` [ttl ${ttl}, 255 is due: every pfsync drops it]`;
  const lines = [`${at} ${src} > ${dst}: pfsync ${dialect} len ${bytes}${odd}`];
  for (const message of frame.messages) {
    if (message.kind === 'EOF') continue;
    const count = message.items.length + message.refused.length;
    const name = message.kind === 'skipped' ? `action ${message.action}, passed over` : `${message.kind} ${count}`;
    lines.push(`    ${name}`);
    for (const item of message.items) lines.push(`        ${itemText(message.kind, item)}`);
    for (const { item, why } of message.refused) lines.push(`        refused (${why}): ${named(item)}`);
  }
  if (frame.refused !== null) lines.push(`    refused: ${frame.refused}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** Large integers as text: JSON has none. */
export function frameJson(dumped: DumpedFrame): string {
  const { frame, ...head } = dumped;
  const plain = { ...head, messages: frame.messages, refused: frame.refused, checksum: frame.checksum };
  return `${JSON.stringify(plain, (_, value) => (typeof value === 'bigint' ? value.toString() : value))}\n`;
}
