/** Whether somebody speaks ssh at a port. */
import { connect } from 'node:net';

/** Milliseconds; an emulated box is slow to answer, and a closed port of QEMU's user network is closed at once. */
const WAIT_MS = 30_000;

/** @returns what the server at 127.0.0.1 says first; null when there is none */
export function sshBanner(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (said: string | null) => {
      socket.destroy();
      resolve(said);
    };
    socket.setTimeout(WAIT_MS, () => done(null));
    socket.once('data', (chunk) =>
      done(/^SSH-/.test(chunk.toString('latin1')) ? chunk.toString('latin1').trim() : null),
    );
    socket.once('error', () => done(null));
    socket.once('close', () => done(null));
  });
}
