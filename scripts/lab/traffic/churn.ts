/**
 * Connections that come and go: opened at a steady rate, one line each way, closed after 50 ms to 2 s; every fourth
 * is a UDP flow of one datagram.
 *
 *   usage: churn.ts HOST PORT PER_SECOND LIFETIME_S
 *
 * Commands: start, stop, report. At most 400 at once, whatever the rate.
 */
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { numberArgument, obey, tell, textArgument } from './lines.ts';

const MAX_OPEN = 400;
const host = textArgument(1);
const port = numberArgument(2);
const every = Math.max(1, 1000 / Math.min(500, numberArgument(3)));

const counts = { opened: 0, answered: 0, failed: 0, held_back: 0 };
let open = 0;
let timer: NodeJS.Timeout | null = null;

/** Different lives, the same in every run: a cheap sequence instead of chance. */
const life = (n: number): number => 50 + ((n * 7919) % 1950);

function tcpFlow(n: number): void {
  const socket = connect({ host, port, noDelay: true });
  let answered = false;
  socket.setTimeout(10_000, () => socket.destroy());
  socket.on('connect', () => socket.write(`${n}\n`));
  socket.on('data', () => {
    if (answered) return;
    answered = true;
    counts.answered++;
    setTimeout(() => socket.end(), life(n));
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    open--;
    if (!answered) counts.failed++;
  });
}

function udpFlow(n: number): void {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  let answered = false;
  const over = setTimeout(() => socket.close(), life(n));
  socket.on('message', () => {
    if (!answered) counts.answered++;
    answered = true;
  });
  socket.on('error', () => {
    clearTimeout(over);
    socket.close();
  });
  socket.on('close', () => {
    open--;
    if (!answered) counts.failed++;
  });
  socket.send(`${n}\n`, port, host, () => {});
}

function tick(): void {
  if (open >= MAX_OPEN) {
    counts.held_back++;
    return;
  }
  open++;
  counts.opened++;
  if (counts.opened % 4 === 0) udpFlow(counts.opened);
  else tcpFlow(counts.opened);
}

obey(({ cmd }) => {
  if (cmd === 'start') timer ??= setInterval(tick, every);
  if (cmd === 'stop' && timer) {
    clearInterval(timer);
    timer = null;
  }
  return { ...counts, open };
}, numberArgument(4));
tell({ type: 'ready' });
