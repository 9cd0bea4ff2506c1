/**
 * The channel of one pairing: TLS 1.2 with ECDHE and a pre-shared key that scrypt makes from the code. Who records it
 * can try no guesses (the ECDHE secret is missing); who stands in the middle can try them against one handshake, 2^70
 * times scrypt. Node speaks pre-shared keys with callbacks up to TLS 1.2 only.
 */
import { scryptSync } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** TCP port of a pairing, beside the peer channel's. */
export const PAIR_PORT = 8241;
/** The other box's name in the handshake; a client with another one has made no guess. */
export const PAIR_IDENTITY = 'carpio pair 1';

export const TLS_OPTIONS = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  ecdhCurve: 'X25519:prime256v1',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const;

/** Bytes; the salt goes over as the identity hint, base64url. */
export const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** About 0.1 s and 32 MiB on a small box. */
const COST = { N: 1 << 15, r: 8, p: 1, maxmem: 64 << 20 };
/** Longest line that either side reads, bytes. */
const MAX_LINE = 1024;

export function derivePsk(code: string, salt: Uint8Array): Buffer {
  return scryptSync(code, salt, KEY_BYTES, COST);
}

/** A reader of one JSON object a line, for the few messages of a pairing. */
export class Messages {
  readonly #socket: TLSSocket;
  #pending = '';
  #ended: Error | null = null;
  #wake: () => void = () => {};

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.#pending += text;
      if (this.#pending.length > MAX_LINE) this.#end(new Error(`sent more than ${MAX_LINE} bytes`));
      this.#wake();
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('closed the connection')));
  }

  send(message: Record<string, string | number | boolean>): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /** The next message. @throws Error with what the other side did instead */
  async next(): Promise<Record<string, unknown>> {
    for (;;) {
      const end = this.#pending.indexOf('\n');
      if (end >= 0) {
        const line = this.#pending.slice(0, end);
        this.#pending = this.#pending.slice(end + 1);
        return parseLine(line);
      }
      if (this.#ended !== null) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#socket.destroy();
    this.#wake();
  }
}

function parseLine(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error('sent something that is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('sent no message');
  return value as Record<string, unknown>;
}
