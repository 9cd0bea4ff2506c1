/**
 * The feed: what this node is doing and why, told to screens, tests and other people's tools (docs/feed.md). It only
 * speaks. Whatever a reader does, the node goes on; nothing in here throws across the event loop.
 */
import { randomInt } from 'node:crypto';
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { ToldEvent } from '../contract/events.ts';
import type { NodeStatus } from '../contract/status.ts';
import { type ListenAddress, parseListen } from '../net/listen-address.ts';
import { Clients, type Wish } from './clients.ts';
import { admit, type Door } from './guard.ts';
import { type Answer, answer, type Pages, pagePolicy, plain, send, sendRaw } from './http.ts';
import { LIMITS } from './limits.ts';
import { createServer, type Listener, openListener, type Tls } from './listen.ts';
import { EventLog } from './log.ts';
import { type FeedCounters, renderMetrics } from './metrics.ts';
import { Visitors } from './visitors.ts';

export interface FeedOptions {
  /** "127.0.0.1:8180", "[::1]:8180", "localhost:8180", "unix:/run/carpio/feed.sock"; port 0: any free one. */
  listen: string[];
  /** Gives the token, asked at each request. `null`: only local addresses are allowed. */
  token: (() => string) | null;
  tls: Tls | null;
  getStatus(): NodeStatus;
  getSample(): Record<string, number>;
  /** Why the node is not healthy, `null` when it is. */
  getHealth?(): string | null;
  /** The page, one HTML text with style and script inside. */
  page: string;
  /** For tests: the first event's number (else drawn, see `startFeed`), the time between samples and pings in ms. */
  firstSeq?: number;
  sampleMs?: number;
  pingMs?: number;
}

export interface Feed {
  publish(event: ToldEvent): void;
  /** Where it listens, as in the options, with the real ports. */
  addresses: string[];
  counters: FeedCounters;
  close(): Promise<void>;
}

/** What readers get to end their connections when the feed closes, in ms. */
const CLOSE_GRACE_MS = 300;

/**
 * Starts the feed on all addresses or on none.
 *
 * Numbers start at a random point: a reader that comes back with `?since=` from before a restart then never hits a
 * number of the new run, and gets a snapshot in place of a hole.
 * @throws Error with one line (bad address, address in use, token missing or short)
 */
export async function startFeed(options: FeedOptions): Promise<Feed> {
  const addresses = options.listen.map(parseListen);
  checkToken(addresses, options.token);
  const feed = new FeedCore(options);
  const listeners: Listener[] = [];
  try {
    for (const address of addresses) {
      const server = createServer(address, options.tls);
      feed.serve(server, doorOf(address, options.token));
      listeners.push(await openListener(server, address));
    }
  } catch (error) {
    feed.clients.close();
    await Promise.all(listeners.map((listener) => listener.close(0)));
    throw error;
  }
  return {
    publish: (event) => feed.publish(event),
    addresses: listeners.map((listener) => listener.address),
    counters: feed.counters,
    close: async () => {
      feed.clients.close();
      await Promise.all(listeners.map((listener) => listener.close(CLOSE_GRACE_MS)));
    },
  };
}

function checkToken(addresses: ListenAddress[], token: (() => string) | null): void {
  const open = addresses.find((address) => !address.local);
  if (open === undefined || open.kind !== 'tcp') return;
  const where = `feed.listen: ${open.host} can be reached by others`;
  if (token === null) throw new Error(`${where} and no token is set; set feed.token_file or listen on 127.0.0.1`);
  const length = token().length;
  if (length < LIMITS.tokenChars) {
    throw new Error(
      `${where} and the token has ${length} characters, expected at least ${LIMITS.tokenChars}; write a longer one to feed.token_file`,
    );
  }
}

function doorOf(address: ListenAddress, token: (() => string) | null): Door {
  const { local } = address;
  return { local, loopback: address.kind === 'tcp' && local, token: local ? null : token };
}

