/** What arrives on the sync link: opening, order, and applying the messages of the peer's stream to the table. */
import { timingSafeEqual } from 'node:crypto';
import { HelloKeys } from '../../seal/hello-keys.ts';
import { countOf, ReceiveChain } from '../../seal/key-chain.ts';
import { type PairSecret, secretId } from '../../seal/pair-keys.ts';
import { ReplayWindow } from '../../seal/replay-window.ts';
import { nodeAead, sessionSecrets } from '../../seal/seal.ts';
import type { SyncEvent, SyncState } from '../../session/state.ts';
import { LIMITS } from '../../session/state.ts';
import { unpackLines } from '../../table/audit-lines.ts';
import type { Engine } from '../../table/engine.ts';
import type { FastFixed, Message } from '../../wire/datagram.ts';
import {
  decodeAdopt,
  decodeDigest,
  decodeVerdict,
  HEADER_SIZE,
  KIND_HELLO,
  MESSAGE_HEADER,
  MSG,
  markOf,
  NONCE_SIZE,
  readFastFixed,
  readHeader,
  readMessages,
} from '../../wire/datagram.ts';
import type { RepairMessage } from '../../wire/repair.ts';
import { decodeRepair } from '../../wire/repair.ts';
import { ReportAssembler } from '../../wire/report-parts.ts';
import { seqAdd } from '../../wire/sequence.ts';
import type { KeyRoll } from './key-roll.ts';
import type { DriverConfig } from './ports.ts';

export interface InboxPorts {
  /** Monotonic ms. */
  now(): number;
  count(name: string): void;
  step(event: SyncEvent): void;
  flushKernel(): void;
  peerReport(content: Buffer): void;
  peerName(name: string): void;
  bulkEnd(): void;
  /** Bytes of records that were applied. */
  received(bytes: number): void;
  auditAsked(): void;
  expectation(content: Buffer): void;
  audited(corrections: number, lines: string[]): void;
  /** The peer asks for a HELLO: it wants to know this node's keys. */
  helloAsked(): void;
  /** A message of a repair, and its length. */
  repair(message: RepairMessage, length: number, adoptSeen: number): void;
}

const HEX_NONCE = /^[0-9a-f]{32}$/;
const MAX_NAME = 64;
const MOST_KEYS = 8;

export class Inbox {
  received = 0;
  receivedBytes = 0;
  private readonly reportParts = new ReportAssembler();
  private readonly engine: Engine;
  private readonly config: DriverConfig;
  private readonly state: SyncState;
  private readonly ports: InboxPorts;
  private key: ReceiveChain | null = null;
  /** What names the secrets of the peer whose HELLO came last. */
  private peerKeys: readonly string[] = [];
  private readonly helloKeys: HelloKeys;
  /** Of the peer of this session; NaN fits none. */
  private peerMark = Number.NaN;
  private readonly roll: KeyRoll;
  private window = new ReplayWindow();
  private body: Buffer = Buffer.alloc(0);
  private fixed: FastFixed | null = null;
  private messages: Message[] = [];
  /** Datagrams that overtook others, by number; at most a window of them. */
  private readonly early = new Map<number, Buffer>();

