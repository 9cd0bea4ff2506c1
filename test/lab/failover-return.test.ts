/** Failback and crash: a node that comes back learns before it leads, and clears up what its last life left behind. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, VIPS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { macvlans, tables } from './lib/kernel.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const returning = suite('return');
let stage: Stage;
prepare(returning, async () => {
  stage = await setUpStage();
});
leaveWhenDone(returning);
const promise = onStage(returning, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);

promise('the old master shows demotion "sync" until it is in step, and only then preempts', async (on) => {
  const { pair, traffic, watch } = on;
  await pair['fw-a'].powerOff();
  await watch.until('fw-b to become master', isMaster('fw-b'), 15_000);
  await traffic.worked();
  const seen: Sample[] = [];
  watch.on('sample', (sample: Sample) => seen.push(sample));
  await traffic.mark();
  const first = await pair['fw-a'].powerOn();
  await traffic.arm();
  assert.ok(first.role !== 'master', 'a node that knows nothing does not lead');
  await watch.until('fw-a to be master again, in step', settled, 45_000);
  const learning = [{ ...watch.latest, 'fw-a': first }, ...seen].filter(isLearning('fw-a'));
  assert.ok(learning.length > 0, 'the demotion was seen');
  assert.not.ok(learning.some(isMaster('fw-a')), 'never master while it learned');
  const led = seen.findIndex(isMaster('fw-a'));
  assert.ok(
    seen.slice(0, led + 1).some((sample) => sample['fw-a']?.sync?.in_step === true),
    'in step before it led',
  );
  const connections = await traffic.worked();
  assert.is(connections.alive, 200);
  assert.ok(connections.worked_after_ms !== null);
});

promise('kill -9 of the master daemon: fw-b takes over, the restart leaves one set of everything', async (on) => {
  const { lab, pair, traffic, watch } = on;
  const devices = await macvlans(lab, 'fw-a');
  const filters = await tables(lab, 'fw-a');
  await traffic.mark();
  await pair['fw-a'].kill();
  await watch.until('fw-b to become master', isMaster('fw-b'), 15_000);
  await pair['fw-a'].start();
  await traffic.arm();
  await watch.until('fw-a to be master again, in step', settled, 45_000);
  assert.equal(await macvlans(lab, 'fw-a'), devices, 'no virtual device is left over or doubled');
  assert.equal(await tables(lab, 'fw-a'), filters, 'no table is left over or doubled');
  for (const address of Object.values(VIPS).flatMap((vip) => vip.addresses)) {
    assert.equal(await lab.holders(address), ['fw-a'], bare(address));
  }
  const connections = await traffic.worked();
  assert.is(connections.alive, 200);
  assert.ok(connections.worked_after_ms !== null, `${connections.silent} connections are silent`);
});

promise('kill -9 of the backup daemon and its restart: nobody notices, in step again', async (on) => {
  const { pair, traffic, watch } = on;
  const since = watch.latest['fw-a']?.carp.vips.map((vip) => vip.since);
  await traffic.mark();
  await pair['fw-b'].kill();
  await pair['fw-b'].start();
  await traffic.arm();
  await watch.until('both to be in step', settled, 45_000);
  assert.equal(
    watch.latest['fw-a']?.carp.vips.map((vip) => vip.since),
    since,
    'fw-a never changed its state',
  );
  const connections = await traffic.worked();
  assert.is(connections.alive, 200);
  assert.equal(watch.violations, []);
});

returning.run();
