/**
 * One UDP flow of numbered probes to an echo service.
 *
 *   usage: probe.ts HOST PORT INTERVAL_MS LIFETIME_S
 *
 * Commands: mark (a new window begins), report (this window: probes sent and lost, the longest silence between two
 * answers in ms, when it began). `late_ms` is the worst delay of this program itself: silence below that is not the
 * path's.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { numberArgument, obey, tell, textArgument } from './lines.ts';

/** An answer that is later than this counts as lost. */
const GRACE_MS = 400;
const host = textArgument(1);
const port = numberArgument(2);
const interval = Math.max(1, numberArgument(3));
const MAX_IN_FLIGHT = 1 << 16;

const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
const flight = new Map<number, number>();
let next = 0;
let ready = false;

interface Window {
  from: number;
  begun: number;
  sent: number;
  answered: number;
  lastAnswer: number;
  gap: number;
  gapAt: number;
  late: number;
}

const fresh = (lastAnswer: number): Window => {
  const begun = performance.now();
  return { from: next, begun, sent: 0, answered: 0, lastAnswer, gap: 0, gapAt: 0, late: 0 };
};
let current = fresh(performance.now());

function fire(now: number): void {
  const probe = Buffer.alloc(32);
  probe.writeUInt32BE(next);
  flight.set(next, now);
  if (flight.size > MAX_IN_FLIGHT) flight.delete(flight.keys().next().value!);
  next++;
  current.sent++;
  // No route or no neighbour is a lost probe, not an error of this program.
  socket.send(probe, port, host, () => {});
}

socket.on('error', () => {});
socket.on('message', (message) => {
  const number = message.readUInt32BE(0);
  const sentAt = flight.get(number);
  const now = performance.now();
  if (sentAt === undefined || now - sentAt > GRACE_MS) return;
  flight.delete(number);
  if (number >= current.from) current.answered++;
  note(now);
  if (!ready) {
    ready = true;
    tell({ type: 'ready' });
  }
});

function note(now: number): void {
  if (now - current.lastAnswer > current.gap) {
    current.gap = now - current.lastAnswer;
    current.gapAt = current.lastAnswer - current.begun;
  }
  current.lastAnswer = now;
}

let due = performance.now();
function tick(): void {
  const now = performance.now();
  current.late = Math.max(current.late, now - due);
  // Probes missed while this program did not run are not sent late in a burst: they would flatter the path.
  fire(now);
  due += interval;
  if (due < now) due = now + interval;
  setTimeout(tick, Math.max(0, due - performance.now()));
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10;

async function report(): Promise<object> {
  const window = current;
  const sent = window.sent;
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
  // Probes sent during the grace are not asked for: their answers may still be on the way.
  const lost = [...flight.keys()].filter((number) => number >= window.from && number < window.from + sent).length;
  const silence = performance.now() - window.lastAnswer;
  const open = silence > window.gap;
  return {
    sent,
    lost,
    gap_ms: rounded(open ? silence : window.gap),
    gap_at_ms: rounded(open ? window.lastAnswer - window.begun : window.gapAt),
    late_ms: rounded(window.late),
    // Silence while this program itself did not run is not the path's.
    answering: silence < 20 * interval + 100 + window.late,
  };
}

/** A light look without the grace: for a screen. */
const glance = (): object => {
  const now = performance.now();
  const lost = [...flight].filter(([number, at]) => number >= current.from && now - at > GRACE_MS).length;
  return { sent: current.sent, lost, silent_ms: rounded(now - current.lastAnswer) };
};

socket.bind(0, () => {
  due = performance.now();
  tick();
});
obey(({ cmd }) => {
  if (cmd === 'report') return report();
  if (cmd !== 'mark') return glance();
  flight.clear();
  current = fresh(current.lastAnswer);
  return {};
}, numberArgument(4));
