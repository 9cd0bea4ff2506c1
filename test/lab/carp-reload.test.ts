/** SIGHUP is a difference: what has not changed does not notice. */
import { readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { FIREWALLS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { stateOf } from '../../scripts/lab/watch.ts';
import { macvlans } from './lib/kernel.ts';
import { NOISE_MS } from './lib/noise.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { Sniffer } from './lib/sniff.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const reloading = suite('reload');
let stage: Stage;
let wire: Sniffer;
prepare(reloading, async () => {
  stage = await setUpStage({ probeMs: 2 });
  wire = await Sniffer.start(stage.lab, 'client', 'eth0');
});
reloading.after(() => wire.stop());
leaveWhenDone(reloading);
const promise = onStage(reloading, () => stage);

const THIRD = (skew: number, address: string): string => `
[[vip]]
vhid = 3
interface = "lan"
addresses = ["${address}"]
password = "another pass phrase"
advskew = ${skew}
`;

const original: Record<string, string> = {};

/** Changes both configuration files and tells both nodes; resolves when both have reloaded. */
async function reload({ pair }: Stage, change: (text: string, skew: number) => string): Promise<void> {
  for (const name of FIREWALLS) {
    const { paths, pid } = { paths: pair[name].paths, pid: pair[name].pid! };
    original[name] ??= readFileSync(paths.config, 'utf8');
    const before = logged(pair[name], 'node.reload').length;
    writeFileSync(paths.config, change(original[name] ?? '', name === 'fw-a' ? 0 : 100));
    process.kill(pid, 'SIGHUP');
    await until('the reload', () => logged(pair[name], 'node.reload').length > before, { withinMs: 5000 });
  }
}

/** Runs `act` and holds that vhids 1 and 2 have noticed nothing. */
async function unnoticed(on: Stage, act: () => Promise<void>): Promise<void> {
  const { lab, traffic, watch } = on;
  const look = (): unknown =>
    FIREWALLS.map((name) =>
      watch.latest[name]?.carp.vips.filter((vip) => vip.vhid !== 3).map((vip) => [vip.vhid, vip.state, vip.since]),
    );
  const index = async (): Promise<string> =>
    (await lab.exec('fw-a', ['cat', '/sys/class/net/carp2-lan/ifindex'])).stdout;
  const [before, device, since] = [look(), await index(), Date.now()];
  await traffic.mark();
  await act();
  await watch.until('two more adverts', () => wire.adverts(2, since).filter((a) => a.family === 4).length >= 2, 5000);
  const { lost, gap_ms } = await traffic.probe.ask<{ lost: number; gap_ms: number }>('report');
  assert.equal(look(), before, 'no role of another vhid has changed');
  assert.is(await index(), device, 'their devices are the same');
  assert.is(lost, 0, 'no probe was lost');
  const times = wire
    .adverts(2, since - 1500)
    .filter((advert) => advert.family === 4)
    .map((advert) => advert.at);
  const gaps = times.slice(1).map((at, i) => at - (times[i] ?? at));
  // One advert that is left out makes 2 s.
  assert.ok(Math.max(...gaps) < 1000 + NOISE_MS, `adverts of vhid 2 came ${gaps.map(Math.round)} ms apart`);
  process.stdout.write(
    `longest probe gap ${gap_ms.toFixed(0)} ms, adverts at most ${Math.max(...gaps).toFixed(0)} ms apart\n`,
  );
  assert.equal(watch.violations, []);
}

promise('adding a vhid', async (on) => {
  await unnoticed(on, async () => {
    await reload(on, (text, skew) => `${text}${THIRD(skew, '10.77.1.7/24')}`);
    await on.watch.until('the new vhid to have a master', (s) => stateOf(s['fw-a'], 3) === 'MASTER', 10_000);
  });
  assert.equal(await on.lab.holders('10.77.1.7'), ['fw-a']);
});

promise('changing its address, its timers and its pass phrase', async (on) => {
  await unnoticed(on, async () => {
    await reload(on, (text, skew) =>
      `${text}${THIRD(skew + 20, '10.77.1.8/24')}`.replace('another pass', 'one more pass'),
    );
    await on.watch.until('one master of the changed vhid', (s) => stateOf(s['fw-a'], 3) === 'MASTER', 10_000);
  });
  assert.equal(await on.lab.holders('10.77.1.8'), ['fw-a']);
  assert.equal(await on.lab.holders('10.77.1.7'), []);
  const third = on.watch.latest['fw-a']?.carp.vips.find((vip) => vip.vhid === 3);
  assert.is(third?.advskew, 20);
});

promise('removing it', async (on) => {
  await unnoticed(on, () => reload(on, (text) => text));
  assert.equal(await on.lab.holders('10.77.1.8'), []);
  assert.equal(await macvlans(on.lab, 'fw-a'), ['carp1-wan', 'carp2-lan']);
});

promise('other rules, twenty times, under load: nothing of it is lost, and what packets count goes on', async (on) => {
  const { paths, pid } = on.pair['fw-a'];
  const rules = readFileSync(paths.rules, 'utf8');
  const chain = 'chain forward {\n    type filter hook forward priority filter; policy drop;\n';
  assert.ok(rules.includes(chain));
  const counting = (line: string): string =>
    rules.replace(
      chain,
      `counter passed { }
  set clients { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
  ${chain}    counter name passed update @clients { ip saddr }
    ${line}
`,
    );
  const passed = async (): Promise<number> => {
    const { stdout } = await on.lab.exec('fw-a', ['nft', 'list', 'counter', 'inet', 'filter', 'passed']);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  };
  const syncOf = () => on.watch.latest['fw-a']!.sync!;
  const [repairs, refused] = [syncOf().repairs, JSON.stringify(syncOf().refused)];
  const alive = (await on.traffic.connections.ask<{ alive: number }>('report')).alive;
  await unnoticed(on, async () => {
    let before = 0;
    for (let i = 0; i < 20; i++) {
      const reloads = logged(on.pair['fw-a'], 'node.reload').length;
      writeFileSync(paths.rules, counting(`tcp dport ${i + 1} drop`));
      process.kill(pid!, 'SIGHUP');
      await until('the reload', () => logged(on.pair['fw-a'], 'node.reload').length > reloads, { withinMs: 5000 });
      const now = await passed();
      assert.ok(now > before, `reload ${i}: ${now} packets counted, ${before} before`);
      before = now;
    }
  });
  const { stdout } = await on.lab.exec('fw-a', ['nft', 'list', 'table', 'inet', 'filter']);
  assert.match(stdout, /tcp dport 20 drop/);
  assert.match(stdout, /elements = \{ [^}]*10\.77\.1\.10/, 'the client, seen before the last reload or after it');
  await on.watch.until('both in step', (s) => FIREWALLS.every((name) => s[name]?.sync?.in_step === true), 10_000);
  assert.is(syncOf().repairs, repairs, 'no state had to be repaired');
  assert.is(JSON.stringify(syncOf().refused), refused);
  assert.is((await on.traffic.connections.ask<{ alive: number }>('report')).alive, alive, 'every connection lives');
  writeFileSync(paths.rules, rules);
});

promise('a configuration that is not sound changes nothing', async (on) => {
  await unnoticed(on, async () => {
    const { paths, pid } = on.pair['fw-a'];
    writeFileSync(paths.config, `${original['fw-a']}\n[[vip]]\nvhid = 300\n`);
    process.kill(pid!, 'SIGHUP');
    await until('the refusal', () => on.pair['fw-a'].log().includes('reload refused'), { withinMs: 5000 });
    writeFileSync(paths.config, original['fw-a'] ?? '');
  });
});

reloading.run();