class FeedCore {
  readonly counters: FeedCounters = {
    clients: 0,
    accepted: 0,
    events: 0,
    samples_dropped: 0,
    closed_slow: 0,
    closed_talking: 0,
    refused: {},
  };
  readonly clients: Clients;
  readonly #log: EventLog;
  readonly #options: FeedOptions;
  readonly #pages: Pages;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: LIMITS.clientFrame,
    maxFragments: 4,
    maxBufferedChunks: 64,
  });

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#log = new EventLog({ firstSeq: options.firstSeq ?? randomInt(1, 2 ** 40) });
    const statusText = (): string => JSON.stringify(options.getStatus());
    this.clients = new Clients({ log: this.#log, statusText, sampleFrame: () => this.#sampleFrame() }, this.counters, {
      sampleMs: options.sampleMs ?? LIMITS.sampleMs,
      pingMs: options.pingMs ?? LIMITS.pingMs,
    });
    this.#pages = {
      page: options.page,
      pagePolicy: pagePolicy(options.page),
      status: statusText,
      metrics: (format) => renderMetrics(options.getStatus(), this.counters, this.#health(), format),
      health: () => this.#health(),
    };
  }

  publish(event: ToldEvent): void {
    this.counters.events++;
    this.clients.event(this.#log.append(event, new Date().toISOString()).frame);
  }

  serve(server: HttpServer, door: Door): void {
    const visitors = new Visitors(server, door.local, () => this.#refuse('connections'));
    server.on('request', (request, response) => this.#request(request, response, door, visitors));
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head, door, visitors));
    server.on('drop', () => this.#refuse('connections'));
    server.on('clientError', (_error, socket) => {
      this.#refuse('malformed');
      if (socket.writable) sendRaw(socket, plain(400, 'not HTTP as expected here'));
      else socket.destroy();
    });
  }

  #request(request: IncomingMessage, response: ServerResponse, door: Door, visitors: Visitors): void {
    response.on('error', () => {});
    request.on('error', () => {});
    const url = urlOf(request);
    const refused = url === null ? this.#badAddress() : this.#admit(request, url, door);
    if (refused === null) {
      visitors.admitted(request.socket);
      response.once('close', () => visitors.idle(request.socket));
    }
    send(request, response, refused ?? this.#answer(request, url!));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, door: Door, visitors: Visitors): void {
    socket.on('error', () => {});
    const url = urlOf(request);
    const refused =
      url === null ? this.#badAddress() : (this.#admit(request, url, door) ?? this.#checkFeed(url, socket, visitors));
    if (refused !== null) {
      sendRaw(socket, refused);
      return;
    }
    // A handshake that is not sound is answered with 400 by ws itself.
    this.#sockets.handleUpgrade(request, socket, head, (ws) => this.clients.add(ws, wishOf(url!)));
  }

  #answer(request: IncomingMessage, url: URL): Answer {
    try {
      return answer(request.method ?? '', url.pathname, request.headers.accept, this.#pages);
    } catch {
      this.#refuse('internal');
      return plain(500, 'the node could not say; see its log');
    }
  }

  #admit(request: IncomingMessage, url: URL, door: Door): Answer | null {
    const refusal = admit(request.headers, url.searchParams, door);
    if (refusal === null) return null;
    this.#refuse(refusal.cause);
    const headers = refusal.status === 401 ? { 'WWW-Authenticate': 'Bearer realm="carpio"' } : undefined;
    return plain(refusal.status, refusal.text, headers);
  }

  #checkFeed(url: URL, socket: Duplex, visitors: Visitors): Answer | null {
    if (url.pathname !== '/feed') return plain(404, 'the WebSocket is at /feed');
    if (visitors.addReader(socket)) {
      visitors.admitted(socket);
      return null;
    }
    this.#refuse('clients');
    const { clients, perSource } = LIMITS;
    const text = `already ${clients} clients here, or ${perSource.clients} of your address`;
    return plain(503, text, { 'Retry-After': '10' });
  }

  #badAddress(): Answer {
    this.#refuse('malformed');
    return plain(400, 'the address of the request cannot be read');
  }

  #health(): string | null {
    return this.#options.getHealth?.() ?? null;
  }

  #sampleFrame(): string {
    const head = { type: 'sample', seq: this.#log.seq, time: new Date().toISOString() };
    return JSON.stringify(Object.assign({ ...head }, this.#options.getSample(), head));
  }

  #refuse(cause: string): void {
    this.counters.refused[cause] = (this.counters.refused[cause] ?? 0) + 1;
  }
}

function urlOf(request: IncomingMessage): URL | null {
  const target = request.url ?? '';
  return target.startsWith('/') && !target.startsWith('//') ? URL.parse(target, 'http://feed') : null;
}

function wishOf(url: URL): Wish {
  const since = url.searchParams.get('since');
  const recent = Number(url.searchParams.get('recent') ?? 0);
  return {
    since: since !== null && /^\d{1,16}$/.test(since) ? Number(since) : null,
    recent: Number.isInteger(recent) ? Math.min(Math.max(recent, 0), LIMITS.recent) : 0,
    status: url.searchParams.get('status') === '1',
  };
}
