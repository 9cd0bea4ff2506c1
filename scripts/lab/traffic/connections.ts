/**
 * Long-lived TCP connections: each sends a numbered line about every PERIOD_MS and waits for its echo.
 *
 *   usage: connections.ts HOST PORT COUNT PERIOD_MS LIFETIME_S
 *
 * A connection is dead on error, on close, on a wrong echo, or when no echo came for 30 s; it is never opened again.
 * Commands: mark (the clock of this window starts), arm (whatever is to happen has happened: echoes of lines sent from
 * now on prove that a connection works), report. Tells by itself: ready, dead, worked (every living connection has
 * proved it).
 */
import { connect, type Socket } from 'node:net';
import { numberArgument, obey, tell, textArgument } from './lines.ts';

const SILENCE_MS = 30_000;
const host = textArgument(1);
const port = numberArgument(2);
const count = Math.min(numberArgument(3), 2000);
const period = Math.max(20, numberArgument(4));

interface Connection {
  socket: Socket;
  number: number;
  waiting: string | null;
  sentAt: number;
  lastEcho: number;
  proved: boolean;
  dead: string | null;
  text: string;
}

const connections: Connection[] = [];
let ready = false;
let markedAt = 0;
let armedAt: number | null = null;

/** Since the mark, how long until the last connection was seen working; null: not all yet. */
let workedAfterMs: number | null = null;

function open(i: number): Connection {
  const socket = connect({ host, port, noDelay: true });
  const now = performance.now();
  const one: Connection = {
    socket,
    number: 0,
    waiting: null,
    sentAt: 0,
    lastEcho: now,
    proved: false,
    dead: null,
    text: '',
  };
  socket.setEncoding('utf8');
  // Spread over the period, so that the lines of all connections do not come in one burst.
  socket.on('connect', () => setTimeout(() => send(one), (period * i) / count));
  socket.on('data', (chunk: string) => receive(one, chunk));
  socket.on('error', (error: NodeJS.ErrnoException) => bury(one, error.code ?? error.message));
  socket.on('close', () => bury(one, 'closed'));
  return one;
}

function send(one: Connection): void {
  if (one.dead) return;
  one.waiting = `${one.number++}\n`;
  one.sentAt = performance.now();
  one.socket.write(one.waiting);
}

function receive(one: Connection, chunk: string): void {
  one.text += chunk;
  if (!one.text.endsWith('\n')) return;
  if (one.text !== one.waiting) {
    bury(one, `wrong echo ${JSON.stringify(one.text)} to ${JSON.stringify(one.waiting)}`);
    return;
  }
  one.text = '';
  one.waiting = null;
  one.lastEcho = performance.now();
  one.proved ||= armedAt !== null && one.sentAt >= armedAt;
  look();
  setTimeout(() => send(one), period);
}

function bury(one: Connection, why: string): void {
  if (one.dead) return;
  one.dead = why;
  one.socket.destroy();
  tell({ type: 'dead', why });
  look();
}

const alive = (): Connection[] => connections.filter((one) => one.dead === null);

function look(): void {
  if (!ready && connections.length === count && connections.every((one) => one.dead !== null || one.number > 0)) {
    if (connections.some((one) => one.dead === null && one.waiting !== null && one.number === 1)) return;
    ready = true;
    tell({ type: 'ready', alive: alive().length });
  }
  if (armedAt === null || workedAfterMs !== null || !alive().every((one) => one.proved)) return;
  workedAfterMs = performance.now() - markedAt;
  tell({ type: 'worked', alive: alive().length, ms: Math.round(workedAfterMs) });
}

function report(): object {
  const now = performance.now();
  const living = alive();
  const reasons: Record<string, number> = {};
  for (const one of connections) if (one.dead) reasons[one.dead] = (reasons[one.dead] ?? 0) + 1;
  return {
    count,
    alive: living.length,
    silent: living.filter((one) => now - one.lastEcho > 1000 + period).length,
    worked_after_ms: workedAfterMs === null ? null : Math.round(workedAfterMs),
    reasons,
  };
}

for (let i = 0; i < count; i++) connections.push(open(i));
setInterval(() => {
  for (const one of alive()) if (performance.now() - one.lastEcho > SILENCE_MS) bury(one, 'no echo for 30 s');
}, 500);
obey(({ cmd }) => {
  if (cmd === 'mark') {
    markedAt = performance.now();
    armedAt = null;
    workedAfterMs = null;
    for (const one of connections) one.proved = false;
  }
  if (cmd === 'arm') armedAt = performance.now();
  return report();
}, numberArgument(5));
