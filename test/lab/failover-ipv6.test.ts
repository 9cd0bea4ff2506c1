/** The same job over IPv6, routed and not translated: the virtual addresses are the routers of both sides. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { SERVER_IP6, VIPS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isMaster } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const ipv6 = suite('failover over IPv6');
let stage: Stage;
prepare(ipv6, async () => {
  stage = await setUpStage({ host: SERVER_IP6, connections: 50 });
});
leaveWhenDone(ipv6);
const promise = onStage(ipv6, () => stage);

promise('power-off and return: 50 of 50 live', async ({ lab, pair, traffic, watch }) => {
  await traffic.mark();
  await pair['fw-a'].powerOff();
  await traffic.arm();
  await watch.until('fw-b to become master', isMaster('fw-b'), 15_000);
  assert.equal(await lab.holders(VIPS.lan.addresses[1]), ['fw-b']);
  let connections = await traffic.worked();
  assert.is(connections.alive, 50);
  assert.ok(connections.worked_after_ms !== null, `${connections.silent} connections are silent`);
  await traffic.mark();
  await pair['fw-a'].powerOn();
  await traffic.arm();
  const back = (sample: Parameters<typeof inStep>[0]): boolean =>
    isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample);
  await watch.until('fw-a to be master again, in step', back, 45_000);
  connections = await traffic.worked();
  assert.is(connections.alive, 50);
  assert.equal(watch.violations, []);
});

ipv6.run();
