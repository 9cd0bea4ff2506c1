/**
 * Advertisements in and out, over raw-socket (main thread only).
 *
 * Receiving: one socket per family and interface, bound to the parent, member of the CARP group there. IPv4 gives the
 * whole packet with its header; IPv6 gives the payload only, so the hop limit is checked by nftables (nft.ts).
 *
 * Sending: one socket per family and vhid, bound to the device whose MAC the frame shall carry. Its protocol is
 * IPPROTO_RAW: it takes complete packets, header included, and receives nothing.
 */

import { messageOf } from '../contract/message-of.ts';
import { closeOnExec } from './close-on-exec.ts';
import { deviceFlags } from './device-flags.ts';
import { loadRawSocket, type RawSocket } from './natives.ts';

const IPPROTO_CARP = 112;
const IPPROTO_RAW = 255;

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SOL_IP = 0;
const IP_HDRINCL = 3;
const IP_ADD_MEMBERSHIP = 35;
const IP_MULTICAST_LOOP = 34;
const IP_MULTICAST_ALL = 49;
const SOL_IPV6 = 41;
const IPV6_JOIN_GROUP = 20;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_MULTICAST_ALL = 29;
const IPV6_HDRINCL = 36;

const GROUP_V4 = Uint8Array.of(224, 0, 0, 18);
const GROUP_V6 = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12);

/**
 * Longest packet kept, bytes. An advertisement has 56; longer ones are cut and refused by the codec for their length.
 */
const RECEIVE_BYTES = 2048;
const RECEIVE_QUEUE_BYTES = 256 * 1024;
const REOPEN_MS = 1000;

export type Family = 4 | 6;

/**
 * The add-on closes a socket as soon as its JavaScript object is collected, also in the middle of a send. Held here
 * until it is closed.
 */
const alive = new Set<RawSocket>();

function createSocket(protocol: number, family: Family): RawSocket {
  const raw = loadRawSocket();
  const socket = raw.createSocket({
    protocol,
    addressFamily: family === 4 ? raw.AddressFamily.IPv4 : raw.AddressFamily.IPv6,
    bufferSize: RECEIVE_BYTES,
  });
  // raw-socket does not say so when it opens one.
  closeOnExec();
  alive.add(socket);
  socket.on('close', () => alive.delete(socket));
  return socket;
}

function bindToDevice(socket: RawSocket, device: string): void {
  const name = Buffer.from(`${device}\0`);
  socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, name, name.length);
}

function joinV4(socket: RawSocket, ifindex: number): void {
  const mreqn = Buffer.alloc(12); // group, local address (any), device index
  mreqn.set(GROUP_V4, 0);
  mreqn.writeInt32LE(ifindex, 8);
  socket.setOption(SOL_IP, IP_MULTICAST_ALL, 0);
  socket.setOption(SOL_IP, IP_ADD_MEMBERSHIP, mreqn, mreqn.length);
}

function joinV6(socket: RawSocket, ifindex: number): void {
  const mreq = Buffer.alloc(20);
  mreq.set(GROUP_V6, 0);
  mreq.writeInt32LE(ifindex, 16);
  socket.setOption(SOL_IPV6, IPV6_MULTICAST_ALL, 0);
  socket.setOption(SOL_IPV6, IPV6_JOIN_GROUP, mreq, mreq.length);
}

export interface CarpReceiverOptions {
  /** the parent interface */
  readonly device: string;
  readonly ifindex: number;
  readonly v4: boolean;
  readonly v6: boolean;
  /**
   * `bytes` is a copy. IPv4: the packet from its IP header on. IPv6: the payload only.
   * `source` is the sender's address without a zone.
   */
  readonly onPacket: (family: Family, bytes: Buffer, source: string) => void;
  /** Also told when a socket had to be closed; it is opened again by itself, at most once a second. */
  readonly onError: (error: Error) => void;
}

export interface Closable {
  close(): void;
}

/**
 * Opens the receiver. What fails is told to `onError` (also at the start) and tried again every second. Never throws.
 */
export function openCarpReceiver(options: CarpReceiverOptions): Closable {
  const parts: Closable[] = [];
  if (options.v4) parts.push(keepReceiving(4, options));
  if (options.v6) parts.push(keepReceiving(6, options));
  return {
    close(): void {
      for (const part of parts) part.close();
    },
  };
}

function keepReceiving(family: Family, options: CarpReceiverOptions): Closable {
  let socket: RawSocket | null = null;
  let timer: NodeJS.Timeout | null = null;
  let open = true;
  const fail = (error: unknown): void =>
    options.onError(described(`receive CARP (IPv${family}) on ${options.device}`, error));
  const later = (): void => {
    timer = setTimeout(start, REOPEN_MS);
    timer.unref();
  };
  let startedAt = Number.NEGATIVE_INFINITY;
  const start = (): void => {
    if (!open) return;
    startedAt = performance.now();
    try {
      socket = receiveSocket(family, options, fail);
      const own = socket;
      own.on('close', () => {
        if (!open || socket !== own) return;
        socket = null;
        if (performance.now() - startedAt > REOPEN_MS) setImmediate(start);
        else later();
      });
    } catch (error) {
      socket = null;
      fail(error);
      later();
    }
  };
  start();
  return {
    close(): void {
      open = false;
      if (timer !== null) clearTimeout(timer);
      socket?.close();
      socket = null;
    },
  };
}

