/**
 * The control socket: how the commands talk to the running node. A unix socket with one JSON object a line:
 *
 *   {"cmd":"status","args":{}}                      request
 *   {"chunk":[…]}                                   none, one or more parts of a long answer
 *   {"ok":true,"result":…} or {"ok":false,"error":"one line"}
 *
 * Requests on one connection are answered one after the other. Whoever may open the socket (mode 0660) may command the
 * node; what the limits stop is a client that is broken, not one that is hostile.
 */

import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { withUmask } from '../../config/umask.ts';
import { messageOf } from '../../contract/message-of.ts';
import type { Json } from '../../contract/values.ts';

export const CONTROL_LIMITS = {
  /** Longest request, newline included, in bytes. */
  requestBytes: 64 * 1024,
  clients: 16,
  /** A client that has not sent a whole request for this long is let go, in ms. */
  idleMs: 5000,
  /**
   * A client that has not read what it asked for for this long is let go, in ms; a pager may keep it waiting a while.
   */
  stuckMs: 300_000,
} as const;

const SOCKET_MODE = 0o660;
const DIRECTORY_UMASK = 0o022;
/** A goodbye that nobody reads is cut after this, in ms. */
const LINGER_MS = 1000;
const PROBE_MS = 2000;

interface ControlStream {
  /** Sends a part of a long answer; resolves when the client has room for more. Rejects when the client is gone. */
  (chunk: Json[]): Promise<void>;
  /** Aborted when the client is gone or has closed its sending side, so that work only for its sake can stop. */
  readonly signal: AbortSignal;
}

/** What it throws or rejects with becomes the answer's `error`: its message, in one line. */
export type ControlHandler = (args: Record<string, Json>, stream: ControlStream) => Promise<Json>;

export interface ControlServer {
  readonly path: string;
  /** Stops listening, lets go of all clients and removes the socket. */
  close(): Promise<void>;
}

export interface ControlOptions {
  idleMs?: number;
  stuckMs?: number;
  /** Told of what a handler threw that is a mistake of ours (TypeError and its like), for the log. */
  onFault?: (cmd: string, error: Error) => void;
}

type Settings = Required<ControlOptions> & { handlers: Record<string, ControlHandler> };

const oneLine = (text: string) => text.replace(/\s*[\r\n]+\s*/g, ' ').trim();

