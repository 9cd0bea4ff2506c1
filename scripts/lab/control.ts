/** The node's control socket: one request and one answer, each a line of JSON. */
import { connect } from 'node:net';

export type Answer<T> = { ok: true; result: T } | { ok: false; error: string };

/**
 * @param path the socket
 * @param timeoutMs no answer until then is an error, as is a connection that cannot be made
 */
export function ask<T>(
  path: string,
  cmd: string,
  args: Record<string, unknown> = {},
  timeoutMs = 2000,
): Promise<Answer<T>> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    const timer = setTimeout(() => socket.destroy(new Error(`${cmd}: no answer within ${timeoutMs} ms`)), timeoutMs);
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      act();
    };
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`${JSON.stringify({ cmd, args })}\n`));
    socket.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) finish(() => resolve(JSON.parse(text.slice(0, end)) as Answer<T>));
    });
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('close', () => finish(() => reject(new Error(`${cmd}: connection closed without an answer`))));
  });
}
