/** Another program flushes nftables under a running pair: the rules come back within a second, and it is said. */
import { appendFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { isBackup, isMaster } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const flushed = suite('nftables flushed');
let stage: Stage;
prepare(flushed, async () => {
  stage = await setUpStage({ connections: 1 });
});
leaveWhenDone(flushed);
const promise = onStage(flushed, () => stage);

/** Names of tables and chains, and the rules, without counters. */
async function ruleset({ lab }: Stage): Promise<string> {
  return (await lab.exec('fw-a', ['nft', '-s', '-t', 'list', 'ruleset'])).stdout;
}
/** The kernel numbers the order of tables: only what they hold is compared. */
const sorted = (text: string): string => text.split('\n').sort().join('\n');

promise('flush ruleset: put back as it was, and said', async (on) => {
  const { lab, pair, watch } = on;
  const before = await ruleset(on);
  assert.match(before, /table inet carpio /);
  assert.match(before, /table netdev carpio_gate /);
  assert.match(before, /snat ip to/);
  const logged = pair['fw-a'].log().length;
  // An edit that nobody has reloaded is not in force, and need not even be right.
  appendFileSync(pair['fw-a'].paths.rules, 'table inet filter {\n');
  await lab.exec('fw-a', ['nft', 'flush', 'ruleset']);
  await until('the rules to be back', async () => sorted(await ruleset(on)) === sorted(before), { withinMs: 10_000 });
  const log = (): string => pair['fw-a'].log().slice(logged);
  await until('the words', () => /put back after \d+ ms/.test(log()), { withinMs: 5000 });
  assert.match(log(), /another program has removed/);
  await watch.until(
    'the trouble',
    (s) => s['fw-a']?.trouble?.some(({ what }) => what === 'rules_removed') ?? false,
    5000,
  );
  assert.ok(isMaster('fw-a')(watch.latest) && isBackup('fw-b')(watch.latest));
  assert.equal(watch.violations, []);
});

promise("a distribution's file with a table of the same name does not stay in its place", async (on) => {
  const before = await ruleset(on);
  // nft wants each closing brace on a line of its own.
  const input = `flush ruleset
table inet filter {
  chain input {
    type filter hook input priority 0; policy accept;
  }
}
`;
  await on.lab.exec('fw-a', ['nft', '-f', '-'], { input });
  await until('the rules to be back', async () => sorted(await ruleset(on)) === sorted(before), { withinMs: 10_000 });
});

promise('kernel settings that another program changes are set again, and it is said', async ({ lab, pair }) => {
  const names = ['net/ipv4/conf/eth1/arp_ignore', 'net/ipv4/ip_forward', 'net/ipv4/conf/carp2-lan/arp_announce'];
  const read = async (): Promise<string> =>
    (await lab.exec('fw-a', ['cat', ...names.map((name) => `/proc/sys/${name}`)])).stdout;
  const before = await read();
  const logged = pair['fw-a'].log().length;
  await lab.exec('fw-a', ['sh', '-c', names.map((name) => `echo 0 >/proc/sys/${name}`).join('; ')]);
  await until('the settings to be back', async () => (await read()) === before, { withinMs: 10_000 });
  await until('the words', () => pair['fw-a'].log().slice(logged).split('another program has set').length > 3, {
    withinMs: 5000,
  });
});

flushed.run();
