/**
 * What must hold when a fault is over and healed. Asked of the kernels and of the command line, not only of the
 * daemons.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { pause, until, which } from '../lab/command.ts';
import { bare, ECHO_PORT, FIREWALLS, type FirewallName, VIPS } from '../lab/plan.ts';
import type { ChurnReport, ConnectionsReport } from '../lab/traffic.ts';
import { inStep, isBackup, isMaster, type Sample } from '../lab/watch.ts';
import { carpio, type Scene } from './scene.ts';

const SETTLE_MS = 90_000;
/** For the kernel's own list of its connections; a machine that does much else has taken longer than 20 s. */
const LIST_MS = 60_000;
/** A daemon, and nothing that an earlier one left. */
const PROCESSES = 1;
const LIMITS = {
  /** Resident memory of one process, kB: the runtime with both add-ons and the worker is about 110 MB. */
  residentKb: 260_000,
  /** Growth of one process over what it had at its first check, kB. */
  grownKb: 80_000,
  descriptors: 120,
};

export interface Figures {
  /** Longest time until a pair was settled after a fault, ms. */
  settleMs: number;
  residentKb: number;
  grownKb: number;
  descriptors: number;
  /** States that `verify --deep` had to mend although both nodes said "in step". */
  mended: number;
}

export class Checks {
  readonly figures: Figures = { settleMs: 0, residentKb: 0, grownKb: 0, descriptors: 0, mended: 0 };
  readonly #firstKb = new Map<number, number>();
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** @returns one line for each promise that does not hold */
  async all(): Promise<string[]> {
    const { watch } = this.#scene.stage;
    const begun = performance.now();
    try {
      await watch.until('fw-a to be master, fw-b backup, both in step', settled, SETTLE_MS);
    } catch (error) {
      return [(error as Error).message];
    }
    this.#scene.line.note(`settled after ${(performance.now() - begun).toFixed(0)} ms`);
    this.figures.settleMs = Math.max(this.figures.settleMs, performance.now() - begun);
    const problems = [...(await this.#addresses()), ...(await this.#connections())];
    for (const node of FIREWALLS) problems.push(...(await this.#verify(node)));
    problems.push(...(await this.#kernels()), ...(await this.#resources()));
    problems.push(...watch.violations.splice(0));
    return problems;
  }

  /** After a violation: the next round is to be judged by itself. */
  async revive(): Promise<void> {
    const { traffic } = this.#scene.stage;
    const { alive, count } = await traffic.connections.ask<ConnectionsReport>('report');
    if (alive !== count) await traffic.reconnect();
  }

  async #addresses(): Promise<string[]> {
    const { lab } = this.#scene.stage;
    const problems: string[] = [];
    for (const address of Object.values(VIPS).flatMap((vip) => vip.addresses)) {
      const holders = await lab.holders(address);
      if (holders.join() === 'fw-a') continue;
      problems.push(`${bare(address)} is held by ${holders.join(' and ') || 'nobody'} in the kernel, expected fw-a`);
    }
    return problems;
  }

  async #connections(): Promise<string[]> {
    const { traffic } = this.#scene.stage;
    await traffic.arm();
    const report = await traffic.worked(40_000);
    const why = Object.entries(report.reasons).map(([reason, n]) => `${n} ${reason}`);
    if (report.alive !== report.count) {
      return [`${report.alive} of ${report.count} connections are alive (${why.join(', ')})`];
    }
    return report.worked_after_ms === null ? [`${report.silent} of ${report.count} connections are silent`] : [];
  }

  async #verify(node: FirewallName): Promise<string[]> {
    const { code, stdout, stderr } = await carpio(this.#scene, node, ['verify', '--deep', '--json']);
    if (code !== 0) return [`${node}: verify --deep: exit ${code}: ${(stdout + stderr).trim()}`];
    const { corrections } = JSON.parse(stdout) as { corrections: { here: number; peer: number | null } | null };
    const mended = (corrections?.here ?? 0) + (corrections?.peer ?? 0);
    this.figures.mended += mended;
    if (mended > 0) this.#scene.line.note(`${node}: verify --deep: ${stdout.replace(/\s+/g, ' ')}`);
    return [];
  }

  /** The same established connections in both kernels, by the kernels' own words. */
  async #kernels(): Promise<string[]> {
    const { lab, traffic } = this.#scene.stage;
    if (!which('conntrack')) return [];
    await until('short connections to end', async () => (await traffic.churn.ask<ChurnReport>('report')).open === 0, {
      withinMs: 20_000,
    });
    const list = async (node: FirewallName): Promise<string[]> => {
      const filter = ['-p', 'tcp', '--orig-port-dst', String(ECHO_PORT), '--state', 'ESTABLISHED'];
      const { stdout } = await lab.exec(node, ['conntrack', '-L', ...filter], { timeoutMs: LIST_MS });
      const lines = stdout.split('\n').filter(Boolean);
      return lines.map((line) => [...line.matchAll(/\b(?:src|dst|sport|dport)=\S+/g)].join(' ')).sort();
    };
    let differing: string[] = [];
    for (let tries = 0; tries < 3; tries++) {
      const [a, b] = await Promise.all(FIREWALLS.map(list));
      differing = a!.filter((one) => !b!.includes(one)).concat(b!.filter((one) => !a!.includes(one)));
      if (differing.length === 0) return [];
      await pause(500);
    }
    return [`${differing.length} established connections are in one kernel only: ${differing[0]}`];
  }

  async #resources(): Promise<string[]> {
    const { lab, pair } = this.#scene.stage;
    const problems: string[] = [];
    for (const node of FIREWALLS) {
      const pids = lab.pids(node);
      if (pids.length !== PROCESSES) {
        problems.push(`${pids.length} processes on ${node}, expected ${PROCESSES}: ${pids.map(nameOf).join(', ')}`);
      }
      for (const pid of pids) problems.push(...this.#memory(node, pid));
      const descriptors = pair[node].pid === null ? 0 : readdirSync(`/proc/${pair[node].pid}/fd`).length;
      this.figures.descriptors = Math.max(this.figures.descriptors, descriptors);
      if (descriptors > LIMITS.descriptors) problems.push(`${node} has ${descriptors} open descriptors`);
      const devices = (await lab.exec(node, ['ip', '-o', 'link', 'show', 'type', 'macvlan'])).stdout.trim().split('\n');
      if (devices.length !== Object.keys(VIPS).length) problems.push(`${node} has ${devices.length} virtual devices`);
    }
    return problems;
  }

  #memory(node: FirewallName, pid: number): string[] {
    const kb = residentKb(pid);
    const first = this.#firstKb.get(pid) ?? kb;
    this.#firstKb.set(pid, first);
    this.figures.residentKb = Math.max(this.figures.residentKb, kb);
    this.figures.grownKb = Math.max(this.figures.grownKb, kb - first);
    if (kb > LIMITS.residentKb) return [`${node}: ${nameOf(pid)} has ${kb} kB resident`];
    if (kb - first > LIMITS.grownKb) return [`${node}: ${nameOf(pid)} has grown from ${first} to ${kb} kB`];
    return [];
  }
}

const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) &&
  isBackup('fw-b')(sample) &&
  inStep(sample) &&
  FIREWALLS.every((name) => sample[name]?.carp.demotion.reasons.length === 0);

function residentKb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // it has just ended
  }
}

function nameOf(pid: number): string {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim().slice(0, 60)}`;
  } catch {
    return String(pid);
  }
}
