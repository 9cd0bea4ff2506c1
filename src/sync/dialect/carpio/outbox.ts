/** Seals and sends what leaves on the sync link: HELLOs, the ordered stream (kept until acknowledged), heartbeats. */
import type { Aead } from '../../../contract/aead.ts';
import { SendChain } from '../../seal/key-chain.ts';
import { type PairSecret, secretId } from '../../seal/pair-keys.ts';
import { helloKey, nodeAead, sessionSecrets } from '../../seal/seal.ts';
import type { SyncState } from '../../session/state.ts';
import { hasGap, windowOpen } from '../../session/stream.ts';
import type { Engine } from '../../table/engine.ts';
import {
  FAST_FIXED,
  HEADER_SIZE,
  KIND_FAST,
  KIND_HELLO,
  MESSAGE_HEADER,
  MSG,
  markOf,
  TAG_SIZE,
  writeFastFixed,
  writeHeader,
  writeMessageHeader,
} from '../../wire/datagram.ts';
import { encodeHello } from '../../wire/hello.ts';
import { seqAdd, seqAfter } from '../../wire/sequence.ts';
import type { KeyRoll } from './key-roll.ts';
import type { DriverConfig } from './ports.ts';

const IPV4_HEADER = 20;
/** With fewer free bytes no updates are added to a datagram. */
const LEAST_ROOM = 176;
/** Messages that may wait for the window: more than the machine can ever ask for. */
const MAX_WAITING = 256;

export class Outbox {
  /** Monotonic ms, set by the driver. */
  now = 0;
  /**
   * Milliseconds from sending the last acknowledged datagram until the peer acknowledged it, its states in its kernel.
   */
  lag: number | null = null;
  /** Packets wait for what is sent now: the peer is to acknowledge it at once. */
  urgent = false;
  /**
   * The link has no carrier, and nothing is given to the kernel. It would keep the heartbeats of some seconds, because
   * it cannot resolve the neighbour, and send all of them when the carrier is back, before anything of use.
   */
  muted = false;
  sent = 0;
  sentBytes = 0;
  private readonly engine: Engine;
  private readonly config: DriverConfig;
  private readonly state: SyncState;
  private readonly transmit: (datagram: Buffer) => void;
  private readonly capacity: number;
  /** The clear header and the body of the datagram in hand; a body that must be kept is copied. */
  private readonly clear = Buffer.alloc(HEADER_SIZE);
  private readonly scratch: Buffer;
  private mark = { nonce: '', number: 0 };
  private waiting: Buffer[] = [];
  /** Bodies by sequence number, until the peer has acknowledged them. */
  private readonly kept = new Map<number, { body: Buffer; at: number }>();
  private keptFrom = 1;
  private key: SendChain | null = null;
  /** The last number of the stream that was sent under an earlier key. */
  private keyFrom = 0;
  private readonly roll: KeyRoll;
  private helloCounter = 0n;
  private helloNonce = '';
  private helloSealKeys: Aead[] = [];
  private helloKeysOf = 0;

  constructor(
    engine: Engine,
    config: DriverConfig,
    state: SyncState,
    roll: KeyRoll,
    transmit: (datagram: Buffer) => void,
  ) {
    this.engine = engine;
    this.config = config;
    this.state = state;
    this.roll = roll;
    this.transmit = transmit;
    this.capacity = config.mtu - IPV4_HEADER - HEADER_SIZE - TAG_SIZE;
    this.scratch = Buffer.alloc(this.capacity);
  }

  /** Begins a session for the nonces in the state; returns the key of the fingerprints. */
  openSession(secret: PairSecret): Buffer {
    const own = Buffer.from(this.state.ownNonce, 'hex');
    const peer = Buffer.from(this.state.peerNonce ?? '', 'hex');
    const { send, fingerprint } = sessionSecrets(secret, own, peer);
    this.close();
    const { aead, keyLife } = this.config;
    this.key = new SendChain(send, aead ?? nodeAead, this.now, keyLife, secretId(secret));
    this.keyFrom = this.state.txSeq;
    return fingerprint;
  }

  close(): void {
    this.key = null;
    this.waiting = [];
    this.kept.clear();
    this.keptFrom = 1;
  }

  /** Names the pair's secret that this node seals under; null: no session. */
  get under(): string | null {
    return this.key?.under ?? null;
  }

  /** A message that joins the stream as soon as the window allows. */
  push(bytes: Buffer): void {
    if (this.waiting.length < MAX_WAITING) this.waiting.push(bytes);
  }

  empty(): boolean {
    return this.waiting.length === 0;
  }

