/** A conntrack connection to the two states that a pf has of it (docs/protocol/mapping.md section 2). Pure. */
import type { PfDialect } from './codec.ts';
import type { Connection, Tuple } from './connection.ts';
import type { PfItem, PfKey, PfSide } from './item.ts';
import { AF_INET, CT, hasPorts, IN, inet6Of, isIcmp, OUT, SLOPPY, secondsOf, TCP, TIMEOUT, UDP } from './numbers.ts';
import { pairOf, tcpTimeoutOf } from './tcp-states.ts';

const NO_RULE = 0xffff_ffff;
const UNSET = -1;
/** Floating: a name of an interface that the receiver does not have makes it pass the state over without a word. */
const FLOATING = 'all';

const NO_SIDE: PfSide = {
  flags: 0,
  ttl: 0,
  scrub: 0,
  tsMod: 0,
  seqlo: 0,
  seqhi: 0,
  seqdiff: 0,
  maxWin: 0,
  mss: 0,
  state: 0,
  wscale: 0,
};
const NO_KEY: PfKey = { addr0: '0.0.0.0', addr1: '0.0.0.0', port0: 0, port1: 0, rdomain: 0, af: 0 };

/** A record with nothing in it: what small messages carry, and where a state begins. */
export function emptyItem(): PfItem {
  const zeros = { creation: 0, expire: 0, maxMss: 0, af: 0, proto: 0, direction: 0, log: 0, rt: 0, timeout: 0 };
  const more = { syncFlags: 0, updates: 0, minTtl: 0, setTos: 0, stateFlags: 0, setPrio0: 0, setPrio1: 0 };
  const queues = { qid: 0, pqid: 0, dnpipe: 0, dnrpipe: 0, stackAf: 0, rtAf: 0, stackProto: 0, endtime: 0, status: 0 };
  const tdb = { spi: '00000000', tdbDst: '00'.repeat(28), rpl: 0n, curBytes: 0n, sproto: 0, tdbUpdates: 0 };
  return {
    ...{ ...zeros, ...more, ...queues, ...tdb, tdbRdomain: 0 },
    ...{ id: '0'.repeat(16), creatorid: '0'.repeat(8), ifname: '', rtIfname: '', origIfname: '', tagname: '' },
    ...{ wire: { ...NO_KEY }, stack: { ...NO_KEY }, src: { ...NO_SIDE }, dst: { ...NO_SIDE }, rtAddr: '0.0.0.0' },
    ...{ rule: NO_RULE, anchor: NO_RULE, natRule: NO_RULE, rtable0: UNSET, rtable1: UNSET },
    ...{ packets0: 0n, packets1: 0n, bytes0: 0n, bytes1: 0n },
  };
}

/** Both sides' states and the index of their timeout. `null`: conntrack knows too little of it yet. */
interface Sides {
  src: number;
  dst: number;
  timeout: number;
}

export function sidesOf({ proto, tcpState, closedBy, seenReply, assured }: Connection): Sides | null {
  if (proto === TCP) {
    const pair = pairOf(tcpState, closedBy);
    if (pair === null) return null;
    const timeout = tcpState === CT.synSent ? TIMEOUT.tcpFirst : tcpTimeoutOf(pair[0], pair[1]);
    return { src: pair[0], dst: pair[1], timeout };
  }
  if (isIcmp(proto)) return { src: 0, dst: 0, timeout: seenReply ? TIMEOUT.icmpError : TIMEOUT.icmpFirst };
  const [src, dst] = assured ? [2, 2] : seenReply ? [2, 1] : [1, 0];
  const [single, multiple] =
    proto === UDP ? [TIMEOUT.udpSingle, TIMEOUT.udpMultiple] : [TIMEOUT.otherSingle, TIMEOUT.otherMultiple];
  const first = proto === UDP ? TIMEOUT.udpFirst : TIMEOUT.otherFirst;
  return { src, dst, timeout: assured ? multiple : seenReply ? single : first };
}

/** @param direction of the state: the far end of its interface stands at place 0 */
function keyOf(tuple: Tuple, direction: number, proto: number, af: number, dialect: PfDialect): PfKey {
  const ports = isIcmp(proto)
    ? [tuple.sport, icmpPlace(tuple, dialect)]
    : hasPorts(proto)
      ? [tuple.sport, tuple.dport]
      : [0, 0];
  const [opener = 0, other = 0] = ports;
  const family = dialect === 'openbsd' ? af : 0;
  if (direction === IN) {
    return { addr0: tuple.src, addr1: tuple.dst, port0: opener, port1: other, rdomain: 0, af: family };
  }
  return { addr0: tuple.dst, addr1: tuple.src, port0: other, port1: opener, rdomain: 0, af: family };
}

/** Older FreeBSD looks ICMP up by the identifier in both places (docs/protocol/pfsync.md section 9). */
function icmpPlace(tuple: Tuple, dialect: PfDialect): number {
  return dialect === 'freebsd-1301' ? tuple.sport : tuple.dport >> 8;
}

function sideOf(connection: Connection, state: number, place: 0 | 1): PfSide {
  if (connection.proto !== TCP) return { ...NO_SIDE, state };
  const shift = connection.wscale?.[place];
  // Without the numbers pf would drop every packet as out of window: SLOPPY is set, and these are not looked at.
  return { ...NO_SIDE, state, maxWin: 1, wscale: shift === undefined ? 0 : 0x80 | shift };
}

/** A name of 8 bytes for each of the two states, and the creator of both. */
interface Names {
  inId: string;
  outId: string;
  creatorid: string;
}

/**
 * The state where the connection comes in, and the one where it leaves. pf has no destination and source translation in
 * one state: the destination is translated on the way in, the source on the way out.
 * @param age seconds since the connection was first seen
 */
export function statesOf(
  connection: Connection,
  sides: Sides,
  { inId, outId, creatorid }: Names,
  dialect: PfDialect,
  age: number,
): [PfItem, PfItem] {
  const { family, proto, orig, after } = connection;
  const af = family === 4 ? AF_INET : inet6Of(dialect);
  const middle = { ...orig, dst: after.dst, dport: after.dport };
  const one = (direction: number, id: string, wire: Tuple): PfItem => ({
    ...emptyItem(),
    ...{ id, creatorid, direction, af, proto, ifname: FLOATING, timeout: sides.timeout, creation: age },
    // Only record 1500 has them, and OpenBSD and 1301 write nothing for them.
    ...(dialect === 'freebsd-1500' ? { stackAf: af, stackProto: proto, origIfname: FLOATING } : {}),
    wire: keyOf(wire, direction, proto, af, dialect),
    stack: keyOf(middle, direction, proto, af, dialect),
    src: sideOf(connection, sides.src, 0),
    dst: sideOf(connection, sides.dst, 1),
    rtAddr: family === 4 ? '0.0.0.0' : '::',
    expire: secondsOf(sides.timeout),
    stateFlags: proto === TCP ? SLOPPY : 0,
  });
  return [one(IN, inId, orig), one(OUT, outId, after)];
}
