/** Recorded and forged advertisements of the peer: unmasked by what it says over the sealed sync link. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { logged } from './lib/guardian.ts';
import { play, whole, withTimers } from './lib/replay.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { Sniffer } from './lib/sniff.ts';

await enterOrExit(import.meta.url);

const unmasking = suite('unmasking');
let stage: Stage;
let recorded: Buffer;
prepare(unmasking, async () => {
  stage = await setUpStage();
  const wire = await Sniffer.start(stage.lab, 'client', 'eth0');
  const own = () => wire.adverts(2).find((advert) => advert.family === 4 && advert.from === '10.77.1.2');
  const { value } = await until('an advert of fw-a', own, { withinMs: 5000 });
  recorded = whole(value);
  wire.stop();
});
leaveWhenDone(unmasking);
const promise = onStage(unmasking, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
const roles = ({ watch }: Stage): unknown =>
  (['fw-a', 'fw-b'] as const).map((name) => watch.latest[name]?.carp.vips.map((vip) => [vip.state, vip.since]));
const unmasked = ({ watch }: Stage): number => watch.latest['fw-b']?.carp.counters.unmasked ?? 0;

/** Plays a frame ten times; nothing may change but the counter of fw-b. */
async function refused(on: Stage, frame: Buffer): Promise<void> {
  await pause(300); // what fw-a says must have stood for a moment
  const [before, count] = [roles(on), unmasked(on)];
  for (let i = 0; i < 10; i++) {
    await play(on.lab, 'client', 'eth0', [frame]);
    assert.equal(roles(on), before);
  }
  await on.watch.until('all of them to be counted', () => unmasked(on) === count + 10, 5000);
  assert.equal(roles(on), before);
  assert.equal(on.watch.violations, []);
}

promise('a forged bow-out of the living master: no take-over', (on) => refused(on, withTimers(recorded, 255, 255)));

promise('the event says who and why, once and not ten times', async ({ pair }) => {
  const events = logged(pair['fw-b'], 'carp.refused').filter((one) => one.counter === 'unmasked');
  assert.is(events.length, 1);
  assert.is(events[0]?.from, '10.77.1.2');
  assert.is(events[0]?.reason, 'a bow-out, but the peer says that it is MASTER');
});

promise('the master made to look bad (advskew 240): no take-over', (on) => refused(on, withTimers(recorded, 1, 240)));

promise('a recording of the old master: the new one does not step down', async (on) => {
  const { pair, watch } = on;
  await pair['fw-a'].ask('maintenance', { on: true });
  await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  await refused(on, recorded);
  assert.ok(isMaster('fw-b')(watch.latest));
});

promise('the real one comes back without delay: its own adverts are not held against it', async (on) => {
  const { pair, watch } = on;
  const before = unmasked(on);
  await pair['fw-a'].ask('maintenance', { on: false });
  await watch.until('fw-a to be master again', settled, 10_000);
  await pause(1500);
  assert.is(unmasked(on), before);
  assert.is(watch.latest['fw-a']?.carp.counters.unmasked ?? 0, 0);
  assert.equal(watch.violations, []);
});

promise('kill -9 after all that: the last words of the guardian are believed at once', async (on) => {
  const { pair, traffic, watch } = on;
  const before = unmasked(on);
  await traffic.mark();
  await pair['fw-a'].kill();
  const ms = await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  await traffic.arm();
  await traffic.worked();
  const { gap_ms } = await traffic.probe.ask<{ gap_ms: number }>('report');
  process.stdout.write(`kill -9: fw-b seen as master after ${ms.toFixed(0)} ms, gap ${gap_ms.toFixed(0)} ms\n`);
  assert.is(unmasked(on), before);
  const { reason } = watch.latest['fw-b']!.carp.vips[0]!;
  assert.match(reason, /bowed out/);
});

unmasking.run();
