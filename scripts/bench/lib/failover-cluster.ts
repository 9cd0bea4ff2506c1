/**
 * What the failover bench needs of a pair of firewalls, whichever product runs on them; fw-a is the preferred master.
 */
import type { ConfigOptions } from '../../lab/config.ts';
import { Firewall } from '../../lab/firewall.ts';
import type { Lab } from '../../lab/lab.ts';
import { FIREWALLS, type FirewallName } from '../../lab/plan.ts';

export interface Cluster {
  start(): Promise<void>;
  powerOff(node: FirewallName): Promise<void>;
  powerOn(node: FirewallName): Promise<void>;
  /** Planned: fw-a gives the addresses away, and takes them back. */
  handOver(): Promise<void>;
  handBack(): Promise<void>;
  /** kill -9 of the daemon, the process that a supervisor would have started. */
  kill(node: FirewallName): void;
  /** Beyond who holds the addresses: is the pair in order, so that the next event may come? */
  ready(master: FirewallName): Promise<boolean>;
  log(node: FirewallName): string;
}

/** What a stack is called and how it is made. */
export interface Stack {
  name: string;
  title: string;
  /** Why it cannot be measured here, or null. */
  missing: string | null;
  /** Whether its addresses stand behind Carpio's gate. */
  gated: boolean;
  create(lab: Lab): Cluster;
  /** The configuration of both nodes, for people. */
  show(): string;
}

interface Moved {
  done: boolean;
  reason: string;
}

export class CarpioPair implements Cluster {
  readonly #sync: boolean;
  readonly #pair: Record<FirewallName, Firewall>;

  constructor(lab: Lab, options: ConfigOptions) {
    this.#sync = options.sync !== false;
    this.#pair = { 'fw-a': new Firewall(lab, 'fw-a', options), 'fw-b': new Firewall(lab, 'fw-b', options) };
  }

  async start(): Promise<void> {
    await Promise.all(FIREWALLS.map((node) => this.#pair[node].start()));
  }

  powerOff(node: FirewallName): Promise<void> {
    return this.#pair[node].powerOff();
  }

  async powerOn(node: FirewallName): Promise<void> {
    await this.#pair[node].powerOn();
  }

  handOver(): Promise<void> {
    return this.#maintenance(true);
  }

  handBack(): Promise<void> {
    return this.#maintenance(false);
  }

  async #maintenance(on: boolean): Promise<void> {
    const answer = await this.#pair['fw-a'].ask<Moved>('maintenance', { on }, 15_000);
    if (!answer.ok) throw new Error(`maintenance ${on ? 'on' : 'off'}: ${answer.error}`);
  }

  kill(node: FirewallName): void {
    const { pid } = this.#pair[node];
    if (pid !== null) process.kill(pid, 'SIGKILL');
  }

  async ready(master: FirewallName): Promise<boolean> {
    const status = await this.#pair[master].status();
    if (status?.role !== 'master') return false;
    // While something is broken there may be nobody to be in step with.
    if (master !== 'fw-a' || !this.#sync) return true;
    const peer = await this.#pair['fw-b'].status();
    return peer?.role === 'backup' && peer.sync?.in_step === true && status.sync?.in_step === true;
  }

  log(node: FirewallName): string {
    return this.#pair[node].log();
  }
}
