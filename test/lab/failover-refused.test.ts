/** A bad configuration is refused with file, line and key, before anything in the kernel is touched. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { BINARY, Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { footprint } from './lib/kernel.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const refused = suite('bad configuration');
const lab = new Lab();
let good = '';
let firewall: Firewall;
prepare(refused, async () => {
  await lab.up();
  firewall = new Firewall(lab, 'fw-a');
  good = readFileSync(firewall.paths.config, 'utf8');
});
leaveWhenDone(refused);

const BAD = '/run/lab/bad.toml';

/** [what is wrong, text in the good file, what it becomes, what the message must name] */
const CASES: [string, string, string, RegExp][] = [
  ['an unknown key', 'preempt = true', 'preemt = true', /preemt/],
  ['a wrong type', 'log = 1', 'log = "much"', /log/],
  ['a value out of range', 'vhid = 1\n', 'vhid = 256\n', /vhid.*256|256.*vhid/],
  ['a timer that means "gone" on the wire', 'advskew = 0\n', 'advskew = 255\n', /advskew.*255/],
  ['a role without a device', 'wan = "eth0"\n', '', /wan/],
  ['a device that is not there', 'wan = "eth0"', 'wan = "eth9"', /eth9/],
  ['not TOML at all', '[carp]', '[carp', /bad\.toml:\d+/],
  ['rules that nft does not accept', 'rules.nft"', 'broken.nft"', /broken\.nft/],
  ['a key file that is not there', 'pair.key', 'no.key', /no\.key/],
];

for (const [what, from, to, named] of CASES) {
  refused(`${what}: exit 1, the place named, nothing touched`, async () => {
    assert.ok(good.includes(from), 'the case fits the file');
    writeFileSync(BAD, good.replace(from, to), { mode: 0o600 });
    writeFileSync('/run/lab/fw-a/broken.nft', 'table inet filter { chain }\n');
    const before = await footprint(lab, 'fw-a');
    const result = await lab.exec('fw-a', [BINARY, 'run', '--config', BAD], { check: false, timeoutMs: 15_000 });
    assert.is(result.code, 1, `exit ${result.code}: ${result.stderr}`);
    assert.match(result.stderr, named);
    assert.not.match(result.stderr, /\n\s+at /, 'no stack trace');
    assert.is(await footprint(lab, 'fw-a'), before, 'devices, addresses, rules and settings are as before');
  });
}

refused('a good configuration does start (so the refusals above mean something)', async () => {
  const status = await firewall.start();
  assert.is(status.node, 'fw-a');
});

refused('a second node on the same socket: refused, and the running one keeps all that it has set', async () => {
  const before = await footprint(lab, 'fw-a');
  const kept = readdirSync('/run/lab/fw-a').sort();
  const argv = [BINARY, 'run', '--config', firewall.paths.config];
  const result = await lab.exec('fw-a', argv, { check: false, timeoutMs: 15_000 });
  assert.is(result.code, 1, result.stderr);
  assert.match(result.stderr, /cannot start: .*control\.sock/);
  assert.is(await footprint(lab, 'fw-a'), before, 'devices, addresses, rules and settings are as before');
  assert.equal(readdirSync('/run/lab/fw-a').sort(), kept, 'what it remembers for its own stop is there');
});

refused('SIGHUP with a bad file: refused, the running configuration stays', async () => {
  await until('fw-a to be master', async () => (await firewall.status())?.role === 'master', { withinMs: 15_000 });
  const before = await footprint(lab, 'fw-a');
  const since = (await firewall.status())?.carp.vips.map((vip) => vip.since);
  const logged = firewall.log().length;
  writeFileSync(firewall.paths.config, good.replace('preempt = true', 'preemt = true'));
  process.kill(firewall.pid!, 'SIGHUP');
  await until('the refusal in the log', () => firewall.log().slice(logged).includes('preemt'), {
    withinMs: 5000,
  });
  writeFileSync(firewall.paths.config, good);
  const status = await firewall.status();
  assert.is(status?.role, 'master');
  assert.equal(
    status?.carp.vips.map((vip) => vip.since),
    since,
  );
  assert.is(await footprint(lab, 'fw-a'), before);
  assert.equal(firewall.deaths, []);
});

refused('a rules file that breaks later: SIGHUP refuses it, the old rules stay', async () => {
  const rules = readFileSync(firewall.paths.rules, 'utf8');
  const before = await footprint(lab, 'fw-a');
  const logged = firewall.log().length;
  writeFileSync(firewall.paths.rules, `${rules}\ntable inet broken { chain }\n`);
  process.kill(firewall.pid!, 'SIGHUP');
  await until('the refusal in the log', () => /nft/.test(firewall.log().slice(logged)), { withinMs: 5000 });
  writeFileSync(firewall.paths.rules, rules);
  assert.is(await footprint(lab, 'fw-a'), before);
  assert.is((await firewall.status())?.role, 'master');
});

refused.run();
