/** A daemon that dies or hangs takes its addresses with it: no virtual address stays up on a box that nobody leads. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import type { Lab } from '../../scripts/lab/lab.ts';
import { type FirewallName, VIPS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { guardOf, logged, virtualAddresses } from './lib/guardian.ts';
import { residentKb } from './lib/kernel.ts';
import { NOISE_MS } from './lib/noise.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const guardian = suite('guardian');
let stage: Stage;
prepare(guardian, async () => {
  stage = await setUpStage();
});
leaveWhenDone(guardian);
const promise = onStage(guardian, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
const ADDRESSES = Object.values(VIPS).flatMap((vip) => vip.addresses);

/**
 * Ms until the kernel of a node shows no virtual address on a device that is up, as of the beginning of the look that
 * found none: a look starts a program, which takes its time on a busy machine.
 */
async function gone(lab: Lab, node: FirewallName, since: number): Promise<number> {
  let begun = since;
  const none = async (): Promise<boolean> => {
    begun = performance.now();
    return (await virtualAddresses(lab, node)).length === 0;
  };
  await until('the addresses to go', none, { withinMs: 5000, everyMs: 1 });
  return begun - since;
}

promise('kill -9: soon no virtual address is up, and the peer is master of all', async (on) => {
  const { lab, pair, traffic, watch } = on;
  assert.equal((await virtualAddresses(lab, 'fw-a')).length, ADDRESSES.length, 'the master holds them all');
  await traffic.mark();
  const begun = performance.now();
  const over = watch.until('fw-b to become master', isMaster('fw-b'), 5000);
  const killed = pair['fw-a'].kill();
  const ms = await gone(lab, 'fw-a', begun);
  await killed;
  const seen = await over;
  await traffic.arm();
  process.stdout.write(
    `kill -9: addresses gone after ${ms.toFixed(0)} ms, fw-b seen as master after ${seen.toFixed(0)} ms, `,
  );
  assert.ok(ms < 100 + NOISE_MS, `${ms.toFixed(0)} ms`);
  for (const address of ADDRESSES) assert.equal(await lab.holders(address), ['fw-b'], address);
  assert.is((await traffic.worked()).alive, 200);
  const { gap_ms } = await traffic.probe.ask<{ gap_ms: number }>('report');
  process.stdout.write(`gap ${gap_ms.toFixed(0)} ms\n`);
  assert.is(await guardOf(lab, 'fw-a'), null, 'and the guardian has ended');
  await pair['fw-a'].start();
  await watch.until('fw-a to be master again, in step', settled, 45_000);
});

promise('SIGSTOP for longer than the peer waits: the devices go down, and come back after SIGCONT', async (on) => {
  const { lab, pair, watch } = on;
  const before = await virtualAddresses(lab, 'fw-a');
  const pid = pair['fw-a'].pid!;
  const begun = performance.now();
  process.kill(pid, 'SIGSTOP');
  const ms = await gone(lab, 'fw-a', begun);
  process.stdout.write(`SIGSTOP: addresses gone after ${ms.toFixed(0)} ms\n`);
  // Early take-over is in use: the guardian does not wait for the master-down time (3 s).
  assert.ok(ms < 300 + NOISE_MS, `${ms.toFixed(0)} ms`);
  await watch.until('fw-b to become master', isMaster('fw-b'), 5000);
  process.kill(pid, 'SIGCONT');
  const status = await pair['fw-a'].status(5000);
  assert.is.not(status?.role, 'master', 'it is backup when it wakes');
  await watch.until('fw-a to be master again, in step', settled, 45_000);
  assert.equal(await virtualAddresses(lab, 'fw-a'), before, 'with the same addresses on the same devices');
  assert.ok(logged(pair['fw-a'], 'guard.fell').length > 0, 'and it was told');
  assert.equal(watch.violations, []);
});

promise('a short stop is no death: the addresses stay', async (on) => {
  const { lab, pair, watch } = on;
  const pid = pair['fw-b'].pid!;
  const before = logged(pair['fw-b'], 'guard.fell').length;
  process.kill(pid, 'SIGSTOP');
  await pause(500);
  process.kill(pid, 'SIGCONT');
  await pair['fw-b'].status(5000);
  assert.is(logged(pair['fw-b'], 'guard.fell').length, before);
  for (const address of ADDRESSES) assert.equal(await lab.holders(address), ['fw-a'], address);
  assert.equal(watch.violations, []);
});

promise('the guardian killed: the daemon says so and starts another, which works; it is small', async (on) => {
  const { lab, pair, watch } = on;
  const first = await guardOf(lab, 'fw-a');
  assert.ok(first !== null);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(first!, signal);
  await pause(50);
  assert.is(await guardOf(lab, 'fw-a'), first, 'signals of the group do not end it');
  const own = Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${first}/status`, 'utf8'))?.[1] ?? 0);
  process.stdout.write(
    `guardian: ${own} kB of its own, ${residentKb(first!)} kB with the program it shares with the daemon\n`,
  );
  const since = watch.latest['fw-a']?.carp.vips.map((vip) => vip.since);
  process.kill(first!, 'SIGKILL');
  const { value: second } = await until(
    'another guardian',
    async () => {
      const pid = await guardOf(lab, 'fw-a');
      return pid !== first && pid;
    },
    { withinMs: 5000 },
  );
  await until('the event', () => logged(pair['fw-a'], 'guard.ready').some((event) => event.pid === second), {
    withinMs: 5000,
  });
  assert.is(logged(pair['fw-a'], 'guard.lost').length, 1);
  assert.equal(
    watch.latest['fw-a']?.carp.vips.map((vip) => vip.since),
    since,
    'no role has changed',
  );
  const begun = performance.now();
  const killed = pair['fw-a'].kill();
  const ms = await gone(lab, 'fw-a', begun);
  await killed;
  assert.ok(ms < 100 + NOISE_MS, `the second one: ${ms.toFixed(0)} ms`);
  await watch.until('fw-b to become master', isMaster('fw-b'), 5000);
  await pair['fw-a'].start();
  await watch.until('fw-a to be master again, in step', settled, 45_000);
});

promise('a stop as it should be: the guardian goes too, and no goodbye is sent twice', async (on) => {
  const { lab, pair } = on;
  assert.is(await pair['fw-b'].stop(), 0);
  assert.is(await guardOf(lab, 'fw-b'), null);
  assert.equal(logged(pair['fw-b'], 'guard.lost'), []);
});

guardian.run();
