/** The second box of a pairing: shows the first that it knows the code, and takes the key. */
import { connect, type TLSSocket } from 'node:tls';
import { PAIR_LIMITS } from './offer.ts';
import { derivePsk, Messages, PAIR_IDENTITY, SALT_BYTES, TLS_OPTIONS } from './tls.ts';

interface JoinOptions {
  code: string;
  node: string;
  /** The first box's address on the sync link. */
  host: string;
  port: number;
  /** Writes the key to its file and gives its fingerprint. @throws Error in one line */
  store(key: Buffer): string;
}

export type JoinResult = { ok: true; peer: string; fingerprint: string } | { ok: false; error: string };

const KEY = /^[0-9a-f]{32,128}$/;

/** Never rejects; the error is one line for a person, without the code or the key. */
export async function joinPair(options: JoinOptions): Promise<JoinResult> {
  let socket: TLSSocket | null = null;
  try {
    socket = await handshake(options);
    return await takeKey(socket, options);
  } catch (error) {
    return { ok: false, error: (error as Error).message };
  } finally {
    socket?.destroy();
  }
}

function handshake({ code, host, port }: JoinOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    let guessed = false;
    const socket = connect({
      host,
      port,
      ...TLS_OPTIONS,
      timeout: PAIR_LIMITS.stepMs,
      // There are no certificates: that the other side knows the code is what it proves.
      checkServerIdentity: () => undefined,
      pskCallback: (hint) => {
        const salt = Buffer.from(hint ?? '', 'base64url');
        if (salt.length !== SALT_BYTES) return null;
        guessed = true;
        return { identity: PAIR_IDENTITY, psk: derivePsk(code, salt) };
      },
    });
    const fail = (message: string): void => {
      socket.destroy();
      reject(new Error(message));
    };
    const silent = `${host} does not answer; is \`carpio pair\` waiting there, and is the cable in?`;
    const closed = `${host} closed the connection; is this box's address the one it expects?`;
    // They stay: what comes after the handshake finds the promise settled.
    socket.on('timeout', () => fail(silent));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(trouble(error, host, port, guessed)));
    socket.on('close', () => fail(guessed ? WRONG : closed));
    socket.on('secureConnect', () => resolve(socket));
  });
}

const WRONG = 'refused: the code is wrong, was used already, or is void after too many wrong ones; nothing was written';

function trouble(error: NodeJS.ErrnoException, host: string, port: number, guessed: boolean): string {
  if (error.code === 'ECONNREFUSED') return `nobody waits on ${host} port ${port}; run \`carpio pair\` there first`;
  if (error.code === 'EHOSTUNREACH' || error.code === 'ENETUNREACH')
    return `${host} cannot be reached; look at the cable and the addresses`;
  if (guessed) return WRONG;
  return `the connection to ${host} failed: ${error.code ?? error.message}`;
}

async function takeKey(socket: TLSSocket, { node, store, host }: JoinOptions): Promise<JoinResult> {
  const messages = new Messages(socket);
  const from = `the other box (${host})`;
  messages.send({ v: 1, node });
  try {
    const offer = await messages.next();
    if (offer.v !== 1 || typeof offer.key !== 'string' || !KEY.test(offer.key) || offer.key.length % 2 !== 0) {
      throw new Error('sent no key; use the same carpio on both');
    }
    const stored = storeOr(offer.key, store);
    messages.send('error' in stored ? { error: stored.error } : { stored: stored.fingerprint });
    if ('error' in stored) {
      await new Promise<void>((resolve) => socket.end(() => resolve()));
      return { ok: false, error: stored.error };
    }
    const peer = typeof offer.node === 'string' ? offer.node.slice(0, 64) : '?';
    const done = await messages.next();
    if (done.done !== true) throw new Error('did not confirm');
    return { ok: true, peer, fingerprint: stored.fingerprint };
  } catch (error) {
    return { ok: false, error: `${from} ${(error as Error).message}; run carpio pair again on both` };
  }
}

function storeOr(hex: string, store: JoinOptions['store']): { fingerprint: string } | { error: string } {
  try {
    return { fingerprint: store(Buffer.from(hex, 'hex')) };
  } catch (error) {
    return { error: (error as Error).message };
  }
}
