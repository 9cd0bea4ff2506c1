/** TCP states: pairs of pf's sides to conntrack's one state and back (docs/protocol/mapping.md section 3). Pure. */
import { CT, SIDE, TIMEOUT } from './numbers.ts';

/**
 * Conntrack's state of a pair; null: the state is not for the kernel (its opener has sent nothing yet, or pf itself
 * still answers for one side as a SYN proxy).
 */
export function tcpStateOf(a: number, b: number): number | null {
  if (a >= SIDE.proxySrc || b >= SIDE.proxySrc) return null;
  if (a === SIDE.timeWait || b === SIDE.timeWait) return CT.close;
  if (a < SIDE.synSent) return null;
  if (a < SIDE.established || b < SIDE.established) return opening(a, b);
  if (a < SIDE.closing && b < SIDE.closing) return CT.established;
  if (a >= SIDE.closing && b >= SIDE.closing) return Math.min(a, b) >= SIDE.finWait2 ? CT.timeWait : CT.lastAck;
  return Math.max(a, b) >= SIDE.finWait2 ? CT.closeWait : CT.finWait;
}

/** The other side has sent nothing, but the opener goes on: pf saw one way only, and ESTABLISHED is always taken. */
function opening(a: number, b: number): number {
  if (b < SIDE.synSent) return a < SIDE.established ? CT.synSent : CT.established;
  return a < SIDE.established && b < SIDE.established ? CT.synSent2 : CT.synRecv;
}

/** Which side sent its FIN first, as far as the pair shows it. */
export function closerOf(a: number, b: number): 0 | 1 | null {
  if (a === b || Math.max(a, b) < SIDE.closing || Math.max(a, b) > SIDE.finWait2) return null;
  return a > b ? 0 : 1;
}

const PAIRS: Readonly<Record<number, readonly [number, number]>> = {
  [CT.synSent]: [SIDE.synSent, SIDE.closed],
  [CT.synSent2]: [SIDE.synSent, SIDE.synSent],
  [CT.synRecv]: [SIDE.established, SIDE.synSent],
  [CT.established]: [SIDE.established, SIDE.established],
  [CT.finWait]: [SIDE.closing, SIDE.established],
  [CT.closeWait]: [SIDE.finWait2, SIDE.established],
  [CT.lastAck]: [SIDE.finWait2, SIDE.closing],
  [CT.timeWait]: [SIDE.finWait2, SIDE.finWait2],
  [CT.close]: [SIDE.timeWait, SIDE.timeWait],
};

/** pf's pair of a state; null: conntrack knows nothing of the connection yet. */
export function pairOf(tcpState: number, closedBy: 0 | 1 | null): readonly [number, number] | null {
  const pair = PAIRS[tcpState];
  if (pair === undefined) return null;
  return closedBy === 1 ? [pair[1], pair[0]] : pair;
}

/** The timeout index that pf gives a pair; the first rule that fits counts (docs/protocol/pfsync.md section 8). */
export function tcpTimeoutOf(a: number, b: number): number {
  if (a >= SIDE.finWait2 && b >= SIDE.finWait2) return TIMEOUT.tcpClosed;
  if (a >= SIDE.closing && b >= SIDE.closing) return TIMEOUT.tcpFinWait;
  if (a < SIDE.established || b < SIDE.established) return TIMEOUT.tcpOpening;
  if (a >= SIDE.closing || b >= SIDE.closing) return TIMEOUT.tcpClosing;
  return TIMEOUT.tcpEstablished;
}
