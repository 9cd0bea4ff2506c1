/** Runs the probe machine on the real clock and the real networks, and answers the peer's probes. */
import { randomBytes } from 'node:crypto';
import { messageOf } from '../../contract/message-of.ts';
import type { Tap, TapMaker } from '../../contract/tap.ts';
import type { ProbeAction, ProbeEvent, ProbeVerdict } from './machine.ts';
import { createProbe, probeDeadline, stepProbe } from './machine.ts';
import { ANSWER, decodeProbe, encodeProbe, NONCE_BYTES, PROBE, probeKey, SENDER_BYTES } from './packet.ts';
import type { ProbeSocket, ProbeSocketOptions } from './socket.ts';
import { openProbeSocket } from './socket.ts';

/** Nonces of probes that may still be answered, per path. */
const OUTSTANDING = 16;
/** Where adverts go, RFC 5798's groups. */
const CARP_GROUP = '224.0.0.18';
const CARP_GROUP6 = 'ff02::12';
/** Answers to probes: this many at once, and this many a second in the long run. */
const ANSWER_BURST = 60;
const ANSWER_RATE = 200;

const NO_KEY = { key: Buffer.alloc(0), packet: 'bad_mac' } as const;

/** A service network: this node's NIC there and the peer's own addresses. */
export interface ProbePath {
  role: string;
  device: string;
  ifindex: number;
  up: boolean;
  peer: string[];
  /** Families in which this node has an own address there. */
  families: (4 | 6)[];
}

export interface ProberPorts {
  /** The three verdicts of the probe machine. */
  verdict(verdict: ProbeVerdict): void;
  warn(message: string): void;
  /** Called before anything that arrives is looked at. */
  look(): void;
  /** Monotonic microseconds. */
  now(): number;
  /** Calls once after at least `ms`; what it returns takes the call back. */
  later(ms: number, call: () => void): () => void;
  /** How a socket is opened; the simulator has its own. */
  open?(options: ProbeSocketOptions): ProbeSocket;
  /** Records what enters the machine. */
  taps?: TapMaker | null;
}

interface Path extends ProbePath {
  sockets: ProbeSocket[];
  /** Probes that may still be answered, and when each left. */
  nonces: { nonce: string; sentUs: number }[];
}

export class Prober {
  readonly counters: Record<string, number> = { probes: 0, answers: 0, answered: 0 };
  /** The first is the pair's; others are taken, and asked with, while it is being changed. */
  private keys: Buffer[];
  private readonly ports: ProberPorts;
  private readonly sender = randomBytes(SENDER_BYTES);
  private readonly state = createProbe();
  private readonly tap: Tap | null;
  private readonly paths = new Map<string, Path>();
  /** Probes to the group that wait for an answer, by nonce. */
  private readonly toGroup = new Map<string, () => void>();
  private timer: (() => void) | null = null;
  private allowance = { tokens: ANSWER_BURST, atUs: 0 };

  constructor(secrets: readonly Uint8Array[], ports: ProberPorts) {
    this.keys = secrets.map(probeKey);
    this.ports = ports;
    this.tap = ports.taps?.tap('probe', () => this.state) ?? null;
  }

  /** The pair's key has been changed. */
  setSecrets(secrets: readonly Uint8Array[]): void {
    this.keys = secrets.map(probeKey);
  }

  /** The networks as they are now. */
  setPaths(paths: readonly ProbePath[]): void {
    const wanted = new Set(paths.map((path) => path.role));
    for (const [role, path] of this.paths) if (!wanted.has(role)) this.drop(role, path);
    for (const path of paths) this.setPath(path);
    this.feed({
      type: 'paths',
      usable: Object.fromEntries(paths.map((path) => [path.role, path.up && this.target(path.role) !== null])),
    });
  }

  feed(event: ProbeEvent): void {
    const now = this.ports.now();
    const input = this.tap?.before({ event, now });
    const actions = stepProbe(this.state, event, now);
    if (input !== undefined) this.tap?.after(input, actions);
    for (const action of actions) this.perform(action);
    this.arm();
  }

  /**
   * Asks whoever listens to CARP's multicast group on that network: does the peer answer? Not part of the election, but
   * what it would stand on.
   * @returns null: there is no socket on that network
   */
  multicast(role: string, ms: number): Promise<boolean | null> {
    const socket = this.paths.get(role)?.sockets.find(({ family }) => family === 4) ?? this.paths.get(role)?.sockets[0];
    if (socket === undefined) return Promise.resolve(null);
    const nonce = randomBytes(NONCE_BYTES);
    const name = nonce.toString('hex');
    return new Promise((resolve) => {
      const settle = (heard: boolean): void => {
        for (const stop of timers) stop();
        this.toGroup.delete(name);
        resolve(heard);
      };
      const send = (): void => this.ask(socket, role, nonce, socket.family === 4 ? CARP_GROUP : CARP_GROUP6);
      const timers = [this.ports.later(ms / 3, send), this.ports.later((2 * ms) / 3, send)];
      timers.push(this.ports.later(ms, () => settle(false)));
      this.toGroup.set(name, () => settle(true));
      send();
    });
  }