  constructor(engine: Engine, config: DriverConfig, state: SyncState, roll: KeyRoll, ports: InboxPorts) {
    this.engine = engine;
    this.config = config;
    this.state = state;
    this.ports = ports;
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
   * One datagram without its IP header. Whatever it is, nothing is thrown: refused input is counted by cause. It may lie in
   * the module's memory, which a growing table detaches: nothing looks at it again once it is opened.
   */
  receive(datagram: Buffer): void {
    this.received += 1;
    this.receivedBytes += datagram.length;
    const header = readHeader(datagram);
    if (typeof header === 'string') {
      this.ports.count(`bad_${header}`);
      return;
    }
    if (header.kind === KIND_HELLO) {
      this.onHello(datagram, header.counter);
      return;
    }
    if (this.key === null || header.mark !== this.peerMark) {
      this.ports.count('no_session');
      return;
    }
    const count = countOf(header.counter);
    if (!this.window.fresh(count)) {
      this.ports.count('replayed');
      return;
    }
    const body = this.key.open(datagram, header.counter, this.ports.now());
    if (body === null) {
      this.ports.count('bad_seal');
      return;
    }
    this.window.take(count);
    this.onFast(body);
    this.takeEarly();
  }

  /** The machine says that the datagram just received has overtaken others. */
  hold(): void {
    if (this.fixed !== null && this.early.size < LIMITS.window) this.early.set(this.fixed.seq, Buffer.from(this.body));
  }

  private takeEarly(): void {
    for (;;) {
      const seq = seqAdd(this.state.rxSeq, 1);
      const body = this.early.get(seq);
      if (body === undefined) return;
      this.early.delete(seq);
      this.onFast(body, true);
    }
  }

  /** The machine says that the datagram just received is the next of the stream. */
  apply(): void {
    const { fixed, messages } = this;
    if (fixed === null) return;
    for (const message of messages) {
      if (message.type < MSG.REPORT) this.applyMessage(fixed, message);
    }
    this.ports.flushKernel();
  }

  private onHello(datagram: Buffer, counter: bigint): void {
    const clear = HEADER_SIZE + NONCE_SIZE;
    const nonce = datagram.subarray(HEADER_SIZE, clear);
    if (nonce.length < NONCE_SIZE) {
      this.ports.count('bad_short');
      return;
    }
    const keys = this.helloKeys.find(nonce, this.ports.now());
    if (keys === null) {
      this.ports.count('hello_flood');
      return;
    }
    const body = keys.map((key) => key.open(datagram, clear)).find((opened) => opened !== null) ?? null;
    // Sealed with a key that only the peer has: it sends one for each, and another has been opened.
    if (body === null && this.helloKeys.knows(nonce)) {
      this.ports.count('other_key');
      return;
    }
    const hello = body === null ? null : parseHello(body);
    if (hello === null) {
      if (body === null) this.roll.strangeHello(this.ports.now());
      this.ports.count(body === null ? 'bad_key' : 'bad_hello');
      return;
    }
    this.roll.knownHello();
    this.helloKeys.proven(nonce, keys);
    this.peerKeys = hello.keys;
    const fresh = this.state.peerNonce;
    const hex = nonce.toString('hex');
    this.ports.step({ type: 'hello', nonce: hex, echo: hello.echo, junior: this.config.name > hello.node });
    if (this.state.peerNonce !== fresh) this.ports.peerName(hello.node);
    if (this.state.peerNonce !== hex) return;
    this.roll.heard({ nonce: hex, counter, node: hello.node, ids: hello.keys });
    if (hello.ask) this.ports.helloAsked();
  }

  /** @param kept heard before: only its place in the stream is new */
  private onFast(body: Buffer, kept = false): void {
    const fixed = readFastFixed(body);
    const messages = fixed === null ? null : readMessages(body);
    if (fixed === null || messages === null) {
      this.ports.count('bad_body');
      return;
    }
    this.body = body;
    this.fixed = fixed;
    this.messages = messages;
    this.ports.step({ type: 'fast', fixed });
    if (!kept) for (const message of messages) this.onLoose(message);
    this.fixed = null;
  }

  // Messages outside the stream: each stands for itself, and a lost one is made good by the next.
  private onLoose(message: Message): void {
    if (message.type < MSG.REPORT) return;
    const content = Buffer.from(this.content(message));
    if (message.type === MSG.REPORT) this.ports.peerReport(content);
    if (message.type === MSG.REPORT_PART) {
      const whole = this.reportParts.take(content);
      if (whole !== null) this.ports.peerReport(whole);
    }
    if (message.type === MSG.VERIFIED && content.length >= 4) {
      this.ports.audited(content.readUInt32BE(0), unpackLines(content.subarray(4)));
    }
    if (message.type === MSG.VERIFY) {
      if (content.length > 0) this.ports.auditAsked();
      else this.ports.step({ type: 'verify' });
    }
  }

  private applyMessage(fixed: FastFixed, message: Message): void {
    const content = this.content(message);
    switch (message.type) {
      case MSG.UPDATES:
        this.ports.received(content.length);
        // The peer had not seen the last adoption when it sent this: what it calls its own is this node's already.
        if (this.engine.applyRecords(content, fixed.adoptSeen !== this.state.adoptId) < 0)
          this.ports.count('bad_record');
        break;
      case MSG.DIGEST:
        this.compare(fixed, content);
        break;
      case MSG.ADOPT: {
        const id = decodeAdopt(content);
        if (id === null) this.ports.count('bad_message');
        else this.ports.step({ type: 'adopt', id, crossed: fixed.adoptSeen !== this.state.adoptId });
        break;
      }
      case MSG.VERDICT: {
        const verdict = decodeVerdict(content);
        if (verdict === null) this.ports.count('bad_message');
        else this.ports.step({ type: 'verdict', verdict });
        break;
      }
      case MSG.BULK_BEGIN:
        this.ports.step({ type: 'bulkBegin' });
        break;
      case MSG.BULK_END:
        this.ports.bulkEnd();
        break;
      case MSG.RESYNC:
        this.ports.step({ type: 'resync' });
        break;
      case MSG.EXPECT:
        // The connection it belongs to came before it in the stream, and must be in the kernel.
        this.ports.flushKernel();
        this.ports.expectation(content);
        break;
      default:
        this.onRepair(fixed, message.type, content);
    }
  }

  private onRepair(fixed: FastFixed, type: number, content: Buffer): void {
    if (type < MSG.REPAIR_ASK || type > MSG.REPAIR_END) {
      this.ports.count('unknown_message');
      return;
    }
    // Ids and symbols are kept; the body is the next datagram's soon.
    const repair = decodeRepair(type, Buffer.from(content));
    if (repair === null) this.ports.count('bad_message');
    else this.ports.repair(repair, content.length + MESSAGE_HEADER, fixed.adoptSeen);
  }

  private compare(fixed: FastFixed, content: Buffer): void {
    const digest = decodeDigest(content);
    if (digest === null) {
      this.ports.count('bad_message');
      return;
    }
    this.ports.flushKernel();
    const here = this.engine.digest('peer');
    const equal = here.count === digest.count && timingSafeEqual(here.sum, digest.sum);
    this.ports.step({ type: 'digest', digest, seq: fixed.seq, adoptSeen: fixed.adoptSeen, equal });
  }

  private content(message: Message): Buffer {
    return this.body.subarray(message.offset, message.offset + message.length);
  }
}

interface Hello {
  node: string;
  echo: string | null;
  keys: string[];
  ask: boolean;
}

/** A HELLO of a node that knows only one key names none. */
function keysOf(value: object): string[] {
  const keys: unknown = 'keys' in value ? value.keys : null;
  return Array.isArray(keys) ? keys.filter((key): key is string => typeof key === 'string').slice(0, MOST_KEYS) : [];
}

function parseHello(body: Buffer): Hello | null {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('node' in value) || !('echo' in value)) return null;
  const { node, echo } = value;
  if (typeof node !== 'string' || node.length === 0 || node.length > MAX_NAME) return null;
  if (echo !== null && (typeof echo !== 'string' || !HEX_NONCE.test(echo))) return null;
  return { node, echo, keys: keysOf(value), ask: 'ask' in value && value.ask === true };
}
