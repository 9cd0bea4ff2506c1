/** A headless browser for the page tests, and the same-origin relay through which one page watches two nodes. */
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Browser, chromium } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** @returns the browser, or why there is none. With CARPIO_NEED_BROWSER=1 a missing browser is an error. */
export async function openBrowser(): Promise<Browser | string> {
  if (!existsSync(CHROMIUM)) {
    const reason = `${CHROMIUM} is not installed`;
    if (process.env.CARPIO_NEED_BROWSER === '1') throw new Error(reason);
    return reason;
  }
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Passes "/NAME/rest" to the UNIX socket of that node as "/rest", WebSockets too, and "/" to the first node. */
export async function openRelay(sockets: Record<string, string>) {
  const target = (incoming: IncomingMessage) => {
    const [, name = '', rest = ''] = /^\/([^/?]+)(\/.*)$/.exec(incoming.url ?? '') ?? [];
    const socketPath = sockets[name];
    const path = socketPath === undefined ? (incoming.url ?? '/') : rest;
    return { socketPath: socketPath ?? Object.values(sockets)[0]!, path, headers: incoming.headers };
  };
  const server = createServer((incoming, response) => {
    const asked = request(target(incoming), (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    asked.on('error', () => response.writeHead(502).end());
    incoming.pipe(asked);
  });
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (incoming, socket) => {
    upgraded.add(socket);
    socket.on('close', () => upgraded.delete(socket));
    socket.on('error', () => {});
    const asked = request(target(incoming));
    asked.on('upgrade', (answer, far, first) => {
      far.on('error', () => socket.destroy());
      far.on('close', () => socket.destroy());
      socket.on('close', () => far.destroy());
      const head = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${head.join('')}\r\n`);
      socket.write(first); // the snapshot often comes in the same packet as the handshake
      socket.pipe(far).pipe(socket);
    });
    asked.on('response', () => socket.destroy());
    asked.on('error', () => socket.destroy());
    asked.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  /** Breaks every open connection, as a pulled cable would. */
  const cut = (): void => {
    for (const socket of upgraded) socket.destroy();
  };
  return { cut, base: `http://127.0.0.1:${port}`, close };
}