function receiveSocket(family: Family, options: CarpReceiverOptions, fail: (error: unknown) => void): RawSocket {
  const socket = createSocket(IPPROTO_CARP, family);
  try {
    socket.setOption(SOL_SOCKET, SO_RCVBUF, RECEIVE_QUEUE_BYTES);
    bindToDevice(socket, options.device);
    if (family === 4) joinV4(socket, options.ifindex);
    else joinV6(socket, options.ifindex);
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('error', fail);
  socket.on('message', (bytes, source) => {
    try {
      // raw-socket reuses one buffer for every packet.
      options.onPacket(family, Buffer.from(bytes), source.replace(/%.*$/, ''));
    } catch (error) {
      fail(error);
    }
  });
  return socket;
}

interface CarpSenderOptions {
  /** the macvlan with the virtual MAC, or in mode `physical` the NIC */
  readonly device: string;
  readonly v4: boolean;
  readonly v6: boolean;
  /** Called for each `send`, with null when the kernel took the packet and the device has a carrier. */
  readonly onResult: (family: Family, error: Error | null) => void;
}

export interface CarpSender extends Closable {
  /**
   * Sends a complete packet, IP header included.
   * @param to destination address for the kernel's routing; by default the CARP group
   */
  send(family: Family, packet: Uint8Array, to?: string): void;
  /** Resolves when the kernel has taken (or refused) every packet that was sent, or after `limitMs`. */
  flushed(limitMs: number): Promise<void>;
}

/**
 * Opens the sender. Never throws: a socket that cannot be opened makes the send a failed one. After any failure the
 * next send opens a new socket, so a device that was made anew is found again.
 */
export function openCarpSender(options: CarpSenderOptions): CarpSender {
  return new Sender(options);
}

class Sender implements CarpSender {
  readonly #options: CarpSenderOptions;
  readonly #sockets = new Map<Family, RawSocket>();
  /** Packets handed over and not yet answered for: a socket that is closed forgets them without a word. */
  readonly #waiting = new Map<RawSocket, number>();
  #idle: (() => void)[] = [];
  #open = true;

  constructor(options: CarpSenderOptions) {
    this.#options = options;
  }

  flushed(limitMs: number): Promise<void> {
    if (this.#waits === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  get #waits(): number {
    return [...this.#waiting.values()].reduce((sum, left) => sum + left, 0);
  }

  #settled(socket: RawSocket, left: number): void {
    if (left === 0) this.#waiting.delete(socket);
    else this.#waiting.set(socket, left);
    if (this.#idle.length === 0 || this.#waits > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  send(family: Family, packet: Uint8Array, to = family === 4 ? '224.0.0.18' : 'ff02::12'): void {
    try {
      const socket = this.#sockets.get(family) ?? this.#openSocket(family);
      this.#waiting.set(socket, (this.#waiting.get(socket) ?? 0) + 1);
      socket.send(Buffer.from(packet), 0, packet.length, to, (error) => {
        this.#settled(socket, (this.#waiting.get(socket) ?? 1) - 1);
        if (error !== null) this.#drop(family, socket);
        this.#result(family, error ?? lost(this.#options.device));
      });
    } catch (error) {
      this.#result(family, error);
    }
  }

  close(): void {
    this.#open = false;
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #openSocket(family: Family): RawSocket {
    if (!this.#open) throw new Error('the sender is closed');
    if (!(family === 4 ? this.#options.v4 : this.#options.v6)) throw new Error(`opened without IPv${family}`);
    const socket = sendSocket(family, this.#options.device);
    this.#sockets.set(family, socket);
    socket.on('error', () => this.#drop(family, socket));
    socket.on('close', () => {
      if (this.#sockets.get(family) === socket) this.#sockets.delete(family);
      const left = this.#waiting.get(socket) ?? 0;
      this.#settled(socket, 0);
      for (let i = 0; i < left; i++) this.#result(family, new Error('closed before the packet left'));
    });
    return socket;
  }

  #drop(family: Family, socket: RawSocket): void {
    if (this.#sockets.get(family) !== socket) return;
    this.#sockets.delete(family);
    socket.close();
  }

  #result(family: Family, error: unknown): void {
    const { device, onResult } = this.#options;
    onResult(family, error === null ? null : described(`send CARP (IPv${family}) on ${device}`, error));
  }
}

function sendSocket(family: Family, device: string): RawSocket {
  const socket = createSocket(IPPROTO_RAW, family);
  try {
    bindToDevice(socket, device);
    // In mode `physical` sender and receiver share the NIC, and the kernel would hand each advert back to this node.
    if (family === 4) {
      socket.setOption(SOL_IP, IP_HDRINCL, 1);
      socket.setOption(SOL_IP, IP_MULTICAST_LOOP, 0);
    } else {
      socket.setOption(SOL_IPV6, IPV6_HDRINCL, 1);
      socket.setOption(SOL_IPV6, IPV6_MULTICAST_LOOP, 0);
    }
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

// Behind a cable that is out, and on a macvlan whose parent is down, the kernel takes a packet and drops it silently.
function lost(device: string): Error | null {
  try {
    return deviceFlags(device).running ? null : new Error('the device has no carrier, the packet was lost');
  } catch (error) {
    return error as Error;
  }
}

// raw-socket's errors carry only the C library's words, so what was attempted is put in front.
function described(attempted: string, error: unknown): Error {
  return new Error(`${attempted}: ${messageOf(error)}`);
}
