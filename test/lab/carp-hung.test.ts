/**
 * A daemon that hangs or computes while its kernel goes on: the kernel has closed its gates before the peer opens its
 * own, and when it goes on it is backup first (invariant 7).
 */
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Holders } from '../../scripts/bench/lib/failover-holders.ts';
import { pause } from '../../scripts/lab/command.ts';
import type { ConfigOptions } from '../../scripts/lab/config.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { logged } from './lib/virtual-addresses.ts';

// The built binary takes no NODE_OPTIONS (as it should be), so here the daemon runs from its sources. Set outside the
// lab, for the process that it is entered with.
process.env.CARPIO_BINARY = fileURLToPath(new URL('lib/carpio-from-source.sh', import.meta.url));
process.env.CARPIO_TEST_NODE = process.execPath;
await enterOrExit(import.meta.url);

const hung = suite('hung daemon');
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
/** Both kernels are read one after the other. */
const OVERLAP_MS = 5;

let stage: Stage;
const profile = async (config: ConfigOptions): Promise<void> => {
  if (stage !== undefined) {
    stage.watch.stop();
    stage.traffic.stop();
    await stage.lab.down();
    rmSync('/run/lab', { recursive: true, force: true });
    mkdirSync('/run/lab', { recursive: true });
  }
  stage = await setUpStage({ config, connections: 20 });
};
prepare(hung, () => profile({}));
leaveWhenDone(hung);
const promise = onStage(hung, () => stage);

const stop = (pid: number, ms: number) => async (): Promise<void> => {
  process.kill(pid, 'SIGSTOP');
  await pause(ms);
  process.kill(pid, 'SIGCONT');
};
const compute = (pid: number) => async (): Promise<void> => {
  process.kill(pid, 'SIGUSR2');
};

/** Does something to the master's daemon, and tells how long both kernels held an address. */
async function during(on: Stage, act: () => Promise<void>): Promise<number> {
  const { lab, pair, watch } = on;
  await watch.until('fw-a to be master, in step', settled, 45_000);
  const before = logged(pair['fw-a'], 'carp.stall').length;
  const holders = new Holders(lab, true);
  try {
    const over = watch.until('fw-b to become master', isMaster('fw-b'), 5000);
    await act();
    await over;
    await watch.until('fw-a to be master again, in step', settled, 45_000);
    // Also when fw-a takes the lead back.
    const { ms } = holders.both();
    assert.ok(logged(pair['fw-a'], 'carp.stall').length > before, 'it knows that it stood still');
    assert.equal(watch.violations, []);
    return ms;
  } finally {
    holders.close();
  }
}

async function judge(on: Stage, what: string, act: () => Promise<void>): Promise<void> {
  const ms = await during(on, act);
  process.stdout.write(`${what}: both gates were open for ${ms.toFixed(0)} ms\n`);
  assert.ok(ms <= OVERLAP_MS, `${what}: ${ms.toFixed(0)} ms`);
}

promise('default timers, stopped for 1 s: the peer takes over before the protocol would, and finds nobody', (on) =>
  judge(on, 'stopped, default timers', stop(on.pair['fw-a'].pid!, 1000)),
);

promise('default timers, the main loop computes for 600 ms', (on) =>
  judge(on, 'computing, default timers', compute(on.pair['fw-a'].pid!)),
);

promise('fast timers, the main loop computes for 600 ms', async () => {
  await profile({ advbase: 0, advskew: { 'fw-a': 8, 'fw-b': 10 } });
  await judge(stage, 'computing, fast timers', compute(stage.pair['fw-a'].pid!));
});

hung.run();
