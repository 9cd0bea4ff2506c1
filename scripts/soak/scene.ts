/** What the soak plays on: the lab's stage, small disks, and the connections that are expected to live. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { pathsOf } from '../lab/config.ts';
import { BINARY } from '../lab/firewall.ts';
import { FIREWALLS, type FirewallName } from '../lab/plan.ts';
import { type Stage, setUpStage } from '../lab/stage.ts';
import type { Random } from '../lib/random.ts';
import type { TimeLine } from './time-line.ts';

export interface Scene {
  stage: Stage;
  random: Random;
  line: TimeLine;
}

/** Small enough to be filled at once; what a node keeps in its state_dir is some hundred bytes. */
const DISK_BYTES = 256 * 1024;

export const stateDirOf = (node: FirewallName): string => `${pathsOf(node).disk}/state`;

/** A state_dir on a file system of its own. Must run before the daemons start: they see the mounts of their start. */
function smallDisks(): void {
  for (const node of FIREWALLS) {
    mkdirSync(stateDirOf(node), { recursive: true, mode: 0o700 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES},mode=0700`, 'tmpfs', stateDirOf(node)]);
  }
}

export async function makeScene(
  options: { connections: number; lifetimeS: number; say: (text: string) => void },
  random: Random,
  line: TimeLine,
): Promise<Scene> {
  smallDisks();
  const stage = await setUpStage({
    connections: options.connections,
    config: { record: true },
    // An hour beside other work: enough to see a break, little enough not to be the load itself.
    periodMs: 500,
    probeMs: 50,
    churnPerSecond: 40,
    lifetimeS: options.lifetimeS,
    say: options.say,
  });
  return { stage, random, line };
}

/** The command line as an administrator uses it. */
export async function carpio(scene: Scene, node: FirewallName, args: readonly string[], timeoutMs = 60_000) {
  const argv = [BINARY, ...args, '--socket', pathsOf(node).control];
  return scene.stage.lab.exec(node, argv, { check: false, timeoutMs });
}
