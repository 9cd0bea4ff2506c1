/**
 * Negative control of attack-replay: without a pair key nothing is proven, so a recording counts, as on any CARP host.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { isMaster } from '../../scripts/lab/watch.ts';
import { play, whole, withTimers } from './lib/replay.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { Sniffer } from './lib/sniff.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const open = suite('recordings without a pair key');
let stage: Stage;
prepare(open, async () => {
  stage = await setUpStage({ config: { sealed: false } });
});
leaveWhenDone(open);
const promise = onStage(open, () => stage);

promise('a forged bow-out makes the backup take over', async ({ lab, pair, watch }) => {
  const wire = await Sniffer.start(lab, 'client', 'eth0');
  const own = () => wire.adverts(2).find((advert) => advert.family === 4 && advert.from === '10.77.1.2');
  const { value } = await until('an advert of fw-a', own, { withinMs: 5000 });
  wire.stop();
  assert.ok(isMaster('fw-a')(watch.latest));
  await play(lab, 'client', 'eth0', [withTimers(whole(value), 255, 255)]);
  await until('fw-b to fall for it', () => pair['fw-b'].log().includes('peer bowed out'), { withinMs: 2000 });
  assert.is(logged(pair['fw-b'], 'carp.refused').filter((event) => event.counter === 'unproven').length, 0);
});

open.run();
