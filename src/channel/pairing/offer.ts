/**
 * The first box of a pairing: waits on the sync link for one box that knows the code, and hands it the key.
 *
 *   other box  {"v":1,"node":"fw-b"}
 *   this box   {"v":1,"node":"fw-a","key":"<hex>"}
 *   other box  {"stored":"<fingerprint>"}  or  {"error":"one line"}
 *   this box   {"done":true}
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { Places } from '../../net/places.ts';
import { TlsUnder } from '../../net/tls-under.ts';
import { fingerprint } from './key-file.ts';
import { derivePsk, Messages, PAIR_IDENTITY, SALT_BYTES, TLS_OPTIONS } from './tls.ts';

export const PAIR_LIMITS = {
  /** Guesses; then the code is void. */
  attempts: 5,
  /** Connections at once; one that has not made a guess gives way to the next. */
  connections: 16,
  /** Of those, from one machine, where any of the subnet may come. */
  perSource: 8,
  /** For a handshake and for each step after it, ms. */
  stepMs: 10_000,
} as const;

export interface OfferOptions {
  code: string;
  key: Uint8Array;
  node: string;
  /** The sync interface's own address. */
  host: string;
  port: number;
  /** May a machine with this address try at all? */
  allowed(address: string): boolean;
  /** ms; then nobody came. */
  withinMs: number;
  /** One line for the person at the terminal. */
  say(line: string): void;
  /** Called once, when it listens, with the port. */
  listening?(port: number): void;
}

interface OfferCounts {
  /** Handshakes that knew our identity and so made a guess. */
  guesses: number;
  /** Connections from addresses that may not pair, or that never made a guess. */
  refused: number;
}

export type OfferResult =
  | { ok: true; peer: string; counts: OfferCounts }
  | { ok: false; error: string; counts: OfferCounts };

/** Resolves when the other box has stored the key, when the guesses are used up or when the time is over. */
export function offerKey(options: OfferOptions): Promise<OfferResult> {
  return new Promise((resolve) => new Offer(options, resolve).start());
}

const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');

class Offer {
  readonly #options: OfferOptions;
  readonly #counts: OfferCounts = { guesses: 0, refused: 0 };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #guessed = new WeakSet<Socket>();
  readonly #places = new Places<Socket>({ total: PAIR_LIMITS.connections, perSource: PAIR_LIMITS.perSource });
  readonly #under = new TlsUnder();
  readonly #resolve: (result: OfferResult) => void;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: OfferOptions, resolve: (result: OfferResult) => void) {
    this.#options = options;
    this.#resolve = resolve;
    const salt = randomBytes(SALT_BYTES);
    const psk = derivePsk(options.code, salt);
    this.#server = createServer(
      {
        ...TLS_OPTIONS,
        handshakeTimeout: PAIR_LIMITS.stepMs,
        pskIdentityHint: salt.toString('base64url'),
        // The client has to prove the key first (its Finished comes before ours), so each call is one guess.
        pskCallback: (socket, identity) => {
          if (identity !== PAIR_IDENTITY || this.#ended) return null;
          this.#counts.guesses++;
          this.#guessed.add(socket);
          this.#under.secured(socket);
          this.#places.proven(this.#under.of(socket));
          return this.#counts.guesses > PAIR_LIMITS.attempts ? null : psk;
        },
      },
      (socket) => void this.#serve(socket),
    );
  }

  start(): void {
    const { host, port, withinMs, listening } = this.#options;
    this.#timer = setTimeout(() => this.#fail(`nobody came within ${Math.round(withinMs / 1000)} s`), withinMs);
    this.#server
      .on('error', (error: NodeJS.ErrnoException) => this.#fail(listenTrouble(host, port, error)))
      .on('connection', (socket) => this.#accept(socket))
      .on('tlsClientError', (_error, socket) => this.#handshakeFailed(socket));
    this.#server.listen({ host, port }, () => {
      const bound = this.#server.address();
      listening?.(typeof bound === 'object' && bound !== null ? bound.port : port);
    });
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const from = plain(socket.remoteAddress);
    // Who is sent away has a handshake that failed, which is where it is counted.
    if (!this.#options.allowed(from)) {
      socket.destroy();
      return;
    }
    this.#under.opened(socket);
    const leaves = this.#places.enter(socket, from);
    leaves?.destroy();
    if (leaves === socket) return;
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#places.leave(socket);
    });
  }

  #handshakeFailed(socket: TLSSocket): void {
    socket.destroy();
    if (!this.#guessed.has(socket)) {
      this.#counts.refused++;
      return;
    }
    const { attempts } = PAIR_LIMITS;
    const left = Math.max(0, attempts - this.#counts.guesses);
    this.#options.say(`wrong code; ${left} attempts left`);
    if (left === 0) this.#fail(`${attempts} wrong codes: this code is void; begin again with carpio pair`);
  }

  async #serve(socket: TLSSocket): Promise<void> {
    const { key, node, say } = this.#options;
    const messages = new Messages(socket);
    socket.setTimeout(PAIR_LIMITS.stepMs, () => socket.destroy());
    try {
      const hello = await messages.next();
      if (hello.v !== 1 || typeof hello.node !== 'string') {
        throw new Error('speaks another version of pairing; use the same carpio on both');
      }
      messages.send({ v: 1, node, key: Buffer.from(key).toString('hex') });
      const answer = await messages.next();
      if (typeof answer.error === 'string') throw new Error(`could not store the key: ${answer.error.slice(0, 200)}`);
      if (answer.stored !== fingerprint(key)) throw new Error('stored another key than it was given');
      await new Promise<void>((resolve) => socket.end('{"done":true}\n', () => resolve()));
      this.#settle({ ok: true, peer: hello.node.slice(0, 64), counts: this.#counts });
    } catch (error) {
      // It knew the code, so this is no attack: the person tries again.
      say(`the other box ${(error as Error).message}; it may try again`);
      socket.destroy();
    }
  }

  #fail(error: string): void {
    this.#settle({ ok: false, error, counts: this.#counts });
  }

  #settle(result: OfferResult): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#server.close();
    if (!result.ok) for (const socket of this.#sockets) socket.destroy();
    this.#resolve(result);
  }
}

function listenTrouble(host: string, port: number, error: NodeJS.ErrnoException): string {
  const words: Record<string, string> = {
    EADDRINUSE: 'another pairing is under way on this box',
    EADDRNOTAVAIL: 'this box does not have that address',
  };
  return `cannot listen on ${host} port ${port}: ${words[error.code ?? ''] ?? error.code ?? error.message}`;
}
