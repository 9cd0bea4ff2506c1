/**
 * Opens what arrives on the sync link: seal, replay window, keys of HELLOs. Keeps the datagrams that overtook others.
 */
import { HelloKeys } from '../../seal/hello-keys.ts';
import { countOf, ReceiveChain } from '../../seal/key-chain.ts';
import { type PairSecret, secretId } from '../../seal/pair-keys.ts';
import { ReplayWindow } from '../../seal/replay-window.ts';
import { nodeAead, sessionSecrets } from '../../seal/seal.ts';
import type { SyncState } from '../../session/state.ts';
import { LIMITS } from '../../session/state.ts';
import type { FastFixed, Message } from '../../wire/datagram.ts';
import {
  HEADER_SIZE,
  KIND_HELLO,
  markOf,
  NONCE_SIZE,
  readFastFixed,
  readHeader,
  readMessages,
} from '../../wire/datagram.ts';
import { decodeHello, type Hello } from '../../wire/hello.ts';
import type { KeyRoll } from './key-roll.ts';
import type { DriverConfig } from './ports.ts';

/** A datagram of this session, opened. Its body is only valid until the next one is opened. */
export interface Datagram {
  fixed: FastFixed;
  messages: readonly Message[];
  body: Buffer;
}

/** A HELLO that one of the keys opens. */
export interface OpenedHello extends Hello {
  /** 32 hex digits. */
  nonce: string;
  /** Of its header, never used twice. */
  counter: bigint;
}

type Arrival =
  /** Refused input, and the counter that it is counted under. */
  { kind: 'refused'; cause: string } | { kind: 'hello'; hello: OpenedHello } | { kind: 'fast'; datagram: Datagram };

const refused = (cause: string): Arrival => ({ kind: 'refused', cause });

export const contentOf = ({ body }: Datagram, { offset, length }: Message): Buffer =>
  body.subarray(offset, offset + length);

export class Inbox {
  datagrams = 0;
  bytes = 0;
  private readonly config: DriverConfig;
  private readonly state: SyncState;
  private readonly roll: KeyRoll;
  private readonly helloKeys: HelloKeys;
  private key: ReceiveChain | null = null;
  /** What names the secrets of the peer whose HELLO came last. */
  private peerKeys: readonly string[] = [];
  /** Of the peer of this session; NaN fits none. */
  private peerMark = Number.NaN;
  private window = new ReplayWindow();
  /** Datagrams that overtook others, by number; at most a window of them. */
  private readonly early = new Map<number, Datagram>();

  constructor(config: DriverConfig, state: SyncState, roll: KeyRoll) {
    this.config = config;
    this.state = state;
    this.roll = roll;
    this.helloKeys = new HelloKeys(config.keys);
  }

  /** The secret that both nodes come to for the session that begins. */
  sessionSecret(): PairSecret {
    return this.config.keys.choose(this.peerKeys, this.state.junior);
  }

  openSession(secret: PairSecret): void {
    const own = Buffer.from(this.state.ownNonce, 'hex');
    const peer = Buffer.from(this.state.peerNonce ?? '', 'hex');
    this.peerMark = markOf(this.state.peerNonce ?? '');
    const { keys, aead } = this.config;
    const first = sessionSecrets(secret, own, peer).receive;
    this.key = new ReceiveChain(first, aead ?? nodeAead, secretId(secret), (under) => keys.mixes(under));
    this.window = new ReplayWindow();
    this.early.clear();
  }

  close(): void {
    this.key = null;
    this.early.clear();
  }

  /** Names the pair's secret that the peer seals under; null: no session. */
  get under(): string | null {
    return this.key?.under ?? null;
  }

  /** The pair's secrets have been replaced. */
  keysChanged(): void {
    this.key?.refresh();
  }

  /**
   * One datagram without its IP header. Whatever it is, nothing is thrown. It may lie in the module's memory, which a
   * growing table detaches: nothing reads it again once it is opened.
   */
  open(datagram: Buffer, now: number): Arrival {
    this.datagrams += 1;
    this.bytes += datagram.length;
    const header = readHeader(datagram);
    if (typeof header === 'string') return refused(`bad_${header}`);
    if (header.kind === KIND_HELLO) return this.openHello(datagram, header.counter, now);
    if (this.key === null || header.mark !== this.peerMark) return refused('no_session');
    const count = countOf(header.counter);
    if (!this.window.fresh(count)) return refused('replayed');
    const body = this.key.open(datagram, header.counter, now);
    if (body === null) return refused('bad_seal');
    this.window.take(count);
    const fixed = readFastFixed(body);
    const messages = fixed === null ? null : readMessages(body);
    if (fixed === null || messages === null) return refused('bad_body');
    return { kind: 'fast', datagram: { fixed, messages, body } };
  }

  /** Keeps a datagram that has overtaken others. */
  hold(datagram: Datagram): void {
    if (this.early.size >= LIMITS.window) return;
    this.early.set(datagram.fixed.seq, { ...datagram, body: Buffer.from(datagram.body) });
  }

  /** The datagram with this number, if it was kept; it is kept no more. */
  release(seq: number): Datagram | null {
    const datagram = this.early.get(seq) ?? null;
    this.early.delete(seq);
    return datagram;
  }

  private openHello(datagram: Buffer, counter: bigint, now: number): Arrival {
    const clear = HEADER_SIZE + NONCE_SIZE;
    const nonce = datagram.subarray(HEADER_SIZE, clear);
    if (nonce.length < NONCE_SIZE) return refused('bad_short');
    const keys = this.helloKeys.find(nonce, now);
    if (keys === null) return refused('hello_flood');
    const body = keys.map((key) => key.open(datagram, clear)).find((opened) => opened !== null) ?? null;
    if (body === null) {
      // The peer sends one HELLO for each of its keys. This one is under a key that only the peer has, and another has
      // been opened.
      if (this.helloKeys.knows(nonce)) return refused('other_key');
      this.roll.strangeHello(now);
      return refused('bad_key');
    }
    const hello = decodeHello(body);
    if (hello === null) return refused('bad_hello');
    this.roll.knownHello();
    this.helloKeys.proven(nonce, keys);
    this.peerKeys = hello.keys;
    return { kind: 'hello', hello: { ...hello, nonce: nonce.toString('hex'), counter } };
  }
}
