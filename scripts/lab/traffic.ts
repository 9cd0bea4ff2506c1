/** The traffic programs, started in the lab's client and server and asked over their pipes. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { createInterface } from 'node:readline';
import type { Lab } from './lab.ts';
import { ECHO_PORT, type NodeName, SERVER_IP } from './plan.ts';

export interface ConnectionsReport {
  count: number;
  alive: number;
  /** Alive, but without an echo for more than a second. */
  silent: number;
  /** From the mark until every living connection had worked again. */
  worked_after_ms: number | null;
  reasons: Record<string, number>;
}

export interface ProbeReport {
  sent: number;
  lost: number;
  gap_ms: number;
  gap_at_ms: number;
  late_ms: number;
  answering: boolean;
}

export interface ProbeGlance {
  sent: number;
  lost: number;
  silent_ms: number;
}

export interface ChurnReport {
  opened: number;
  answered: number;
  failed: number;
  held_back: number;
  open: number;
}

interface Message {
  type: string;
  [field: string]: unknown;
}

/** One traffic program. Emits 'message' for everything it tells. */
export class Traffic extends EventEmitter {
  readonly #child: ChildProcess;
  readonly #name: string;
  #ended: string | null = null;

  constructor(lab: Lab, node: NodeName, program: string, args: readonly (string | number)[]) {
    super();
    this.#name = program;
    const file = new URL(`traffic/${program}.ts`, import.meta.url).pathname;
    const argv = [process.execPath, '--disable-warning=ExperimentalWarning', file, ...args.map(String)];
    this.#child = lab.spawn(node, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.emit('message', JSON.parse(line) as Message);
    });
    this.#child.stdin!.on('error', () => {});
    this.#child.on('exit', (code, signal) => {
      this.#ended = signal ?? `exit ${code}`;
      this.emit('end');
    });
  }

  /** Waits until the program tells a message of that type. */
  told(type: string, withinMs: number): Promise<Message> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.off('message', onMessage);
        this.off('end', onEnd);
        act();
      };
      const onMessage = (message: Message): void => {
        if (message.type === type) settle(() => resolve(message));
      };
      const onEnd = (): void => settle(() => reject(new Error(`${this.#name} has ended (${this.#ended})`)));
      const timer = setTimeout(
        () => settle(() => reject(new Error(`${this.#name} did not say "${type}" within ${withinMs} ms`))),
        withinMs,
      );
      this.on('message', onMessage);
      this.on('end', onEnd);
      if (this.#ended) onEnd();
    });
  }

  async ask<T>(cmd: string): Promise<T> {
    const answer = this.told(cmd, 5000);
    this.#child.stdin!.write(`${JSON.stringify({ cmd })}\n`);
    return (await answer) as unknown as T;
  }

  stop(): void {
    this.#child.stdin!.end();
  }
}

export interface TrafficOptions {
  /** Whom the client talks to; the server's IPv4 address when left out. */
  host?: string;
  connections?: number;
  periodMs?: number;
  probeMs?: number;
  churnPerSecond?: number;
  /** Every program ends after that. */
  lifetimeS?: number;
}

/** Echo service, long-lived connections, probe and churn of one lab. */
export class TrafficSet {
  readonly echo: Traffic;
  connections: Traffic;
  readonly probe: Traffic;
  readonly churn: Traffic;
  readonly #connect: () => Traffic;

  private constructor(echo: Traffic, connect: () => Traffic, probe: Traffic, churn: Traffic) {
    this.echo = echo;
    this.#connect = connect;
    this.connections = connect();
    this.probe = probe;
    this.churn = churn;
  }

  /** Starts all; resolves when every connection and the probe have had their first echo. */
  static async start(lab: Lab, options: TrafficOptions = {}): Promise<TrafficSet> {
    const life = options.lifetimeS ?? 600;
    const echo = new Traffic(lab, 'server', 'echo', [ECHO_PORT, life]);
    await echo.told('ready', 10_000);
    const to = (program: string, ...args: number[]): Traffic =>
      new Traffic(lab, 'client', program, [options.host ?? SERVER_IP, ECHO_PORT, ...args, life]);
    const connect = (): Traffic => to('connections', options.connections ?? 200, options.periodMs ?? 100);
    const probe = to('probe', options.probeMs ?? 5);
    const churn = to('churn', options.churnPerSecond ?? 100);
    const set = new TrafficSet(echo, connect, probe, churn);
    await Promise.all([set.connections, probe, churn].map((one) => one.told('ready', 20_000)));
    return set;
  }

  /** All connections anew, after something that none could survive. */
  async reconnect(): Promise<void> {
    this.connections.stop();
    this.connections = this.#connect();
    await this.connections.told('ready', 20_000);
  }

  /** A new measuring window begins: to be called just before something happens. */
  async mark(): Promise<void> {
    await Promise.all([this.connections.ask('mark'), this.probe.ask('mark')]);
  }

  /** It has happened: what works from now on counts as working. */
  async arm(): Promise<void> {
    await this.connections.ask('arm');
  }

  /**
   * Waits until every living connection has worked after arm(). A connection whose line was lost sends it again after
   * up to twice the outage (TCP's back-off), so the bound is generous.
   */
  async worked(withinMs = 20_000): Promise<ConnectionsReport> {
    const now = await this.connections.ask<ConnectionsReport>('report');
    if (now.worked_after_ms !== null) return now;
    await this.connections.told('worked', withinMs).catch(() => {});
    return this.connections.ask<ConnectionsReport>('report');
  }

  stop(): void {
    for (const one of [this.connections, this.probe, this.churn, this.echo]) one.stop();
  }
}
