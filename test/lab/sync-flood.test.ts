/**
 * A flood of connections that nobody answers (50,000 a second) is not synced and costs nothing: the kernel's filter
 * keeps its events away from the dataplane, and the pair stays in step with what matters.
 */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, PORTS, SERVER_IP } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { STORM_PORTS } from '../../scripts/lab/traffic/storm.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../../scripts/lab/traffic/storm.ts', import.meta.url));
const FLOWS = 100_000;

const flood = suite('flood of unanswered flows');
let stage: Stage;
prepare(flood, async () => {
  stage = await setUpStage({ connections: 50 });
  const ports = `${STORM_PORTS.low}-${STORM_PORTS.high}`;
  const drop = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${ports} drop; }; }`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', drop]);
});
leaveWhenDone(flood);
const promise = onStage(flood, () => stage);

promise(
  '100,000 unanswered flows: none synced, no event lost, in step throughout',
  async ({ lab, pair, traffic, watch }) => {
    const client = bare(PORTS.client[0]?.addresses[0] ?? '');
    const storm = [process.execPath, STORM, client, SERVER_IP, '50000', String(FLOWS), '0'];
    const { stdout } = await lab.exec('client', storm, { timeoutMs: 60_000 });
    assert.is((JSON.parse(stdout) as { sent: number }).sent, FLOWS);
    const tracked = await lab.exec('fw-a', ['cat', '/proc/sys/net/netfilter/nf_conntrack_count']);
    assert.ok(Number(tracked.stdout) > FLOWS / 2, `the kernel did track them: ${tracked.stdout}`);
    const [a, b] = [await pair['fw-a'].status(), await pair['fw-b'].status()];
    assert.ok((a?.sync?.states.total ?? FLOWS) < 500, `${a?.sync?.states.total} states in the table`);
    assert.ok((b?.sync?.states.total ?? FLOWS) < 500, `${b?.sync?.states.total} states at the peer`);
    assert.is(a?.sync?.overruns, 0);
    assert.is(a?.sync?.in_step, true);
    await traffic.arm();
    assert.is((await traffic.worked()).alive, 50);
    assert.equal(watch.violations, []);
  },
);

flood.run();
