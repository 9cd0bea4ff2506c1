/**
 * The client side of the control socket (the protocol stands in node/control/server.ts). Errors are one line for the
 * person at the terminal.
 */

import { connect, type Socket } from 'node:net';
import type { Json } from '../contract/values.ts';

/** Longest line of an answer, in bytes; states come in chunks, so nothing is near it. */
const MAX_LINE = 64 << 20;
const DEFAULT_TIMEOUT_MS = 5000;

/** `absent`: no node is running there. `answer`: the node says no. The rest: the way to it is broken. */
type ControlErrorKind = 'absent' | 'denied' | 'timeout' | 'broken' | 'answer';

export class ControlError extends Error {
  readonly kind: ControlErrorKind;

  constructor(kind: ControlErrorKind, message: string) {
    super(message);
    this.name = 'ControlError';
    this.kind = kind;
  }
}

export interface CallOptions {
  /** Longest silence of the node, in ms. */
  timeoutMs?: number;
  /** Gets the parts of a long answer in order; the next one waits until it has resolved. */
  onChunk?: (chunk: Json[]) => void | Promise<void>;
}

function connectTrouble(path: string, error: NodeJS.ErrnoException): ControlError {
  const start = 'start it with `carpio run`, or name another socket with --socket';
  switch (error.code) {
    case 'ENOENT':
      return new ControlError('absent', `no carpio is running here (${path}: no such file); ${start}`);
    case 'ECONNREFUSED':
      return new ControlError('absent', `no carpio is running here (${path}: nobody answers); ${start}`);
    case 'ENOTSOCK':
      return new ControlError('absent', `${path} is not a socket; name the node's socket with --socket`);
    case 'EACCES':
    case 'EPERM':
      return new ControlError(
        'denied',
        `may not open ${path}: permission denied; use sudo, or join the socket's group`,
      );
    default:
      return new ControlError('broken', `cannot talk to carpio at ${path}: ${error.code ?? error.message}`);
  }
}

type Reply = { ok: true; result: Json } | { ok: false; error: string };

/** Hands out the lines of a stream of bytes. */
class Lines {
  #parts: Buffer[] = [];
  #size = 0;

  /** The whole lines that `bytes` completes; `null` when a line got longer than MAX_LINE. */
  push(bytes: Buffer): string[] | null {
    const lines: string[] = [];
    let from = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, from)) {
      lines.push(Buffer.concat([...this.#parts, bytes.subarray(from, end)]).toString('utf8'));
      this.#parts = [];
      this.#size = 0;
      from = end + 1;
    }
    const rest = bytes.subarray(from);
    if (rest.length > 0) this.#parts.push(rest);
    this.#size += rest.length;
    return this.#size > MAX_LINE ? null : lines;
  }
}

function parseLine(path: string, line: string): { chunk: Json[] } | Reply {
  try {
    const value = JSON.parse(line) as { chunk?: Json[]; ok?: boolean; result?: Json; error?: string };
    if (Array.isArray(value.chunk)) return { chunk: value.chunk };
    if (value.ok === true) return { ok: true, result: value.result ?? null };
    if (value.ok === false && typeof value.error === 'string') return { ok: false, error: value.error };
  } catch {
    // falls through: not JSON is not an answer either
  }
  throw new ControlError('broken', `${path} does not speak carpio's control protocol`);
}

async function readReply(socket: Socket, path: string, options: CallOptions): Promise<Json> {
  const lines = new Lines();
  for await (const bytes of socket) {
    const whole = lines.push(bytes as Buffer);
    if (!whole) throw new ControlError('broken', `${path} sent a line of more than ${MAX_LINE} bytes`);
    for (const line of whole) {
      const reply = parseLine(path, line);
      if ('chunk' in reply) {
        // While our own output is held up (by a pager), the node's silence means nothing.
        const timeoutMs = socket.timeout ?? 0;
        socket.setTimeout(0);
        await options.onChunk?.(reply.chunk);
        socket.setTimeout(timeoutMs);
      } else if (reply.ok) return reply.result;
      else throw new ControlError('answer', reply.error);
    }
  }
  throw new ControlError('broken', 'carpio closed the connection without an answer; is it stopping?');
}

/**
 * Sends one command to the node at `path` and returns its result.
 * @throws ControlError only
 */
export async function callControl(
  path: string,
  cmd: string,
  args: Record<string, Json> = {},
  options: CallOptions = {},
): Promise<Json> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const socket = connect(path);
  const silence = `carpio at ${path} has not answered for ${timeoutMs / 1000} s; is it stopped or overloaded?`;
  socket.setTimeout(timeoutMs, () => socket.destroy(new ControlError('timeout', silence)));
  socket.write(`${JSON.stringify({ cmd, args })}\n`);
  try {
    return await readReply(socket, path, options);
  } catch (error) {
    if (error instanceof ControlError) throw error;
    if (error instanceof Error && 'syscall' in error) throw connectTrouble(path, error as NodeJS.ErrnoException);
    throw error;
  } finally {
    socket.destroy();
  }
}
