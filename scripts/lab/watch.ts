/**
 * Looks at both firewalls many times a second and keeps what must never happen: two masters of one vhid on a connected
 * segment for longer than an advertisement interval, and a daemon that ends by itself.
 */
import { EventEmitter } from 'node:events';
import type { NodeStatus } from '../../src/contract/status.ts';
import { pause } from './command.ts';
import type { Firewall } from './firewall.ts';
import type { Lab } from './lab.ts';
import { type Cable, FIREWALLS, type FirewallName, VIPS } from './plan.ts';

export interface Sample {
  /** performance.now() when the questions were asked. */
  at: number;
  'fw-a': NodeStatus | null;
  'fw-b': NodeStatus | null;
}

const EVERY_MS = 50;
/** One advertisement interval (advbase 1), plus what the sampling itself may be late. */
const TWO_MASTERS_MS = 1000 + 3 * EVERY_MS;

export type Pair = Readonly<Record<FirewallName, Firewall>>;

export class Watch extends EventEmitter {
  readonly violations: string[] = [];
  /** Longest time two masters were seen, in ms, per vhid. */
  readonly overlap = new Map<number, number>();
  latest: Sample = { at: 0, 'fw-a': null, 'fw-b': null };
  readonly #lab: Lab;
  readonly #pair: Pair;
  readonly #since = new Map<number, number>();
  readonly #told = new Set<string>();
  #stopped = false;

  constructor(lab: Lab, pair: Pair) {
    super();
    this.setMaxListeners(100);
    this.#lab = lab;
    this.#pair = pair;
  }

  start(): void {
    void this.#loop();
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * Waits for a sample that fulfils a condition.
   * @param what completes the error "waited N s for …"
   * @returns ms from the call to the sample
   */
  until(what: string, holds: (sample: Sample) => boolean, withinMs: number): Promise<number> {
    const begun = performance.now();
    return new Promise((resolve, reject) => {
      const look = (sample: Sample): void => {
        // An answer to a question asked before the call may tell of the time before it.
        if (sample.at < begun || !holds(sample)) return;
        finish();
        resolve(performance.now() - begun);
      };
      const timer = setTimeout(() => {
        finish();
        reject(new Error(`waited ${(withinMs / 1000).toFixed(0)} s for ${what}; ${describe(this.latest)}`));
      }, withinMs);
      const finish = (): void => {
        clearTimeout(timer);
        this.off('sample', look);
      };
      this.on('sample', look);
    });
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const at = performance.now();
      const [a, b] = await Promise.all(FIREWALLS.map((name) => this.#look(name)));
      this.latest = { at, 'fw-a': a ?? null, 'fw-b': b ?? null };
      this.#judge(this.latest);
      this.emit('sample', this.latest);
      await pause(Math.max(5, EVERY_MS - (performance.now() - at)));
    }
  }

  #look(name: FirewallName): Promise<NodeStatus | null> | null {
    const firewall = this.#pair[name];
    return firewall.running && !this.#lab.off.has(name) && !this.#lab.hung.has(name) ? firewall.status() : null;
  }

  #judge(sample: Sample): void {
    for (const [role, { vhid }] of Object.entries(VIPS) as [Cable, { vhid: number }][]) {
      const connected = FIREWALLS.every((name) => !this.#lab.isCut(name, role));
      const two = connected && FIREWALLS.every((name) => stateOf(sample[name], vhid) === 'MASTER');
      if (!two) {
        this.#since.delete(vhid);
        continue;
      }
      const since = this.#since.get(vhid) ?? sample.at;
      this.#since.set(vhid, since);
      const ms = sample.at - since;
      this.overlap.set(vhid, Math.max(this.overlap.get(vhid) ?? 0, ms));
      if (ms > TWO_MASTERS_MS) this.#violate(`two masters of vhid ${vhid} at the same time`);
    }
    for (const name of FIREWALLS) for (const death of this.#pair[name].deaths) this.#violate(death);
  }

  #violate(text: string): void {
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.violations.push(text);
  }
}

export const stateOf = (status: NodeStatus | null, vhid: number): string | null =>
  status?.carp.vips.find((vip) => vip.vhid === vhid)?.state ?? null;

export const isMaster =
  (name: FirewallName) =>
  (sample: Sample): boolean =>
    sample[name]?.role === 'master';

export const isBackup =
  (name: FirewallName) =>
  (sample: Sample): boolean =>
    sample[name]?.role === 'backup';

/** Both nodes say that they are in step with a peer that is there. */
export const inStep = (sample: Sample): boolean =>
  FIREWALLS.every((name) => sample[name]?.sync?.in_step === true && sample[name]?.sync?.peer.alive === true);

/** The demotion reason `sync`: this node learns, and must not take over meanwhile. */
export const isLearning =
  (name: FirewallName) =>
  (sample: Sample): boolean =>
    sample[name]?.carp.demotion.reasons.some((one) => one.reason === 'sync') ?? false;

/** One line about what both nodes say, for errors. */
export function describe(sample: Sample): string {
  return FIREWALLS.map((name) => {
    const status = sample[name];
    if (!status) return `${name} does not answer`;
    const reasons = status.carp.demotion.reasons.map((one) => `${one.reason} ${one.weight}`).join(', ');
    const step = status.sync
      ? `in step: ${status.sync.in_step ?? `not known (${status.sync.in_step_reason})`}`
      : 'no sync';
    return `${name} is ${status.role} (${step}${reasons ? `; demotion: ${reasons}` : ''})`;
  }).join(', ');
}
