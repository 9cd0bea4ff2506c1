/** What planned moves of 10,000 connections cost on the sync cable (invariant 10), and that all of them move. */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, FIREWALLS, PORTS, SERVER_IP } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { STORM_PORTS } from '../../scripts/lab/traffic/storm.ts';
import { inStep, isBackup, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../../scripts/lab/traffic/storm.ts', import.meta.url));
const STATES = 10_000;
const MOVES = 2;
/** An update of one of them takes 21 bytes and its share of the headers; none travels more than four times. */
const BYTES_EACH = 4 * 25;
/** Heartbeats and comparisons of both nodes. */
const BYTES_EACH_S = 30_000;

const moves = suite('hand-over of 10,000 connections');
let stage: Stage;
prepare(moves, async () => {
  stage = await setUpStage({ connections: 50, config: { syncWhen: 'all' } });
  const ports = `${STORM_PORTS.low}-${STORM_PORTS.high}`;
  const drop = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${ports} drop; }; }`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', drop]);
  // Nothing ends while it is measured.
  for (const name of FIREWALLS)
    await stage.lab.exec(name, ['sh', '-c', 'echo 300 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout']);
  const client = bare(PORTS.client[0]?.addresses[0] ?? '');
  const line = [process.execPath, STORM, client, SERVER_IP, '10000', String(STATES), '0'];
  await stage.lab.exec('client', line, { timeoutMs: 30_000 });
});
leaveWhenDone(moves);
const promise = onStage(moves, () => stage);

const over = (sample: Sample): boolean => isMaster('fw-b')(sample) && isBackup('fw-a')(sample) && inStep(sample);
const back = (sample: Sample): boolean => isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample);

for (let move = 0; move < 2 * MOVES; move++) {
  const away = move % 2 === 0;
  promise(
    `move ${move + 1}: each state travels a few times at most, and all are there`,
    async ({ lab, pair, watch }) => {
      await watch.until('a pair in order', away ? back : over, 20_000);
      const [bytes, begun] = [await lab.syncBytes(), performance.now()];
      const answer = await pair['fw-a'].ask('maintenance', { on: away });
      assert.ok(answer.ok, JSON.stringify(answer));
      await watch.until('the move, in step', away ? over : back, 20_000);
      const status = await pair[away ? 'fw-b' : 'fw-a'].status();
      const seconds = (performance.now() - begun) / 1000;
      const cost = (await lab.syncBytes()) - bytes;
      const bound = Math.round(BYTES_EACH * STATES + BYTES_EACH_S * seconds);
      process.stdout.write(`move ${move + 1}: ${cost} bytes in ${seconds.toFixed(1)} s, bound ${bound}\n`);
      assert.ok((status?.sync?.states.own ?? 0) >= STATES, `${status?.sync?.states.own} own states`);
      assert.ok(cost <= bound, `${cost} bytes, ${bound} are the bound`);
      assert.equal(watch.violations, []);
    },
  );
}

moves.run();
