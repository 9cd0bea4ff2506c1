/**
 * The sockets of the peer channel: WebSocket over TLS 1.3 with the pair's key, listened for and dialled. What has not
 * proven the key costs one bounded handshake and is counted by its cause.
 */
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { Places } from '../net/places.ts';
import { TlsUnder } from '../net/tls-under.ts';
import { PEER_CIPHER, type PeerKey } from './key.ts';
import { PEER_LIMITS, PEER_TIMING } from './limits.ts';

const PATH = '/peer';
const HEADER_BYTES = 4096;
const TLS13 = { ciphers: PEER_CIPHER, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

/** Why somebody who came in was sent away before it was a peer. */
type DoorCause =
  /** Not the peer's address. */
  | 'address'
  /** Another pair's key, or none. */
  | 'identity'
  /** Says to be of this pair and does not hold its key. */
  | 'key'
  /** No TLS, a recorded one, or one that did not finish. */
  | 'tls'
  /** Sealed, but no WebSocket on our path. */
  | 'upgrade'
  /** Showed nothing while others waited for its place. */
  | 'crowd';

interface ListenerPorts {
  /** May this address come in? */
  expected(address: string): boolean;
  /** @param identity of the key that it has shown */
  opened(socket: WebSocket, identity: string): void;
  /** @param from null: the socket knows no more */
  refused(cause: DoorCause, from: string | null, reason: string): void;
}

/** IPv4 addresses come as `::ffff:…` from a dual-stack socket. */
const plainAddress = (address: string): string => address.replace(/^::ffff:/, '');

const options = { noServer: true, maxPayload: PEER_LIMITS.message, perMessageDeflate: false } as const;

/** Listens on one address for the peer. */
export class PeerListener {
  readonly #door: Server;
  readonly #tls: HttpsServer;
  readonly #sockets = new Set<Socket>();
  // All of them have the peer's address: there is one source only.
  readonly #places = new Places<Socket>({ total: PEER_LIMITS.sockets, perSource: PEER_LIMITS.sockets });
  readonly #under = new TlsUnder();
  readonly #webSockets = new WebSocketServer({ ...options, clientTracking: false });
  readonly #ports: ListenerPorts;

  /** The identity that a TLS socket has shown. */
  readonly #shown = new WeakMap<object, string>();

  private constructor(keys: () => readonly PeerKey[], ports: ListenerPorts) {
    this.#ports = ports;
    this.#door = createServer((socket) => this.#onSocket(socket));
    // A socket that waits for its turn is a socket held: with that many, the door is closed instead.
    this.#door.maxConnections = PEER_LIMITS.sockets + PEER_LIMITS.socketsOver;
    this.#tls = createHttpsServer({
      ...TLS13,
      pskCallback: (socket, identity) => {
        this.#shown.set(socket, identity);
        return keys().find((key) => key.identity === identity)?.psk ?? null;
      },
      handshakeTimeout: PEER_TIMING.handshake,
      headersTimeout: PEER_TIMING.handshake,
      requestTimeout: PEER_TIMING.handshake,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: HEADER_BYTES,
    });
    // Node hands on here what TLS refuses as well as what HTTP does.
    this.#tls.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#onClientError(error, socket as Socket));
    this.#tls.on('secureConnection', (socket) => this.#under.secured(socket));
    this.#tls.on('upgrade', (request, socket, head) => {
      if (request.url !== PATH) {
        this.#refuse('upgrade', socket as Socket, `asked for ${String(request.url).slice(0, 64)}`);
        return;
      }
      const identity = this.#shown.get(socket) ?? '';
      this.#places.proven(this.#under.of(socket));
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => ports.opened(webSocket, identity));
    });
    this.#webSockets.on('wsClientError', (error, socket) => this.#refuse('upgrade', socket as Socket, error.message));
    this.#tls.on('request', (request, response) => {
      this.#refuse('upgrade', request.socket, 'no WebSocket');
      response.destroy();
    });
  }

  /**
   * @param keys those that count at the moment
   * @throws Error when the address cannot be listened on
   */
  static async open(
    keys: () => readonly PeerKey[],
    address: string,
    port: number,
    ports: ListenerPorts,
  ): Promise<PeerListener> {
    const listener = new PeerListener(keys, ports);
    await new Promise<void>((resolve, reject) => {
      listener.#door.once('error', reject);
      listener.#door.listen({ host: address, port, exclusive: true }, () => {
        listener.#door.off('error', reject);
        resolve();
      });
    });
    listener.#door.on('error', () => {}); // no descriptor left for an accept: the next one may work
    return listener;
  }

  close(): void {
    this.#door.close();
    this.#tls.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #onSocket(socket: Socket): void {
    const from = plainAddress(socket.remoteAddress ?? '');
    socket.on('error', () => socket.destroy());
    if (!this.#ports.expected(from)) {
      socket.destroy();
      this.#ports.refused('address', from, 'not the address of the peer');
      return;
    }
    this.#sockets.add(socket);
    this.#under.opened(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#places.leave(socket);
    });
    const leaves = this.#places.enter(socket, from);
    if (leaves !== null) this.#refuse('crowd', leaves, DOOR_WORDS.crowd);
    if (leaves === socket) return;
    socket.setNoDelay(true);
    this.#tls.emit('connection', socket);
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    const cause = doorCause(error);
    // Who only looks whether somebody listens is no attack.
    if (error.code === 'ECONNRESET' && socket.bytesRead === 0) return;
    this.#refuse(cause, socket, DOOR_WORDS[cause]);
  }

  #refuse(cause: DoorCause, socket: Socket, reason: string): void {
    const from = socket.remoteAddress;
    this.#ports.refused(cause, from === undefined ? null : plainAddress(from), reason);
    socket.destroy();
  }
}

