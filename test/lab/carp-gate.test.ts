/**
 * The gate in the kernel of a pair: a daemon that dies or hangs answers for no address any more, whatever else is
 * killed, and never do two nodes hold one address.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Holders } from '../../scripts/bench/lib/failover-holders.ts';
import { pause, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { GateCount } from '../../scripts/lab/gate-count.ts';
import { bare, VIPS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { NOISE_MS } from './lib/noise.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { logged, virtualAddresses } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const gate = suite('gate');
let stage: Stage;
prepare(gate, async () => {
  stage = await setUpStage();
});
leaveWhenDone(gate);
const promise = onStage(gate, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
const ADDRESSES = Object.values(VIPS).flatMap((vip) => vip.addresses);
/** Both kernels are read one after the other. */
const OVERLAP_MS = 5;

/** Ms from `act` to the moment at which no gate is open in the kernel of fw-a. */
async function closedAfter(on: Stage, act: () => void): Promise<number> {
  const count = new GateCount(on.lab.pids('fw-a')[0] ?? 0);
  try {
    assert.is(count.read(), 2, 'both gates of the master are open');
    const begun = performance.now();
    act();
    const { ms } = await until('the gates to close', () => count.read() === 0, { withinMs: 2000, everyMs: 1 });
    return Math.max(ms, performance.now() - begun);
  } finally {
    count.close();
  }
}

/** Runs `act` and holds that no moment saw two open gates for one address. */
async function oneHolder(on: Stage, act: () => Promise<void>): Promise<void> {
  const holders = new Holders(on.lab, true);
  try {
    await act();
    const { ms } = holders.both();
    assert.ok(ms <= OVERLAP_MS, `both held an address for ${ms.toFixed(0)} ms`);
  } finally {
    holders.close();
  }
}

promise(
  'a backup is armed: its devices are up without an address, and it reaches the addresses at the master',
  async (on) => {
    const { lab, watch } = on;
    await watch.until('fw-a to be master, in step', settled, 45_000);
    assert.equal(await virtualAddresses(lab, 'fw-b'), []);
    for (const role of ['wan', 'lan'] as const) {
      const { stdout } = await lab.exec('fw-b', ['ip', '-br', 'link', 'show', `carp${VIPS[role].vhid}-${role}`]);
      assert.match(stdout, /UP/);
      for (const address of VIPS[role].addresses) await lab.exec('fw-b', ['ping', '-c', '1', '-W', '2', bare(address)]);
    }
    assert.is(await lab.openGates('fw-a'), 2);
    assert.is(await lab.openGates('fw-b'), 0);
  },
);

promise('kill -9: the kernel closes the gates by itself, and the peer is master of all', async (on) => {
  const { lab, pair, traffic, watch } = on;
  await oneHolder(on, async () => {
    await traffic.mark();
    const over = watch.until('fw-b to become master', isMaster('fw-b'), 5000);
    let killed: Promise<unknown> = Promise.resolve();
    const ms = await closedAfter(on, () => {
      killed = pair['fw-a'].kill();
    });
    await killed;
    await over;
    await traffic.arm();
    assert.ok(ms < 150 + NOISE_MS, `${ms.toFixed(0)} ms`);
    for (const address of ADDRESSES) assert.equal(await lab.holders(address), ['fw-b'], address);
    assert.is((await traffic.worked()).alive, 200);
    const { gap_ms } = await traffic.probe.ask<{ gap_ms: number }>('report');
    process.stdout.write(`kill -9: gates closed after ${ms.toFixed(0)} ms, gap ${gap_ms.toFixed(0)} ms\n`);
    await pair['fw-a'].start();
    await watch.until('fw-a to be master again, in step', settled, 45_000);
  });
});

promise('every process of a box killed -9: its kernel closes the gates, the peer is master', async (on) => {
  const { lab, pair, watch } = on;
  await oneHolder(on, async () => {
    const over = watch.until('fw-b to become master', isMaster('fw-b'), 5000);
    let killed: Promise<unknown> = Promise.resolve();
    const ms = await closedAfter(on, () => {
      killed = pair['fw-a'].kill();
      for (const pid of lab.pids('fw-a')) if (pid !== pair['fw-a'].pid) process.kill(pid, 'SIGKILL');
    });
    await killed;
    await over;
    process.stdout.write(`all killed: gates closed after ${ms.toFixed(0)} ms\n`);
    assert.ok(ms < 150 + NOISE_MS, `${ms.toFixed(0)} ms`);
    await pair['fw-a'].start();
    await watch.until('fw-a to be master again, in step', settled, 45_000);
  });
});

promise('SIGSTOP for longer than the peer waits: closed, and the node that wakes is backup first', async (on) => {
  const { lab, pair, watch } = on;
  const before = await virtualAddresses(lab, 'fw-a');
  const pid = pair['fw-a'].pid!;
  await oneHolder(on, async () => {
    const ms = await closedAfter(on, () => process.kill(pid, 'SIGSTOP'));
    process.stdout.write(`SIGSTOP: gates closed after ${ms.toFixed(0)} ms\n`);
    assert.ok(ms < 150 + NOISE_MS, `${ms.toFixed(0)} ms`);
    await watch.until('fw-b to become master', isMaster('fw-b'), 5000);
    process.kill(pid, 'SIGCONT');
    const status = await pair['fw-a'].status(5000);
    assert.is.not(status?.role, 'master', 'it is backup when it wakes');
    await watch.until('fw-a to be master again, in step', settled, 45_000);
  });
  assert.equal(await virtualAddresses(lab, 'fw-a'), before, 'with the same addresses on the same devices');
  assert.equal(watch.violations, []);
});

promise('a short stop changes no role', async (on) => {
  const { lab, pair, watch } = on;
  const since = watch.latest['fw-a']?.carp.vips.map((vip) => vip.since);
  const pid = pair['fw-a'].pid!;
  process.kill(pid, 'SIGSTOP');
  await pause(60);
  process.kill(pid, 'SIGCONT');
  await pair['fw-a'].status(5000);
  assert.equal(
    (await pair['fw-a'].status(5000))?.carp.vips.map((vip) => vip.since),
    since,
  );
  for (const address of ADDRESSES) assert.equal(await lab.holders(address), ['fw-a'], address);
  assert.equal(watch.violations, []);
});

promise('planned hand-over and return: one holder all the time', async (on) => {
  const { pair, watch } = on;
  await oneHolder(on, async () => {
    await pair['fw-a'].ask('maintenance', { on: true });
    await watch.until('fw-b to be master', isMaster('fw-b'), 10_000);
    await pair['fw-a'].ask('maintenance', { on: false });
    await watch.until('fw-a to be master again, in step', settled, 45_000);
  });
});

promise('a stop as it should be leaves nothing behind', async (on) => {
  const { lab, pair } = on;
  assert.is(await pair['fw-b'].stop(), 0);
  assert.is(await lab.openGates('fw-b'), null, 'the table is gone');
  assert.equal(logged(pair['fw-b'], 'carp.stall'), []);
});

gate.run();
