/**
 * Lost events: with a small event buffer and a storm of new flows the kernel drops events (ENOBUFS). That is counted,
 * the table is read again, and the pair ends in step, which a second look at both kernels confirms.
 */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, PORTS, SERVER_IP } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { STORM_PORTS } from '../../scripts/lab/traffic/storm.ts';
import { inStep } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../../scripts/lab/traffic/storm.ts', import.meta.url));
const FLOWS = 30_000;
const STORMS = 5;
/** Seconds; the flows shall outlive the test, however slow the machine is. */
const UDP_TIMEOUT = 600;

const overrun = suite('event overrun');
let stage: Stage;
prepare(overrun, async () => {
  stage = await setUpStage({ connections: 50, config: { syncWhen: 'all', eventBuffer: 65_536 } });
  const ports = `${STORM_PORTS.low}-${STORM_PORTS.high}`;
  const drop = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${ports} drop; }; }`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', drop]);
});
leaveWhenDone(overrun);
const promise = onStage(overrun, () => stage);

promise(
  'events are lost, counted, and made good; nobody loses a role or a connection',
  async ({ lab, pair, traffic, watch }) => {
    const client = bare(PORTS.client[0]?.addresses[0] ?? '');
    const longer = ['sh', '-c', `echo ${UDP_TIMEOUT} >/proc/sys/net/netfilter/nf_conntrack_udp_timeout`];
    for (const node of ['fw-a', 'fw-b'] as const) await lab.exec(node, longer);
    const storm = [process.execPath, STORM, client, SERVER_IP, '60000', String(FLOWS)];
    let lost = 0;
    // On a busy machine a storm may be too slow to fill the buffer.
    for (let i = 0; i < STORMS && lost === 0; i++) {
      await lab.exec('client', [...storm, String(i * FLOWS)], { timeoutMs: 60_000 });
      lost = (await pair['fw-a'].status())?.sync?.overruns ?? 0;
    }
    assert.ok(lost > 0, 'the buffer did overflow, or this test would prove nothing');
    await watch.until('the pair to be in step again', inStep, 60_000);
    const answer = await pair['fw-b'].ask<{ in_step: boolean; corrections: { here: number; peer: number } }>('verify', {
      deep: true,
    });
    assert.ok(answer.ok && answer.result.in_step, JSON.stringify(answer));
    const [own, mirrored] = [await pair['fw-a'].status(), await pair['fw-b'].status()];
    assert.ok((own?.sync?.states.own ?? 0) >= FLOWS, `${own?.sync?.states.own} own states`);
    assert.is(mirrored?.sync?.states.mirrored, own?.sync?.states.own);
    await traffic.arm();
    assert.is((await traffic.worked()).alive, 50);
    assert.equal(watch.violations, []);
  },
);

overrun.run();
