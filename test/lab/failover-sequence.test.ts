/** The main job on the real kernel with the real binary: every phase of the demo, each as a promise of its own. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PHASES, play } from '../../scripts/demo/phases.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { isMaster } from '../../scripts/lab/watch.ts';
import { connectionsIn, noConntrack } from './lib/kernel.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const sequence = suite('failover sequence');
let stage: Stage;
prepare(sequence, async () => {
  stage = await setUpStage();
});
leaveWhenDone(sequence);
const promise = onStage(sequence, () => stage);

promise(
  'hot standby: the backup kernel holds every connection with its NAT before anything fails',
  async ({ lab }) => {
    const own = await connectionsIn(lab, 'fw-a');
    const mirrored = await connectionsIn(lab, 'fw-b');
    assert.is(own.length, 200, 'the master tracks the 200 connections');
    assert.equal(mirrored, own, 'the backup holds the same tuples, translated addresses and ports included');
  },
  noConntrack(),
);

for (const phase of PHASES) {
  promise(`${phase.name}: 200 of 200 live, ${phase.master} ends as the only holder`, async () => {
    const result = await play(stage, phase);
    assert.equal(result.problems, []);
    assert.is(result.alive, 200);
  });
}

promise('after all of it fw-a is master and nothing was violated on the way', async ({ watch }) => {
  assert.ok(isMaster('fw-a')(watch.latest));
  assert.equal(watch.violations, []);
});

promise(
  'after all of it both kernels hold the same connections',
  async ({ lab }) => assert.equal(await connectionsIn(lab, 'fw-b'), await connectionsIn(lab, 'fw-a')),
  noConntrack(),
);

sequence.run();