function isPlainObject(value: unknown): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class Client {
  readonly #socket: Socket;
  readonly #settings: Settings;
  readonly #abort = new AbortController();
  #pending: Buffer = Buffer.alloc(0);
  #busy = false;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, settings: Settings) {
    this.#socket = socket;
    this.#settings = settings;
    socket.on('data', (bytes) => this.#data(bytes));
    socket.on('end', () => {
      // A client that went away and one that has only finished sending look the same; the answer is tried either way.
      this.#ended = true;
      this.#abort.abort();
      this.#next();
    });
    socket.on('close', () => {
      clearTimeout(this.#timer);
      this.#abort.abort();
    });
    this.#next();
  }

  #data(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    // Also while an answer is under way: reading on is what tells that the client has gone.
    if (this.#pending.length > CONTROL_LIMITS.requestBytes) {
      this.#refuse(`request longer than ${CONTROL_LIMITS.requestBytes} bytes`);
    } else this.#next();
  }

  #refuse(error: string): void {
    clearTimeout(this.#timer);
    this.#pending = Buffer.alloc(0);
    farewell(this.#socket, error);
  }

  /** Begins the next request, if a whole one is there and none is under way. */
  #next(): void {
    if (this.#busy || this.#socket.destroyed || this.#socket.writableEnded) return;
    const end = this.#pending.indexOf(0x0a);
    if (end < 0) {
      if (this.#ended) this.#socket.end();
      else this.#awaitRequest();
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const line = this.#pending.subarray(0, end).toString('utf8').trim();
    this.#pending = this.#pending.subarray(end + 1);
    this.#busy = true;
    const done = () => {
      this.#busy = false;
      this.#next();
    };
    this.#answer(line).then(done, () => this.#socket.destroy());
  }

  /** Counts from the end of the last answer, not from the last byte: a request that trickles in is not a request. */
  #awaitRequest(): void {
    const { idleMs } = this.#settings;
    this.#timer ??= setTimeout(() => this.#refuse(`no request within ${idleMs / 1000} s`), idleMs);
  }

  async #answer(line: string): Promise<void> {
    if (line === '') return;
    let reply: Json;
    try {
      reply = { ok: true, result: await this.#call(line) };
    } catch (error) {
      const message = messageOf(error);
      reply = { ok: false, error: oneLine(message) || 'failed without saying why' };
    }
    await this.#write(`${JSON.stringify(reply)}\n`);
  }

  async #call(line: string): Promise<Json> {
    let request: unknown;
    try {
      request = JSON.parse(line);
    } catch {
      throw new Error('request is not JSON');
    }
    if (!isPlainObject(request) || typeof request.cmd !== 'string') {
      throw new Error('request has no "cmd"; expected {"cmd":"…","args":{…}}');
    }
    const { cmd, args = {} } = request;
    if (!isPlainObject(args)) throw new Error('"args" is not an object');
    const { handlers, onFault } = this.#settings;
    const handler = Object.hasOwn(handlers, cmd) ? handlers[cmd] : undefined;
    if (!handler) throw new Error(`this carpio does not know the command ${JSON.stringify(cmd.slice(0, 40))}`);
    const write = (chunk: Json[]) => this.#write(`${JSON.stringify({ chunk })}\n`);
    try {
      return await handler(args, Object.assign(write, { signal: this.#abort.signal }));
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError)
        onFault(cmd, error);
      throw error;
    }
  }

  #write(text: string): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return Promise.reject(new Error('the client is gone'));
    if (socket.write(text)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stuck = setTimeout(() => socket.destroy(), this.#settings.stuckMs);
      const drained = () => settle(resolve);
      const gone = () => settle(() => reject(new Error('the client is gone')));
      const settle = (act: () => void) => {
        clearTimeout(stuck);
        socket.off('drain', drained).off('close', gone);
        act();
      };
      socket.on('drain', drained).on('close', gone);
    });
  }
}

/** Says why, and cuts the connection if nobody listens. */
function farewell(socket: Socket, error: string): void {
  socket.end(`${JSON.stringify({ ok: false, error })}\n`);
  const cut = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.on('close', () => clearTimeout(cut));
  socket.resume();
}

/** Does somebody listen at `path`? A listener whose process is stopped counts: the kernel accepts for it. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(PROBE_MS, () => settle(true));
    socket.on('connect', () => settle(true));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

/**
 * A process that was killed leaves its socket behind. It is removed only when nobody answers, and only that very file.
 */
async function clearTheWay(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) {
    throw new Error(`${path} is there and is not a socket; remove it, or set another [node] control`);
  }
  if (await answers(path)) {
    throw new Error(`another carpio answers at ${path}; stop it, or give this node a [node] control of its own`);
  }
  if (lstatSync(path, { throwIfNoEntry: false })?.ino === found.ino) unlinkSync(path);
}

/** Runs `act` with another umask: whatever it makes has the right mode from its first moment on. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    withUmask(0o777 & ~SOCKET_MODE, () => {
      server.listen({ path }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  });
}

function explain(path: string, error: NodeJS.ErrnoException): Error {
  const words: Record<string, string> = {
    EACCES: 'permission denied; run as root, or set [node] control to a place this user may write',
    EROFS: 'the file system is read-only; set [node] control to a place that can be written',
    EADDRINUSE: 'another carpio has just taken it',
    ENOTDIR: 'a part of the path is not a directory',
  };
  const why = error.code === undefined ? undefined : words[error.code];
  if (error.code === undefined) return error;
  return new Error(`cannot make the control socket ${path}: ${why ?? error.code}`);
}

/**
 * Listens at `path` (made with mode 0660 in a directory made with 0755).
 * @throws Error with one line that says what is in the way and how to mend it
 */
export async function startControl(
  path: string,
  handlers: Record<string, ControlHandler>,
  options: ControlOptions = {},
): Promise<ControlServer> {
  const settings: Settings = {
    idleMs: CONTROL_LIMITS.idleMs,
    stuckMs: CONTROL_LIMITS.stuckMs,
    onFault: () => {},
    ...options,
    handlers,
  };
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    if (sockets.size >= CONTROL_LIMITS.clients) {
      farewell(socket, `${CONTROL_LIMITS.clients} clients are connected, and no more are served; try again later`);
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    new Client(socket, settings);
  });
  // Those that are told off still hold a descriptor for a moment; beyond this they are not even told.
  server.maxConnections = 4 * CONTROL_LIMITS.clients;
  try {
    withUmask(DIRECTORY_UMASK, () => mkdirSync(dirname(path), { recursive: true, mode: 0o755 }));
    await clearTheWay(path);
    await listen(server, path);
  } catch (error) {
    throw explain(path, error as NodeJS.ErrnoException);
  }
  server.on('error', () => {}); // no descriptor left for an accept: the next one may work
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return { path, close };
}
