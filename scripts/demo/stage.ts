/** Lab, pair, traffic and watch, set up for the demo; one function brings all of it up. */
import { cpus, release } from 'node:os';
import { Firewall } from '../lab/firewall.ts';
import { Lab } from '../lab/lab.ts';
import { TrafficSet } from '../lab/traffic.ts';
import { inStep, isBackup, isMaster, type Pair, Watch } from '../lab/watch.ts';
import type { Stage } from './phases.ts';

export interface SetUp extends Stage {
  pair: Pair;
}

/** @param say one line a step */
export async function setUpStage(say: (text: string) => void, lifetimeS: number): Promise<SetUp> {
  const lab = new Lab();
  await lab.up();
  say('lab is up: client, LAN switch, fw-a, fw-b, WAN switch, server, sync cable');
  const pair = { 'fw-a': new Firewall(lab, 'fw-a'), 'fw-b': new Firewall(lab, 'fw-b') };
  const watch = new Watch(lab, pair);
  await Promise.all([pair['fw-a'].start(), pair['fw-b'].start()]);
  watch.start();
  say('carpio runs on both firewalls');
  await watch.until('fw-a to become master', (s) => isMaster('fw-a')(s) && isBackup('fw-b')(s), 20_000);
  const traffic = await TrafficSet.start(lab, { lifetimeS });
  say('200 TCP connections through source NAT, UDP probes every 5 ms');
  const ms = await watch.until('both nodes to be in step', inStep, 30_000);
  say(`fw-a is master, fw-b is backup, in step after ${ms.toFixed(0)} ms`);
  return { lab, pair, watch, traffic };
}

/** What the figures were measured on. */
export function machine(): string {
  const list = cpus();
  return `${list.length} CPUs (${list[0]?.model.trim() ?? 'unknown'}), Linux ${release()}, Node ${process.versions.node}`;
}
