/** The plain requests of the feed's port: the page, the status, the metrics, the health. */
import { createHash } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { CONTENT_TYPE, type Format, formatFor } from './exposition.ts';

export interface Answer {
  status: number;
  type: string;
  body: string;
  headers?: Record<string, string>;
}

/** What each path says. May throw; the caller answers 500 then. */
export interface Pages {
  page: string;
  pagePolicy: string;
  status(): string;
  metrics(format: Format): string;
  /** `null`: healthy. */
  health(): string | null;
}

const TEXT = 'text/plain; charset=utf-8';

/**
 * Nothing here may be kept by a cache, guessed at, framed, or told to other sites (a token may stand in the address).
 */
const COMMON_HEADERS: Record<string, string> = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
};

/**
 * The answer to a request that may be answered (see guard.ts).
 * @param accept the request's Accept header
 */
export function answer(method: string, path: string, accept: string | undefined, pages: Pages): Answer {
  const make = paths(pages, accept)[path];
  if (make === undefined) {
    return plain(404, 'nothing here; there are / /feed /status /metrics /healthz');
  }
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'only GET and HEAD', { Allow: 'GET, HEAD' });
  return make();
}

function paths(pages: Pages, accept: string | undefined): Record<string, (() => Answer) | undefined> {
  return {
    __proto__: null as never,
    '/': () => ({
      status: 200,
      type: 'text/html; charset=utf-8',
      body: pages.page,
      headers: { 'Content-Security-Policy': pages.pagePolicy, 'Cross-Origin-Opener-Policy': 'same-origin' },
    }),
    '/status': () => ({ status: 200, type: 'application/json', body: `${pages.status()}\n` }),
    '/metrics': () => {
      const format = formatFor(accept);
      return { status: 200, type: CONTENT_TYPE[format], body: pages.metrics(format) };
    },
    '/healthz': () => {
      const reason = pages.health();
      return reason === null ? plain(200, 'ok') : plain(503, reason.replace(/\s+/g, ' '));
    },
    '/feed': () => plain(426, 'this path speaks WebSocket', { Upgrade: 'websocket' }),
  };
}

export function plain(status: number, text: string, headers?: Record<string, string>): Answer {
  return { status, type: TEXT, body: `${text}\n`, ...(headers && { headers }) };
}

export function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, headers }: Answer,
): void {
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  response.writeHead(status, {
    ...COMMON_HEADERS,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    ...headers,
    // Nobody has anything to tell us: rather than read a body to its end, end the connection.
    ...(hasBody && { Connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** The answer to an upgrade that is refused, where there is no response object, only the connection. */
export function sendRaw(socket: Duplex, { status, type, body, headers }: Answer): void {
  const lines = Object.entries({
    ...COMMON_HEADERS,
    'Content-Type': type,
    'Content-Length': String(Buffer.byteLength(body)),
    ...headers,
    Connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`);
}

/**
 * The page's policy: its own inline style and script and nothing else. The hashes are taken from the page itself, so
 * that they are right whatever page is served.
 */
export function pagePolicy(page: string): string {
  const hashes = (tag: string): string =>
    [...page.matchAll(new RegExp(`<${tag}(?:\\s[^>]*)?>([\\s\\S]*?)</${tag}>`, 'g'))]
      .map((match) => ` 'sha256-${createHash('sha256').update(match[1]!).digest('base64')}'`)
      .join('');
  return [
    "default-src 'self'",
    `script-src${hashes('script') || " 'none'"}`,
    `style-src${hashes('style') || " 'none'"}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
