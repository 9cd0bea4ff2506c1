/** Lab, pair, traffic and watch brought up together: what the demo and the lab tests play on. */
import { cpus, release } from 'node:os';
import type { ConfigOptions } from './config.ts';
import { Firewall } from './firewall.ts';
import { Lab } from './lab.ts';
import { FIREWALLS } from './plan.ts';
import { type TrafficOptions, TrafficSet } from './traffic.ts';
import { inStep, isBackup, isMaster, type Pair, Watch } from './watch.ts';

export interface Stage {
  lab: Lab;
  pair: Pair;
  watch: Watch;
  traffic: TrafficSet;
}

interface StageOptions extends TrafficOptions {
  config?: ConfigOptions;
  /** Between the cables and the daemons. */
  before?: (lab: Lab) => Promise<void>;
  /** One line a step. */
  say?: (text: string) => void;
}

/**
 * Resolves when fw-a is master, fw-b backup, all connections work, and (with sync) both nodes are in step.
 * @throws Error with the last log lines of both nodes
 */
export async function setUpStage(options: StageOptions = {}): Promise<Stage> {
  const lab = new Lab();
  await lab.up();
  await options.before?.(lab);
  options.say?.('lab is up: client, LAN switch, fw-a, fw-b, WAN switch, server, sync cable');
  const pair = { 'fw-a': new Firewall(lab, 'fw-a', options.config), 'fw-b': new Firewall(lab, 'fw-b', options.config) };
  try {
    return await bringUp(lab, pair, options);
  } catch (error) {
    const logs = FIREWALLS.map((name) => `last log lines of ${name}:\n${pair[name].logTail()}`);
    throw new Error(`${(error as Error).message}\n${logs.join('\n')}`);
  }
}

async function bringUp(lab: Lab, pair: Pair, options: StageOptions): Promise<Stage> {
  const say = options.say ?? (() => {});
  const watch = new Watch(lab, pair);
  await Promise.all([pair['fw-a'].start(), pair['fw-b'].start()]);
  watch.start();
  say('carpio runs on both firewalls');
  await watch.until('fw-a to become master', (s) => isMaster('fw-a')(s) && isBackup('fw-b')(s), 20_000);
  const traffic = await TrafficSet.start(lab, options);
  say(`${options.connections ?? 200} TCP connections through source NAT, UDP probes every ${options.probeMs ?? 5} ms`);
  if (options.config?.sync === false) return { lab, pair, watch, traffic };
  const ms = await watch.until('both nodes to be in step', inStep, 30_000);
  say(`fw-a is master, fw-b is backup, in step after ${ms.toFixed(0)} ms`);
  return { lab, pair, watch, traffic };
}

/** What the figures were measured on. */
export function machine(): string {
  const list = cpus();
  return `${list.length} CPUs (${list[0]?.model.trim() ?? 'unknown'}), Linux ${release()}, Node ${process.versions.node}`;
}
