/** One firewall of the lab with its `carpio run`: started, asked, stopped, and watched for dying by itself. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import type { NodeStatus } from '../../src/contract/status.ts';
import { until } from './command.ts';
import { type ConfigOptions, type NodePaths, wipeRun, writeConfig } from './config.ts';
import { type Answer, ask } from './control.ts';
import type { Lab } from './lab.ts';
import type { FirewallName } from './plan.ts';

/** The built binary, or another one to be measured in the same lab. */
export const BINARY = process.env.CARPIO_BINARY ?? new URL('../../dist/carpio', import.meta.url).pathname;

export class Firewall {
  readonly name: FirewallName;
  readonly paths: NodePaths;
  /** Ends of the daemon that nobody asked for, one line each. */
  readonly deaths: string[] = [];
  readonly #lab: Lab;
  #child: ChildProcess | null = null;
  /** The one that has answered. */
  #answered: ChildProcess | null = null;
  #ending = false;
  readonly #record: boolean;

  constructor(lab: Lab, name: FirewallName, options: ConfigOptions = {}) {
    this.#record = options.record === true;
    this.#lab = lab;
    this.name = name;
    this.paths = writeConfig(name, options);
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get running(): boolean {
    return this.#child !== null;
  }

  /** It has answered since it was started: from then on it knows its signals. */
  get ready(): boolean {
    return this.#child !== null && this.#answered === this.#child;
  }

  /** Starts the daemon from the built binary; resolves when its control socket answers. */
  async start(withinMs = 30_000): Promise<NodeStatus> {
    if (!existsSync(BINARY)) throw new Error('dist/carpio is not built: npm run build -- --host');
    if (this.#child) throw new Error(`${this.name} runs already`);
    this.#ending = false;
    const log = openSync(this.paths.log, 'a');
    const argv = [BINARY, 'run', '--config', this.paths.config, '--log-format', 'json'];
    if (this.#record) argv.push('--record', this.paths.record);
    const child = this.#lab.spawn(this.name, argv, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    child.on('exit', (code, signal) => {
      if (!this.#ending) this.deaths.push(`carpio on ${this.name} ended by itself (${signal ?? `exit ${code}`})`);
      if (this.#child === child) this.#child = null;
    });
    const { value } = await until(
      `carpio on ${this.name} to answer`,
      () => {
        if (!this.#child) throw new Error(`${this.deaths.at(-1) ?? 'carpio ended'}\n${this.logTail()}`);
        return this.status();
      },
      { withinMs },
    );
    this.#answered = child;
    return value;
  }

  /** The node's own view of itself, or null when it does not answer. */
  async status(timeoutMs = 1000): Promise<NodeStatus | null> {
    try {
      const answer = await ask<NodeStatus>(this.paths.control, 'status', {}, timeoutMs);
      return answer.ok ? answer.result : null;
    } catch {
      return null;
    }
  }

  ask<T>(cmd: string, args: Record<string, unknown> = {}, timeoutMs = 30_000): Promise<Answer<T>> {
    return ask<T>(this.paths.control, cmd, args, timeoutMs);
  }

  /** SIGTERM: the node hands over and stops. Resolves with its exit code (null: ended by a signal). */
  async stop(withinMs = 20_000): Promise<number | null> {
    return this.signal('SIGTERM', withinMs);
  }

  /** kill -9: the kernel keeps addresses, rules and states, and goes on forwarding. */
  async kill(): Promise<void> {
    await this.signal('SIGKILL', 5000);
  }

  async signal(signal: NodeJS.Signals, withinMs: number): Promise<number | null> {
    const child = this.#child;
    if (!child) return null;
    this.#ending = true;
    const ended = once(child, 'exit', { signal: AbortSignal.timeout(withinMs) });
    child.kill(signal);
    try {
      const [code] = (await ended) as [number | null];
      return code;
    } catch {
      child.kill('SIGKILL');
      throw new Error(`carpio on ${this.name} did not end within ${withinMs} ms of ${signal}\n${this.logTail()}`);
    }
  }

  async powerOff(): Promise<void> {
    this.#ending = true;
    const child = this.#child;
    const ended = child && once(child, 'exit', { signal: AbortSignal.timeout(5000) });
    await this.#lab.powerOff(this.name);
    // Only with the event does `running` tell the truth; a take-over can be quicker than the event.
    await ended;
  }

  /** Reboot: an empty kernel, an empty /run; the daemon starts as it would from init. */
  async powerOn(withinMs = 10_000): Promise<NodeStatus> {
    await this.#lab.powerOn(this.name);
    wipeRun(this.name);
    this.#child = null;
    return this.start(withinMs);
  }

  /** The log as it is: JSON lines, and whatever a crash left. */
  log(): string {
    return existsSync(this.paths.log) ? readFileSync(this.paths.log, 'utf8') : '';
  }

  /** The log's end for people. */
  logTail(lines = 25): string {
    const tail = this.log().trimEnd().split('\n').slice(-lines);
    return tail.map(shortEntry).join('\n') || '(no log)';
  }
}

function shortEntry(line: string): string {
  try {
    const { time, level, message } = JSON.parse(line) as Record<string, string>;
    return `${time?.slice(11, 23)} ${level} ${message}`;
  } catch {
    return line;
  }
}
