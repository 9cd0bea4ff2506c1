/**
 * Opens one HTTP(S) server on one listen address, with the limits that keep strangers from holding anything for long.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer, type ServerOptions } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { withUmask } from '../config/umask.ts';
import { formatListen, type ListenAddress } from '../net/listen-address.ts';
import { LIMITS } from './limits.ts';

export interface Tls {
  /** PEM text. */
  cert: string | Buffer;
  key: string | Buffer;
}

export interface Listener {
  server: HttpServer;
  /** As in the configuration, with the real port. */
  address: string;
  /** Stops listening; what is still open after `graceMs` is cut. */
  close(graceMs: number): Promise<void>;
}

/** @param tls for TCP addresses; a UNIX socket never leaves the machine */
export function createServer(address: ListenAddress, tls: Tls | null): HttpServer {
  const options: ServerOptions = {
    maxHeaderSize: LIMITS.headerBytes,
    headersTimeout: LIMITS.requestMs,
    requestTimeout: LIMITS.requestMs,
    keepAliveTimeout: LIMITS.requestMs,
    connectionsCheckingInterval: 1000,
    // Any other protocol offered in an Upgrade header (h2c by curl) is a plain request.
    shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
  };
  const server =
    tls === null || address.kind === 'unix'
      ? createHttpServer(options)
      : createHttpsServer({ ...options, ...tls, handshakeTimeout: LIMITS.requestMs, minVersion: 'TLSv1.2' });
  server.maxConnections = LIMITS.connections + LIMITS.connectionsOver;
  server.timeout = LIMITS.idleMs;
  return server;
}

/** @throws Error with one line that says what is in the way and what to do */
export async function openListener(server: HttpServer, address: ListenAddress): Promise<Listener> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  if (address.kind === 'unix') await removeStaleSocket(address.path);
  await listen(server, address);
  server.on('error', () => {}); // e.g. no file descriptor left for an accept: the next one may work
  const port = address.kind === 'tcp' ? (server.address() as AddressInfo).port : 0;
  return { server, address: formatListen(address, port), close: (graceMs) => close(server, sockets, graceMs) };
}

function listen(server: HttpServer, address: ListenAddress): Promise<void> {
  const where = formatListen(address, address.kind === 'tcp' ? address.port : 0);
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const advice =
        error.code === 'EADDRINUSE'
          ? 'another program holds this address: stop it or change feed.listen'
          : 'check feed.listen against the addresses of this machine';
      reject(new Error(`feed: cannot listen on ${where} (${error.code ?? error.message}); ${advice}`));
    };
    server.once('error', failed);
    const opened = (): void => {
      server.off('error', failed);
      resolve();
    };
    if (address.kind === 'tcp') server.listen({ host: address.host, port: address.port }, opened);
    // Owner and group, as with the control socket.
    else withUmask(0o117, () => server.listen({ path: address.path }, opened));
  });
}

/** A killed process leaves its socket file behind. It is removed only when nobody answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => resolve(true));
    probe.once('error', () => resolve(false));
    probe.once('close', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
  if (!answered) unlinkSync(path);
}

function close(server: HttpServer, sockets: Set<Socket>, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