  close(): void {
    this.timer?.();
    this.timer = null;
    for (const [role, path] of this.paths) this.drop(role, path);
  }

  private setPath(path: ProbePath): void {
    const before = this.paths.get(path.role);
    const same = before?.ifindex === path.ifindex && before.device === path.device && path.ifindex !== 0;
    const families = same ? before.sockets.map((socket) => socket.family) : [];
    const wanted = path.families.filter((family) => !families.includes(family));
    if (before !== undefined && !same) for (const socket of before.sockets) socket.close();
    const sockets = same ? [...before.sockets] : [];
    for (const family of path.ifindex === 0 ? [] : wanted) {
      try {
        sockets.push(this.open(path, family));
      } catch (error) {
        this.ports.warn(`probes on ${path.role}: ${messageOf(error)}`);
      }
    }
    this.paths.set(path.role, { ...path, sockets, nonces: before?.nonces ?? [] });
  }

  private open({ role, device, ifindex }: ProbePath, family: 4 | 6): ProbeSocket {
    return (this.ports.open ?? openProbeSocket)({
      device,
      ifindex,
      family,
      onPacket: (bytes, from) => this.onPacket(role, bytes, from),
      onError: (error) => this.ports.warn(error.message),
    });
  }

  private drop(role: string, path: Path): void {
    for (const socket of path.sockets) socket.close();
    this.paths.delete(role);
  }

  /** Where the peer is asked: the first of its addresses whose family this node speaks there. */
  private target(role: string): { socket: ProbeSocket; to: string } | null {
    const path = this.paths.get(role);
    for (const to of path?.peer ?? []) {
      const socket = path?.sockets.find((one) => (one.family === 6) === to.includes(':'));
      if (socket !== undefined) return { socket, to };
    }
    return null;
  }

  private perform(action: ProbeAction): void {
    if (action.type === 'probe') this.probe(action.path);
    else this.ports.verdict(action);
  }

  private probe(role: string): void {
    const path = this.paths.get(role);
    const target = this.target(role);
    if (path === undefined || target === null) return;
    const nonce = randomBytes(NONCE_BYTES);
    path.nonces.push({ nonce: nonce.toString('hex'), sentUs: this.ports.now() });
    if (path.nonces.length > OUTSTANDING) path.nonces.shift();
    this.ask(target.socket, role, nonce, target.to);
  }

  /** Once under each key: the peer answers the one that it has. */
  private ask(socket: ProbeSocket, role: string, nonce: Buffer, to: string): void {
    this.count('probes');
    for (const key of this.keys) socket.send(encodeProbe(key, role, { kind: PROBE, sender: this.sender, nonce }), to);
  }

  private onPacket(role: string, bytes: Buffer, from: string): void {
    this.ports.look();
    const tried = this.keys.map((key) => ({ key, packet: decodeProbe(key, role, bytes) }));
    const { key, packet } = tried.find((one) => typeof one.packet !== 'string') ?? tried[0] ?? NO_KEY;
    if (typeof packet === 'string') {
      this.count(packet);
      return;
    }
    if (packet.sender.equals(this.sender)) {
      this.count('own');
      return;
    }
    if (packet.kind === PROBE) this.answer(key, role, packet.nonce, from);
    else this.onAnswer(role, packet.nonce.toString('hex'));
  }

  private answer(key: Buffer, role: string, nonce: Buffer, to: string): void {
    if (!this.mayAnswer()) {
      this.count('too_many');
      return;
    }
    const family = to.includes(':') ? 6 : 4;
    const socket = this.paths.get(role)?.sockets.find((one) => one.family === family);
    this.count('answers');
    socket?.send(encodeProbe(key, role, { kind: ANSWER, sender: this.sender, nonce }), to);
  }

  private onAnswer(role: string, nonce: string): void {
    const waiting = this.toGroup.get(nonce);
    if (waiting !== undefined) {
      this.count('answered');
      waiting();
      return;
    }
    const path = this.paths.get(role);
    const asked = path?.nonces.find((one) => one.nonce === nonce);
    if (path === undefined || asked === undefined) {
      this.count('unasked');
      return;
    }
    path.nonces = path.nonces.filter((one) => one !== asked);
    this.count('answered');
    this.feed({ type: 'answer', path: role, tripUs: this.ports.now() - asked.sentUs });
  }

  private mayAnswer(): boolean {
    const now = this.ports.now();
    const earned = ((now - this.allowance.atUs) / 1_000_000) * ANSWER_RATE;
    this.allowance = { tokens: Math.min(ANSWER_BURST, this.allowance.tokens + earned), atUs: now };
    if (this.allowance.tokens < 1) return false;
    this.allowance.tokens -= 1;
    return true;
  }

  private arm(): void {
    this.timer?.();
    this.timer = null;
    const deadline = probeDeadline(this.state);
    if (deadline === null) return;
    // A timer never waits less than it was told, but a little more: then it is due.
    const wait = Math.max(1, Math.ceil((deadline - this.ports.now()) / 1000));
    this.timer = this.ports.later(wait, () => {
      this.ports.look();
      this.feed({ type: 'tick' });
    });
  }

  private count(name: string): void {
    this.counters[name] = (this.counters[name] ?? 0) + 1;
  }
}
