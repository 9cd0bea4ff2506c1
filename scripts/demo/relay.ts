/**
 * The way from this machine's browser into the lab: HTTP and WebSocket on a loopback port, handed on to the nodes' feed
 * sockets. /fw-a/… and /fw-b/… are the two nodes; / is the page, which shows both.
 */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pathsOf } from '../lab/config.ts';
import { FIREWALLS, type FirewallName } from '../lab/plan.ts';

const VIEW = '/?feeds=/fw-a/feed,/fw-b/feed';
const MAX_CONNECTIONS = 200;

/** A page elsewhere can make its own name resolve to 127.0.0.1; it cannot make the browser send this Host. */
const isLocal = (host: string | undefined): boolean => /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host ?? '');

/** Splits /fw-a/rest into the node and /rest. */
function route(url: string): { node: FirewallName; rest: string } | null {
  const node = FIREWALLS.find((name) => url === `/${name}` || url.startsWith(`/${name}/`));
  return node ? { node, rest: url.slice(node.length + 1) || '/' } : null;
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
}

function handOn(
  node: FirewallName,
  path: string,
  from: IncomingMessage,
  to: ServerResponse,
  otherwise: () => void,
): void {
  const { method, headers } = from;
  const onward = request({ socketPath: pathsOf(node).feed, path, method, headers }, (answer) => {
    to.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(to);
  });
  onward.setTimeout(5000, () => onward.destroy(new Error('no answer')));
  onward.on('error', () => (to.headersSent ? to.destroy() : otherwise()));
  from.pipe(onward);
}

function answer(from: IncomingMessage, to: ServerResponse): void {
  const url = from.url ?? '/';
  const target = route(url);
  const off = (name: string): void => refuse(to, 502, `${name} does not answer: it is powered off or hangs`);
  if (!isLocal(from.headers.host)) refuse(to, 421, 'Host must be 127.0.0.1 or localhost');
  else if (url === '/') to.writeHead(302, { location: VIEW }).end();
  else if (target) handOn(target.node, target.rest, from, to, () => off(target.node));
  // The page is the same on both nodes, so whichever is on serves it.
  else handOn('fw-a', url, from, to, () => handOn('fw-b', url, from, to, () => off('fw-a and fw-b')));
}

/** WebSocket: the request head goes on with the node's own path, then bytes flow both ways untouched. */
function upgrade(from: IncomingMessage, socket: Duplex, head: Buffer): void {
  const target = route(from.url ?? '');
  if (!target || !isLocal(from.headers.host)) {
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    return;
  }
  const onward = connect(pathsOf(target.node).feed);
  const lines: string[] = [];
  for (let i = 0; i + 1 < from.rawHeaders.length; i += 2)
    lines.push(`${from.rawHeaders[i]}: ${from.rawHeaders[i + 1]}`);
  onward.on('connect', () => {
    onward.write(`${from.method} ${target.rest} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    onward.write(head);
    onward.pipe(socket).pipe(onward);
  });
  const close = (): void => {
    socket.destroy();
    onward.destroy();
  };
  for (const one of [socket, onward]) one.on('error', close).on('close', close);
}

/** @param listening the listening handle that was opened outside the lab's namespaces, so that browsers reach it */
export function serveRelay(listening: Server | import('node:net').Server): Server {
  const server = createServer(answer);
  server.maxConnections = MAX_CONNECTIONS;
  server.on('upgrade', upgrade);
  listening.on('connection', (socket: Socket) => server.emit('connection', socket));
  return server;
}
