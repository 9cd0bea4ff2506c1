/** Stopping on purpose: SIGTERM bows out, and nothing of the node's own stays in the kernel. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, VIPS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isMaster } from '../../scripts/lab/watch.ts';
import { macvlans } from './lib/kernel.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const stopping = suite('stop');
let stage: Stage;
prepare(stopping, async () => {
  stage = await setUpStage();
});
leaveWhenDone(stopping);
const promise = onStage(stopping, () => stage);

promise('SIGTERM: the master hands over before it goes, exit 0', async ({ lab, pair, traffic, watch }) => {
  await traffic.mark();
  const over = watch.until('fw-b to become master', isMaster('fw-b'), 15_000);
  const code = await pair['fw-a'].stop();
  const ms = await over;
  await traffic.arm();
  assert.is(code, 0);
  // Silence alone would take 3 x advbase + advskew/256 s = 3.39 s: it must have been told.
  assert.ok(ms < 3000, `fw-b became master after ${ms.toFixed(0)} ms`);
  for (const address of Object.values(VIPS).flatMap((vip) => vip.addresses)) {
    assert.equal(await lab.holders(address), ['fw-b'], bare(address));
  }
  const connections = await traffic.worked();
  assert.is(connections.alive, 200);
  assert.ok(connections.worked_after_ms !== null, `${connections.silent} connections are silent`);
});

promise('what stays behind on the stopped node: no virtual device', async ({ lab }) => {
  assert.equal(await macvlans(lab, 'fw-a'), []);
});

promise('started again it learns and takes over, nothing lost', async ({ pair, traffic, watch }) => {
  await traffic.mark();
  await pair['fw-a'].start();
  await traffic.arm();
  const back = (sample: Parameters<typeof inStep>[0]): boolean =>
    isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample);
  await watch.until('fw-a to be master again, in step', back, 45_000);
  assert.is((await traffic.worked()).alive, 200);
  assert.equal(watch.violations, []);
});

promise('SIGTERM of the backup changes nothing for anybody', async ({ pair, traffic, watch }) => {
  await traffic.mark();
  assert.is(await pair['fw-b'].stop(), 0);
  await traffic.arm();
  await watch.until(
    'fw-a to notice that its peer is gone',
    (sample) => sample['fw-a']?.sync?.peer.alive === false && sample['fw-a'].sync.in_step !== true,
    15_000,
  );
  assert.ok(isMaster('fw-a')(watch.latest));
  assert.is((await traffic.worked()).alive, 200);
});

stopping.run();
