/**
 * The peer channel: one WebSocket between the two nodes, over TLS 1.3 with the pair's key, on the sync link. Calls go
 * both ways (`handle`, `call`). The decisions are machine.ts's; this carries them out.
 */
import { randomBytes } from 'node:crypto';
import type { WebSocket } from 'ws';
import type { PeerEvent } from '../contract/events.ts';
import type { PeerChannelStatus } from '../contract/status.ts';
import type { Json } from '../contract/values.ts';
import { parseAddress, parseCidr, sameNetwork } from '../net/cidr.ts';
import { PeerCalls, type PeerHandler } from './calls.ts';
import { type ChannelKey, channelKeys, PEER_CIPHER } from './key.ts';
import { PEER_FORMAT, PEER_LIMITS, PEER_TIMING } from './limits.ts';
import { type LinkAction, type LinkEvent, type LinkState, newLink, type PeerName, stepLink } from './machine.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import { dialPeer, PeerListener } from './socket.ts';

interface ChannelOptions {
  node: string;
  version: string;
  /** The pair's: the one to dial with first, then those that are taken too. */
  secrets: readonly Uint8Array[];
  port: number;
  /** [sync] peer; null: learnt from the sealed reports of the fast plane. */
  peer: string | null;
}

interface ChannelPorts {
  publish(event: PeerEvent): void;
  warn(message: string): void;
}

/** A refusal is reported at most this often per cause and source, ms; the counters miss none. */
const REPORT_EVERY = 10_000;
const REPORTS = 64;
const GOING_AWAY = 1001;

export class PeerChannel {
  readonly #options: ChannelOptions;
  readonly #ports: ChannelPorts;
  #keys: readonly ChannelKey[];
  /** The key that is dialled with next: the peer may not have the first one yet. */
  #dialWith = 0;
  readonly #link: LinkState;
  readonly #calls = new PeerCalls();
  readonly #sockets = new Map<number, WebSocket>();
  /** The identity of the key under which each of them was opened. */
  readonly #identities = new Map<number, string>();
  readonly #refused: Record<string, number> = {};
  readonly #reported = new Map<string, number>();
  readonly #counters = { sent: 0, received: 0, sent_bytes: 0, received_bytes: 0, connects: 0 };
  readonly #timer: NodeJS.Timeout;
  readonly #onOpen: ((peer: PeerName) => void)[] = [];
  readonly #onLost: ((reason: string) => void)[] = [];
  #own: string | null = null;
  #peerAddress: string | null;
  #listener: PeerListener | null = null;
  #listening: string | null = null;
  #listenTriedAt = Number.NEGATIVE_INFINITY;
  #warned = '';
  #stopDial: (() => void) | null = null;
  #nextId = 1;
  #since: string | null = null;
  #closed = false;

  constructor(options: ChannelOptions, ports: ChannelPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#keys = channelKeys(options.secrets);
    this.#peerAddress = options.peer;
    const boot = randomBytes(8).toString('hex');
    this.#link = newLink({ node: options.node, version: options.version, boot }, performance.now());
    this.#timer = setInterval(() => this.#tick(), PEER_TIMING.tick);
    this.#timer.unref();
  }

  /**
   * What the peer may call. The body is the peer's word: check it with a schema. What the handler throws is the answer.
   * @throws Error when the name is taken
   */
  handle(name: string, handler: PeerHandler): void {
    this.#calls.handle(name, handler);
  }

  /**
   * Calls the peer.
   * @param ms how long the answer may take, at most 60 s
   * @throws (rejects with) CallError; `lost` and `timeout`: whether the peer did it is not known
   */
  call(name: string, body: Json, ms: number): Promise<Json> {
    return this.#calls.call(name, body, ms);
  }

  /** Called at every begin of a channel; at once when there is one. */
  onOpen(act: (peer: PeerName) => void): void {
    this.#onOpen.push(act);
    const { peer } = this;
    if (peer !== null) act(peer);
  }

  onLost(act: (reason: string) => void): void {
    this.#onLost.push(act);
  }

  /** Who is at the other end now; null: there is no channel. */
  get peer(): PeerName | null {
    return this.#link.connections.find((one) => one.id === this.#link.current)?.peer ?? null;
  }

