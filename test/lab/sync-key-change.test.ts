/** The pair's key is changed on one box after the other: connections live, and both are in step again each time. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import type { FirewallName } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const NEW_KEY = '/run/lab/new.key';

const change = suite('change of the pair key');
let stage: Stage;
prepare(change, async () => {
  stage = await setUpStage({ connections: 20 });
  writeFileSync(NEW_KEY, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
});
leaveWhenDone(change);
const promise = onStage(change, () => stage);

async function restart(on: Stage, node: FirewallName, keys: (old: string) => string): Promise<void> {
  const firewall = on.pair[node];
  await firewall.stop();
  const { config } = firewall.paths;
  writeFileSync(
    config,
    readFileSync(config, 'utf8').replace(/^key_file = (".*")$/m, (_all, old: string) => keys(old)),
  );
  await firewall.start();
  await on.watch.until('both to be in step', inStep, 20_000);
}

promise('first the backup takes both, then the master the new one; no connection notices', async (on) => {
  await restart(on, 'fw-b', (old) => `key_file = "${NEW_KEY}"\nkey_file_old = ${old}`);
  assert.is((await on.traffic.worked()).alive, 20);
  await restart(on, 'fw-a', () => `key_file = "${NEW_KEY}"`);
  assert.is((await on.traffic.worked()).alive, 20);
  const status = await on.pair['fw-a'].status();
  assert.is(status?.sync?.sealed, true);
  assert.ok((status?.sync?.states.total ?? 0) >= 20);
  assert.equal(on.watch.violations, []);
});

change.run();
