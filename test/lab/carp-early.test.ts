/**
 * Early take-over: a dead master is replaced long before the protocol's three silent seconds, and a master that lives
 * is not replaced because of one broken cable. Times are printed; the bounds are those of the protocol, not of a
 * benchmark.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import type { FirewallName } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const early = suite('early take-over');
let stage: Stage;
prepare(early, async () => {
  stage = await setUpStage({ probeMs: 2 });
});
leaveWhenDone(early);
const promise = onStage(early, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
const RUNS = Number(process.env.CARPIO_RUNS ?? 1);
/** Without early take-over: 3 x advbase + advskew/256 s of the backup. */
const PROTOCOL_MS = 3390;

async function gapOf({ traffic }: Stage): Promise<number> {
  return (await traffic.probe.ask<{ gap_ms: number }>('report')).gap_ms;
}

function say(what: string, gaps: readonly number[]): void {
  const sorted = [...gaps].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const worst = sorted.at(-1) ?? 0;
  process.stdout.write(`${what}: gap ${median.toFixed(0)} ms median, ${worst.toFixed(0)} ms worst of ${gaps.length}\n`);
}

const count = (on: Stage, node: FirewallName, kind: string): number => logged(on.pair[node], kind).length;

promise('sync cable cut alone: nobody is declared dead, no role changes, the event says what is down', async (on) => {
  const { lab, pair, watch } = on;
  const since = (): unknown => watch.latest['fw-b']?.carp.vips.map((vip) => [vip.state, vip.since]);
  const before = since();
  const told = count(on, 'fw-b', 'sync.link_down_peer_alive');
  await lab.cut('fw-a', 'sync');
  await pause(3000);
  assert.equal(since(), before);
  assert.is(count(on, 'fw-b', 'peer.dead'), 0, pair['fw-b'].logTail());
  assert.is(count(on, 'fw-b', 'sync.link_down_peer_alive'), told + 1);
  assert.equal(watch.violations, []);
});

promise('with the sync cable still cut the master dies: its silence on the service networks tells', async (on) => {
  const { lab, pair, traffic, watch } = on;
  await traffic.mark();
  await pair['fw-a'].powerOff();
  await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  await traffic.arm();
  await traffic.worked();
  const gap = await gapOf(on);
  say('power off after the sync cable was cut', [gap]);
  assert.ok(gap < PROTOCOL_MS / 3, `${gap} ms`);
  await lab.heal('fw-a', 'sync');
  await pair['fw-a'].powerOn();
  await watch.until('fw-a to be master again, in step', settled, 45_000);
});

promise('power off: the sync cable loses its carrier, nobody answers, the backup takes over at once', async (on) => {
  const { pair, traffic, watch } = on;
  const gaps: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await traffic.mark();
    await pair['fw-a'].powerOff();
    await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
    await traffic.arm();
    const connections = await traffic.worked();
    assert.is(connections.alive, 200);
    gaps.push(await gapOf(on));
    await pair['fw-a'].powerOn();
    await watch.until('fw-a to be master again, in step', settled, 45_000);
  }
  say('power off', gaps);
  assert.ok(Math.max(...gaps) < PROTOCOL_MS / 3, `${gaps}`);
  assert.equal(watch.violations, []);
});

promise(
  'hang (all links up, nothing said): silence tells, and the woken node does not stay a second master',
  async (on) => {
    const { lab, pair, traffic, watch } = on;
    const gaps: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      await traffic.mark();
      await lab.hang('fw-a');
      await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
      await traffic.arm();
      assert.is((await traffic.worked()).alive, 200);
      gaps.push(await gapOf(on));
      await lab.unhang('fw-a');
      assert.ok(await pair['fw-a'].status(5000));
      await watch.until('fw-a to be master again, in step', settled, 45_000);
    }
    say('hang', gaps);
    assert.ok(Math.max(...gaps) < PROTOCOL_MS / 3, `${gaps}`);
    assert.equal(watch.violations, []);
  },
);

promise('LAN cable of the master cut: it says so, and the backup takes over at once', async (on) => {
  const { lab, traffic, watch } = on;
  const gaps: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await traffic.mark();
    await lab.cut('fw-a', 'lan');
    await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
    await traffic.arm();
    assert.is((await traffic.worked()).alive, 200);
    gaps.push(await gapOf(on));
    await lab.heal('fw-a', 'lan');
    await watch.until('fw-a to be master again, in step', settled, 100_000);
  }
  say('LAN cable cut', gaps);
  assert.ok(Math.max(...gaps) < PROTOCOL_MS / 3, `${gaps}`);
  assert.equal(watch.violations, []);
});

promise('a pause of 600 ms: replaced, and one master at most one advert after it wakes', async (on) => {
  const { lab, watch } = on;
  const dead = count(on, 'fw-b', 'peer.dead');
  const pids = lab.pids('fw-a');
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  await pause(600);
  for (const pid of pids) process.kill(pid, 'SIGCONT');
  await watch.until('one master, in step', settled, 30_000);
  assert.is(count(on, 'fw-b', 'peer.dead'), dead + 1);
  assert.equal(watch.violations, [], 'never two masters for longer than one advert');
});

early.run();
