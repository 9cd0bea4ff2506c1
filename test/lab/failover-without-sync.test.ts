/**
 * The negative control of every "200 of 200": the same pair without [sync]. The addresses move as well as ever, and
 * every connection is lost. If this file fails because connections live, the other lab tests prove nothing.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import type { ConnectionsReport, ProbeReport } from '../../scripts/lab/traffic.ts';
import { isMaster } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

/** TCP sends again after 0.2, 0.6, 1.4, 3, 6.2, 12.6 s: whatever can live has lived again by then. */
const LONG_ENOUGH_MS = 14_000;

const control = suite('without state sync');
let stage: Stage;
prepare(control, async () => {
  stage = await setUpStage({ config: { sync: false } });
});
leaveWhenDone(control);
const promise = onStage(control, () => stage);

promise('all connections work and the status says that there is no sync', async ({ traffic, watch }) => {
  assert.is((await traffic.connections.ask<ConnectionsReport>('report')).alive, 200);
  assert.is(watch.latest['fw-a']?.sync, null);
});

promise('power-off: the addresses move, no connection works again', async ({ pair, traffic, watch }) => {
  await traffic.mark();
  await pair['fw-a'].powerOff();
  await traffic.arm();
  await watch.until('fw-b to become master', isMaster('fw-b'), 15_000);
  await pause(LONG_ENOUGH_MS);
  const connections = await traffic.connections.ask<ConnectionsReport>('report');
  const probe = await traffic.probe.ask<ProbeReport>('report');
  assert.ok(probe.answering, 'a flow that founds its own state goes through fw-b');
  assert.equal(watch.violations, []);
  assert.is(connections.worked_after_ms, null);
  assert.is(connections.silent + connections.count - connections.alive, 200, 'silent or dead, every one of them');
});

control.run();
