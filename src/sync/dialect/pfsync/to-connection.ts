/** pf states to conntrack's connection: one or two states are one (docs/protocol/mapping.md section 1.1). Pure. */
import type { Connection, Tuple } from './connection.ts';
import type { PfItem, PfKey, PfSide } from './item.ts';
import { AF_INET, hasPorts, ICMP, ICMPV6, icmpType, isIcmp, OUT, SIDE, TCP, TIMEOUT } from './numbers.ts';
import { closerOf, tcpStateOf } from './tcp-states.ts';

/** Why a state is not carried, by the name under which it is counted. */
type NotCarried = 'af_to' | 'half_open' | 'unknown_protocol';
/** What is lost of a state that is carried. */
type Lost = 'route_to' | 'dummynet' | 'tag' | 'scrub' | 'set_prio' | 'rtable';

/** The packet of the opener, by this key. The opener's place depends on the direction of the state. */
export function tupleOf(item: Pick<PfItem, 'direction' | 'proto'>, key: PfKey): Tuple {
  const { proto } = item;
  const places = [
    { address: key.addr0, port: key.port0 },
    { address: key.addr1, port: key.port1 },
  ] as const;
  const [opener, other] = item.direction === OUT ? [places[1], places[0]] : places;
  const tuple = { src: opener.address, dst: other.address };
  if (isIcmp(proto)) return { ...tuple, sport: opener.port, dport: icmpType(proto, other.port) << 8 };
  // A key of GRE has no counterpart in pf: 0 is plain GRE.
  if (!hasPorts(proto)) return { ...tuple, sport: 0, dport: 0 };
  return { ...tuple, sport: opener.port, dport: other.port };
}

/** The packet between the two states of a forwarded connection: as pf's inside sees it. */
export const middleOf = (item: PfItem): Tuple => tupleOf(item, item.stack);

export function familyOf(item: Pick<PfItem, 'af'>): 4 | 6 {
  return item.af === AF_INET ? 4 : 6;
}

/** Why this state can not become a connection; null: it can. */
export function refusalOf(item: PfItem): NotCarried | null {
  if (item.stackAf !== 0 && item.stackAf !== item.af) return 'af_to';
  if (item.wire.af !== 0 && item.stack.af !== 0 && item.wire.af !== item.stack.af) return 'af_to';
  if (item.proto === 0 || (familyOf(item) === 4 ? ICMPV6 : ICMP) === item.proto) return 'unknown_protocol';
  if (item.proto === TCP && tcpStateOf(item.src.state, item.dst.state) === null) return 'half_open';
  return null;
}

/** What conntrack has no place for: the connection goes on without. */
export function lostOf(item: PfItem): Lost[] {
  const lost: Lost[] = [];
  if (item.rt !== 0) lost.push('route_to');
  if (item.qid !== 0 || item.pqid !== 0 || item.dnpipe !== 0 || item.dnrpipe !== 0) lost.push('dummynet');
  if (item.tagname !== '') lost.push('tag');
  if (item.src.scrub !== 0 || item.dst.scrub !== 0) lost.push('scrub');
  if (item.setPrio0 !== 0 || item.setPrio1 !== 0) lost.push('set_prio');
  if (item.rtable0 > 0 || item.rtable1 > 0) lost.push('rtable');
  return lost;
}

function statusOf({ proto, src, dst, timeout }: PfItem): Pick<Connection, 'seenReply' | 'assured'> {
  if (isIcmp(proto)) return { seenReply: timeout === TIMEOUT.icmpError, assured: false };
  if (proto === TCP) {
    const both = src.state >= SIDE.established && dst.state >= SIDE.established;
    return { seenReply: dst.state >= SIDE.synSent, assured: both };
  }
  return { seenReply: dst.state >= 1, assured: src.state >= 2 && dst.state >= 2 };
}

/** pf's shift of a side; null when that side sent no option. */
const shiftOf = ({ wscale }: PfSide): number | null => (wscale & 0x80 ? Math.min(wscale & 15, 14) : null);

function scaleOf({ proto, src, dst }: PfItem): Connection['wscale'] {
  if (proto !== TCP) return null;
  const [a, b] = [shiftOf(src), shiftOf(dst)];
  return a === null || b === null ? null : [a, b];
}

/**
 * @param inState the state on the interface where the connection came in
 * @param outState the one where it left; one of both may be missing
 */
export function connectionOf(inState: PfItem | null, outState: PfItem | null): Connection {
  const one = newest(inState, outState);
  const orig = inState !== null ? tupleOf(inState, inState.wire) : tupleOf(one, one.stack);
  const after = outState !== null ? tupleOf(outState, outState.wire) : tupleOf(one, one.stack);
  const shift = (side: 'src' | 'dst'): number =>
    ((inState?.[side].seqdiff ?? 0) + (outState?.[side].seqdiff ?? 0)) >>> 0;
  return {
    family: familyOf(one),
    proto: one.proto,
    orig,
    // pf may keep another identifier at each side of an ICMP query, never another type.
    after: isIcmp(one.proto) ? { ...after, dport: orig.dport } : after,
    tcpState: one.proto === TCP ? (tcpStateOf(one.src.state, one.dst.state) ?? 0) : 0,
    wscale: scaleOf(one),
    closedBy: one.proto === TCP ? closerOf(one.src.state, one.dst.state) : null,
    ...statusOf(one),
    seqDiff: one.proto === TCP ? [shift('src'), shift('dst')] : [0, 0],
  };
}

/** Both states see every packet; the one that is further knows more. */
function newest(inState: PfItem | null, outState: PfItem | null): PfItem {
  const one = inState ?? outState;
  if (one === null) throw new RangeError('a connection has at least one state');
  if (inState === null || outState === null) return one;
  const rank = ({ src, dst }: PfItem): number => src.state + dst.state;
  return rank(outState) > rank(inState) ? outState : inState;
}
