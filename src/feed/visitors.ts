/**
 * The connections of one listen address. A machine that opens many, and says nothing on them, pushes out its own
 * connections; one listener's readers take nothing from another's.
 */
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { Places } from '../net/places.ts';
import { TlsUnder } from '../net/tls-under.ts';
import { LIMITS } from './limits.ts';

export class Visitors {
  readonly #connections: Places<Socket>;
  readonly #readers: Places<object>;
  readonly #under = new TlsUnder();

  /**
   * @param local only this machine reaches the listener, so all sources are one
   * @param refused called for each connection that has to go
   */
  constructor(server: HttpServer, local: boolean, refused: () => void) {
    const { connections, clients, perSource } = LIMITS;
    this.#connections = new Places({ total: connections, perSource: local ? connections : perSource.connections });
    this.#readers = new Places({ total: clients, perSource: local ? clients : perSource.clients });
    server.on('connection', (socket: Socket) => this.#enter(socket, refused));
    server.on('secureConnection', (socket) => this.#under.secured(socket));
  }

  /** It may read: it no longer gives way to a newcomer. */
  admitted(socket: object): void {
    this.#connections.proven(this.#under.of(socket));
  }

  /** Its request is answered; it holds the connection for a next one. */
  idle(socket: object): void {
    this.#connections.rest(this.#under.of(socket));
  }

  /** @returns false: the listener, or the source, has as many readers as it may */
  addReader(socket: object): boolean {
    const connection = this.#under.of(socket);
    if (this.#readers.enter(connection, connection.remoteAddress ?? '') !== null) return false;
    this.#readers.proven(connection);
    connection.once('close', () => this.#readers.leave(connection));
    return true;
  }

  #enter(socket: Socket, refused: () => void): void {
    this.#under.opened(socket);
    socket.once('close', () => this.#connections.leave(socket));
    const leaves = this.#connections.enter(socket, socket.remoteAddress ?? '');
    if (leaves === null) return;
    leaves.destroy();
    refused();
  }
}