  /** The addresses of the sync device, `address/prefix`: the channel uses the one in the peer's network. */
  setOwn(addresses: readonly string[]): void {
    const peer = this.#peerAddress === null ? null : parseAddress(this.#peerAddress);
    const own = addresses.flatMap((text) => parseCidr(text) ?? []).filter((cidr) => cidr.family === 4);
    const best = own.find((cidr) => peer !== null && sameNetwork(cidr, peer, cidr.prefix)) ?? own[0] ?? null;
    const address = best === null ? null : best.bytes.join('.');
    if (address === this.#own) return;
    this.#own = address;
    this.#listenTriedAt = Number.NEGATIVE_INFINITY;
    this.#who();
    void this.#listen();
  }

  /** The address that this node's channel has, for the peer to know when it is not configured. */
  get own(): string | null {
    return this.#own;
  }

  /** The peer says over the sealed fast plane where its channel is. Counts only when [sync] peer is left out. */
  learnPeer(address: string | null): void {
    if (this.#options.peer !== null || address === null || address === this.#peerAddress) return;
    if (parseAddress(address)?.family !== 4) return;
    this.#peerAddress = address;
    this.#who();
  }

  /**
   * The pair's key has been changed. A connection under a key that does not count any more ends; the next one is
   * dialled at once.
   * @param secrets the one to dial with first, then those that are taken too
   */
  setSecrets(secrets: readonly Uint8Array[]): void {
    this.#keys = channelKeys(secrets);
    this.#dialWith = 0;
    for (const [id, socket] of this.#sockets) {
      if (this.#keys.some(({ identity }) => identity === this.#identities.get(id))) continue;
      socket.close(GOING_AWAY, "the pair's key has been changed");
      setImmediate(() => socket.terminate());
    }
  }

  /** The pair's secret under which the channel was opened, the same at both ends; without a channel the first. */
  get secret(): Uint8Array {
    const identity = this.#link.current === null ? undefined : this.#identities.get(this.#link.current);
    const key = this.#keys.find((one) => one.identity === identity) ?? this.#keys[0];
    return key?.secret ?? new Uint8Array();
  }

  /** The peer was heard on the fast plane: no need to wait with dialling. */
  nudge(): void {
    this.#step({ type: 'nudge' });
  }

  status(): PeerChannelStatus {
    const { peer } = this;
    return {
      state: peer !== null ? 'open' : this.#link.dials === true ? 'dialling' : 'waiting',
      reason: peer !== null ? null : this.#link.reason,
      node: peer?.node ?? null,
      version: peer?.version ?? null,
      since: this.#since,
      address: this.#own,
      port: this.#options.port,
      peer_address: this.#peerAddress,
      listening: this.#listener !== null,
      seal: peer === null ? null : `TLSv1.3 ${PEER_CIPHER}`,
      ...this.#counters,
      ...this.#calls.counters,
      refused: { ...this.#refused },
    };
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#stopDial?.();
    this.#calls.end('carpio is stopping');
    for (const socket of this.#sockets.values()) {
      socket.close(GOING_AWAY, 'stopping');
      socket.terminate();
    }
    this.#sockets.clear();
    this.#listener?.close();
  }

  #tick(): void {
    if (this.#closed) return;
    if (this.#own !== this.#listening) void this.#listen();
    this.#step({ type: 'tick' });
  }

  #step(event: LinkEvent): void {
    if (this.#closed) return;
    for (const action of stepLink(this.#link, event, performance.now())) this.#act(action);
  }

  /** Which of the two dials: the lower address. */
  #who(): void {
    const [own, peer] = [this.#own, this.#peerAddress].map((text) => (text === null ? null : parseAddress(text)));
    if (!own || !peer) {
      const reason = own ? 'the address of the peer is not known yet' : 'the sync device has no IPv4 address';
      this.#step({ type: 'peer', dials: null, reason });
      return;
    }
    const dials = Buffer.compare(Buffer.from(own.bytes), Buffer.from(peer.bytes)) < 0;
    this.#step({ type: 'peer', dials, reason: dials ? 'dialling' : `waiting for ${this.#peerAddress} to dial` });
  }

  async #listen(): Promise<void> {
    const now = performance.now();
    if (now - this.#listenTriedAt < PEER_TIMING.listen) return;
    this.#listenTriedAt = now;
    this.#listener?.close();
    this.#listener = null;
    this.#listening = null;
    const own = this.#own;
    if (own === null) return;
    try {
      const listener = await PeerListener.open(() => this.#keys, own, this.#options.port, {
        expected: (address) => address === this.#peerAddress || (this.#peerAddress === null && address !== own),
        opened: (socket, identity) => this.#adopt(socket, identity, false),
        refused: (cause, from, reason) => this.#refuse(cause, from, reason),
      });
      if (this.#closed || this.#own !== own) {
        listener.close();
        return;
      }
      this.#listener = listener;
      this.#listening = own;
      this.#warned = '';
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const why =
        code === 'EADDRINUSE' ? 'the port is taken; set another [sync] port on both nodes' : (code ?? message);
      this.#warnOnce(`the peer channel cannot listen on ${own} port ${this.#options.port}: ${why}`);
    }
  }

  #warnOnce(text: string): void {
    if (text !== this.#warned) this.#ports.warn(text);
    this.#warned = text;
  }

  #act(action: LinkAction): void {
    switch (action.type) {
      case 'dial':
        this.#dial();
        break;
      case 'hello': {
        const text = encodeMessage({ t: 'hello', v: PEER_FORMAT, ...this.#link.self });
        if (text !== null) this.#send(action.id, text);
        break;
      }
      case 'ping':
        this.#sockets.get(action.id)?.ping();
        break;
      case 'drop': {
        const socket = this.#sockets.get(action.id);
        this.#sockets.delete(action.id);
        socket?.close(GOING_AWAY, action.reason.slice(0, 100));
        // It has said goodbye; whether that is heard is not waited for.
        setImmediate(() => socket?.terminate());
        break;
      }
      case 'refuse':
        this.#refuse(action.cause, null, action.reason);
        break;
      case 'open':
        this.#opened(action.id, action.peer);
        break;
      case 'lost':
        this.#lost(action.reason);
        break;
    }
  }

  #dial(): void {
    const [own, peer] = [this.#own, this.#peerAddress];
    if (own === null || peer === null) {
      this.#step({ type: 'dialFailed', reason: 'the address of the peer is not known yet' });
      return;
    }
    const key = this.#keys[this.#dialWith] ?? this.#keys[0];
    if (key === undefined) return;
    this.#stopDial = dialPeer(
      key,
      own,
      { address: peer, port: this.#options.port },
      {
        opened: (socket) => this.#adopt(socket, key.identity, true),
        failed: (reason, refused) => {
          this.#step({ type: 'dialFailed', reason });
          if (!refused) return;
          this.#dialWith = (this.#dialWith + 1) % this.#keys.length;
          if (this.#dialWith === 0) this.#refuse('key', peer, reason);
        },
      },
    );
  }

  #adopt(socket: WebSocket, identity: string, dialed: boolean): void {
    const id = this.#nextId++;
    this.#sockets.set(id, socket);
    this.#identities.set(id, identity);
    socket.on('message', (data, binary) => this.#onFrame(id, data as Buffer, binary));
    socket.on('ping', () => this.#step({ type: 'heard', id }));
    socket.on('pong', () => this.#step({ type: 'heard', id }));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#count('too_large');
      else if (error.code?.startsWith('WS_ERR')) this.#count('malformed');
      socket.terminate();
    });
    socket.on('close', (_code, reason) => {
      this.#sockets.delete(id);
      this.#identities.delete(id);
      this.#step({ type: 'closed', id, reason: reason.toString().slice(0, 100) || 'the connection ended' });
    });
    this.#step({ type: 'connected', id, dialed });
  }

  #onFrame(id: number, data: Buffer, binary: boolean): void {
    this.#counters.received++;
    this.#counters.received_bytes += data.length;
    const decoded = binary
      ? ({ ok: false, cause: 'malformed', why: 'a binary frame' } as const)
      : decodeMessage(data.toString('utf8'));
    this.#step({ type: 'heard', id });
    if (!decoded.ok) {
      this.#refuse(decoded.cause, null, decoded.why);
      return;
    }
    const { message } = decoded;
    if (message.t === 'hello') this.#step({ type: 'hello', id, hello: message });
    else if (id === this.#link.current) this.#calls.receive(message);
    else this.#count('before_hello');
  }

  #opened(id: number, peer: PeerName): void {
    this.#since = new Date().toISOString();
    this.#counters.connects++;
    this.#calls.begin(peer, (text) => this.#send(id, text));
    this.#ports.publish({ kind: 'peer.channel', up: true, node: peer.node, version: peer.version });
    for (const act of this.#onOpen) act(peer);
  }

  #lost(reason: string): void {
    this.#since = new Date().toISOString();
    this.#calls.end(reason);
    this.#ports.publish({ kind: 'peer.channel', up: false, reason });
    for (const act of this.#onLost) act(reason);
  }

  #send(id: number, text: string): boolean {
    const socket = this.#sockets.get(id);
    if (socket === undefined || socket.bufferedAmount + text.length > PEER_LIMITS.queue) return false;
    this.#counters.sent++;
    this.#counters.sent_bytes += Buffer.byteLength(text);
    socket.send(text, () => {}); // what cannot be sent ends in `close`
    return true;
  }

  #count(cause: string): void {
    this.#refused[cause] = (this.#refused[cause] ?? 0) + 1;
  }

  #refuse(cause: string, source: string | null, reason: string): void {
    this.#count(cause);
    // A socket that has gone knows no address any more; nobody else's comes so far.
    const from = source ?? this.#peerAddress ?? '?';
    const key = `${cause} ${from}`;
    const now = performance.now();
    if (now - (this.#reported.get(key) ?? Number.NEGATIVE_INFINITY) < REPORT_EVERY) return;
    if (this.#reported.size >= REPORTS) this.#reported.clear();
    this.#reported.set(key, now);
    this.#ports.publish({ kind: 'peer.refused', cause, from, reason });
  }
}
