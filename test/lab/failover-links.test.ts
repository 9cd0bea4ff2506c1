/** What a firewall notices about itself: a service cable pulled, and time that it did not live through. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import type { Cable } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

/** Longer than fw-a's master-down time of 3 x advbase + advskew/256 s. */
const HANG_MS = 4000;

const links = suite('links and time');
let stage: Stage;
prepare(links, async () => {
  stage = await setUpStage();
});
leaveWhenDone(links);
const promise = onStage(links, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);

for (const cable of ['lan', 'wan'] as Cable[]) {
  promise(`${cable} cable of the master pulled: every vhid moves, and back when it is mended`, async (on) => {
    const { lab, traffic, watch } = on;
    await traffic.mark();
    await lab.cut('fw-a', cable);
    await traffic.arm();
    await watch.until('fw-b to be master of every vhid', isMaster('fw-b'), 15_000);
    assert.not.ok(isMaster('fw-a')(watch.latest));
    let connections = await traffic.worked();
    assert.is(connections.alive, 200);
    assert.ok(connections.worked_after_ms !== null, `${connections.silent} connections are silent`);
    await traffic.mark();
    await lab.heal('fw-a', cable);
    await traffic.arm();
    await watch.until('fw-a to be master again, in step', settled, 30_000);
    connections = await traffic.worked();
    assert.is(connections.alive, 200);
    assert.ok(connections.worked_after_ms !== null, `${connections.silent} connections are silent`);
  });
}

promise('a master that hung for longer than its master-down time is a backup when it wakes', async (on) => {
  const { lab, pair, traffic, watch } = on;
  await traffic.mark();
  const begun = performance.now();
  await lab.hang('fw-a');
  await watch.until('fw-b to become master', isMaster('fw-b'), 15_000);
  await traffic.arm();
  assert.is((await traffic.worked()).alive, 200);
  const woken: Sample[] = [];
  // The pair may have handed over long before; what is tested is the sleeper's own clock.
  await pause(Math.max(0, HANG_MS - (performance.now() - begun)));
  await lab.unhang('fw-a');
  const status = await pair['fw-a'].status(5000);
  watch.on('sample', (sample: Sample) => woken.push(sample));
  assert.ok(status, 'fw-a answers again');
  assert.is.not(status?.role, 'master', 'it does not wake as a second master');
  await traffic.mark();
  await traffic.arm();
  await watch.until('fw-a to be master again, in step', settled, 30_000);
  const led = woken.findIndex(isMaster('fw-a'));
  const before = woken.slice(0, led + 1);
  assert.ok(
    before.some((sample) => sample['fw-a']?.sync?.in_step === true),
    'in step before it led',
  );
  assert.is((await traffic.worked()).alive, 200);
  assert.equal(watch.violations, []);
});

links.run();