const DOOR_WORDS: Record<DoorCause, string> = {
  address: 'not the address of the peer',
  identity: "shows another pair's key; are both key_files the same?",
  key: 'says to be of this pair, but does not hold its key; are both key_files the same?',
  tls: 'did not finish the TLS handshake',
  upgrade: 'asked for something else than the channel',
  crowd: 'showed no key while others waited',
};

/**
 * OpenSSL's words, as Node hands them on. Without the key's identity OpenSSL looks for a certificate, and there is
 * none.
 */
function doorCause(error: NodeJS.ErrnoException): DoorCause {
  const code = error.code ?? '';
  if (code.startsWith('HPE_') || code.startsWith('ERR_HTTP')) return 'upgrade';
  if (code.includes('BINDER')) return 'key';
  if (code.includes('SIGNATURE_ALGORITHM') || code.includes('NO_SHARED_CIPHER')) return 'identity';
  return 'tls';
}

/** Alerts of RFC 8446, 6.2: 40 handshake_failure, 51 decrypt_error. */
const isRefusal = (error: Error): boolean => /alert number (40|51)\b/.test(error.message);

function dialWords(error: NodeJS.ErrnoException, address: string, port: number): string {
  if (isRefusal(error)) return `${address} refuses this node's key; are both key_files the same?`;
  const words: Record<string, string> = {
    ECONNREFUSED: `nobody listens on ${address} port ${port}: is carpio running there, with the same [sync] port and a key?`,
    EHOSTUNREACH: `${address} cannot be reached`,
    ENETUNREACH: `${address} cannot be reached`,
    ETIMEDOUT: `${address} does not answer`,
    ECONNRESET: `${address} hung up`,
  };
  return (error.code && words[error.code]) ?? `${address}: ${error.message.split('\n')[0]?.slice(0, 120)}`;
}

interface DialPorts {
  opened(socket: WebSocket): void;
  /** @param refused the other side does not take this node's key */
  failed(reason: string, refused: boolean): void;
}

/** Dials the peer once; exactly one of the two ports is called. Returns what stops it. */
export function dialPeer(
  key: PeerKey,
  from: string,
  to: { address: string; port: number },
  ports: DialPorts,
): () => void {
  let done = false;
  const settings: Omit<ClientOptions, 'checkServerIdentity'> & TlsOptions = {
    ...TLS13,
    localAddress: from,
    handshakeTimeout: PEER_TIMING.handshake,
    maxPayload: PEER_LIMITS.message,
    perMessageDeflate: false,
    followRedirects: false,
    pskCallback: () => ({ psk: key.psk, identity: key.identity }),
    // Asked only when the other side shows a certificate instead of the pair's key: whatever it says, it is not the
    // peer.
    checkServerIdentity: () => new Error('shows a certificate instead of the key of the pair'),
  };
  const webSocket = new WebSocket(`wss://${to.address}:${to.port}${PATH}`, settings as unknown as ClientOptions);
  webSocket.on('error', (error: NodeJS.ErrnoException) => {
    if (done) return;
    done = true;
    ports.failed(dialWords(error, to.address, to.port), isRefusal(error));
  });
  webSocket.once('open', () => {
    if (done) return;
    done = true;
    ports.opened(webSocket);
  });
  return () => {
    if (done) return;
    done = true;
    webSocket.terminate();
  };
}
