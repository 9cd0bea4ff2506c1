/**
 * A segment that eats multicast makes no second master while the sync link tells that the peer leads, and it is said.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { portName, SWITCH } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { isBackup, isMaster } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const eaten = suite('multicast that is eaten');
let stage: Stage;
prepare(eaten, async () => {
  stage = await setUpStage({ connections: 20 });
});
leaveWhenDone(eaten);
const promise = onStage(eaten, () => stage);

/** What the switch's port to fw-b does not let out: the groups of CARP, of both families. */
const EAT = `table bridge eat { chain f { type filter hook forward priority 0;
  oifname "${portName('fw-b', 'wan')}" ether daddr { 01:00:5e:00:00:12, 33:33:00:00:00:12 } drop; }; }`;

const eat = ({ lab }: Stage): Promise<unknown> => lab.exec(SWITCH, ['nft', '-f', '-'], { input: EAT });
const mend = ({ lab }: Stage): Promise<unknown> => lab.exec(SWITCH, ['nft', 'delete', 'table', 'bridge', 'eat']);
const told = ({ pair }: Stage, kind: string) => logged(pair['fw-b'], kind);

promise('the backup stays backup, and says on which network; the other network has nothing to say', async (on) => {
  await eat(on);
  await until('fw-b to miss the adverts', () => told(on, 'carp.multicast_lost').length > 0, { withinMs: 15_000 });
  // More than another master-down time.
  await pause(5000);
  assert.ok(isMaster('fw-a')(on.watch.latest) && isBackup('fw-b')(on.watch.latest));
  const said = told(on, 'carp.multicast_lost');
  assert.equal(
    said.map((one) => one.interface),
    ['wan'],
  );
  assert.match(String(said[0]?.reason), /^no advert for \d+ ms on wan, but the peer says over the sync link/);
  await mend(on);
  await until('fw-b to hear them again', () => told(on, 'carp.multicast_back').length > 0, { withinMs: 10_000 });
});

promise('the master dies while they are eaten: the backup takes over all the same', async (on) => {
  await eat(on);
  await until('fw-b to miss them again', () => told(on, 'carp.multicast_lost').length > 1, { withinMs: 15_000 });
  await on.pair['fw-a'].powerOff();
  await on.watch.until('fw-b to be master', isMaster('fw-b'), 8000);
  assert.equal(on.watch.violations, []);
});

eaten.run();
