/**
 * Finds the TCP connection under a TLS socket: a listener counts connections, HTTP and TLS hand on their own sockets.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export class TlsUnder {
  /** Open TCP connections by their other end, which no two of one listener share. */
  readonly #byEnd = new Map<string, Socket>();
  readonly #under = new WeakMap<object, Socket>();

  /** A connection has come in. */
  opened(connection: Socket): void {
    const end = endOf(connection);
    this.#byEnd.set(end, connection);
    connection.once('close', () => {
      if (this.#byEnd.get(end) === connection) this.#byEnd.delete(end);
    });
  }

  /** A TLS handshake on one of them has ended well. */
  secured(socket: TLSSocket): void {
    const connection = this.#byEnd.get(endOf(socket));
    if (connection !== undefined) this.#under.set(socket, connection);
  }

  /** The connection under the socket, or the socket itself where there is no TLS. */
  of(socket: object): Socket {
    return this.#under.get(socket) ?? (socket as Socket);
  }
}

const endOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;