  /** Sends the next datagram of the stream, if there is anything to send and the window allows it. */
  fill(): boolean {
    this.forget();
    if (this.key === null || !windowOpen(this.state)) return false;
    const { scratch, capacity } = this;
    let end = FAST_FIXED;
    for (let next = this.waiting[0]; next !== undefined && next.length <= capacity - end; next = this.waiting[0]) {
      end += next.copy(scratch, end);
      this.waiting.shift();
    }
    const room = capacity - end;
    const updates = room >= LEAST_ROOM ? this.engine.takeUpdates(room - MESSAGE_HEADER) : null;
    if (updates !== null) {
      end = writeMessageHeader(scratch, end, MSG.UPDATES, updates.length);
      end += updates.copy(scratch, end);
    }
    if (end === FAST_FIXED) return false;
    const seq = seqAdd(this.state.txSeq, 1);
    this.writeFixed(seq);
    const body = Buffer.from(scratch.subarray(0, end));
    this.kept.set(seq, { body, at: this.now });
    this.fast(body);
    return true;
  }

  /** Bytes that the content of one message may have. */
  get messageRoom(): number {
    return this.capacity - FAST_FIXED - MESSAGE_HEADER;
  }

  /** A datagram outside the stream. It carries the acknowledgement; nothing is lost when it is. */
  beat(bytes: Buffer): void {
    if (this.key === null || bytes.length > this.capacity - FAST_FIXED) return;
    this.writeFixed(0);
    const end = FAST_FIXED + bytes.copy(this.scratch, FAST_FIXED);
    this.fast(this.scratch.subarray(0, end));
  }

  resend(from: number, to: number): void {
    for (let seq = from; ; seq = seqAdd(seq, 1)) {
      const body = this.kept.get(seq)?.body;
      if (body === undefined) return;
      // Only the acknowledgement is new: the rest was true when the datagram was made.
      body.writeUInt32BE(this.state.rxSeq, 0);
      this.fast(body);
      if (seq === to) return;
    }
  }

  /** @param ask the peer is to answer with its own HELLO */
  hello(ask = false): void {
    const { ownNonce, echo } = this.state;
    const nonce = Buffer.from(ownNonce, 'hex');
    const { keys, name } = this.config;
    // The counter goes on when only the secrets have changed: one may be the same, and no number may be used twice with
    // it.
    if (this.helloNonce !== ownNonce) this.helloCounter = 0n;
    if (this.helloNonce !== ownNonce || this.helloKeysOf !== keys.generation) {
      this.helloNonce = ownNonce;
      this.helloKeysOf = keys.generation;
      this.helloSealKeys = keys.secrets.map((secret) => helloKey(secret, nonce));
    }
    const body = encodeHello({ node: name, echo, keys: keys.ids, ask });
    for (const key of this.helloSealKeys) {
      this.helloCounter += 1n;
      const clear = Buffer.alloc(HEADER_SIZE + nonce.length);
      writeHeader(clear, { kind: KIND_HELLO, mark: nonce.readUInt32BE(0), counter: this.helloCounter });
      nonce.copy(clear, HEADER_SIZE);
      this.count(key.seal(clear, body));
    }
  }

  private forget(): void {
    while (this.kept.size > 0 && ((this.state.txAcked - this.keptFrom) | 0) >= 0) {
      this.lag = this.now - (this.kept.get(this.keptFrom)?.at ?? this.now);
      this.kept.delete(this.keptFrom);
      this.keptFrom = seqAdd(this.keptFrom, 1);
    }
  }

  private writeFixed(seq: number): void {
    const { rxSeq, adoptSeen } = this.state;
    const urgent = this.urgent && seq !== 0;
    writeFastFixed(this.scratch, 0, { ack: rxSeq, seq, gap: hasGap(this.state), urgent, adoptSeen });
  }

  /**
   * Goes on to the next key when it is time, and only when the peer has acknowledged something under the present one:
   * the peer follows one step at a time, and a step that it missed would end the session.
   */
  private renewKey(key: SendChain): void {
    if (!this.state.alive || !seqAfter(this.state.txAcked, this.keyFrom)) return;
    const goal = this.roll.goal(key.under);
    if (goal === null && !key.old(this.now)) return;
    key.renew(this.now, goal);
    this.keyFrom = this.state.txSeq;
  }

  private fast(body: Buffer): void {
    if (this.key === null) return;
    this.renewKey(this.key);
    const { ownNonce } = this.state;
    if (this.mark.nonce !== ownNonce) this.mark = { nonce: ownNonce, number: markOf(ownNonce) };
    writeHeader(this.clear, { kind: KIND_FAST, mark: this.mark.number, counter: this.key.take() });
    this.count(this.key.seal(this.clear, body));
  }

  private count(datagram: Buffer): void {
    if (this.muted) return;
    this.sent += 1;
    this.sentBytes += datagram.length + IPV4_HEADER;
    this.transmit(datagram);
  }
}
