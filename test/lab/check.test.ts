/** `carpio check` on real kernels: a sound pair, then one fault after the other. */
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { BINARY } from '../../scripts/lab/firewall.ts';
import { DEVICES, type NodeName, portName, SWITCH } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import type { Finding } from '../../src/cli/check/finding.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const checking = suite('check');
let stage: Stage;
prepare(checking, async () => {
  // --fix writes there, and this machine's own are none of the lab's business.
  for (const directory of ['/etc/sysctl.d', '/etc/modules-load.d']) {
    mkdirSync(directory, { recursive: true });
    await command(['mount', '-t', 'tmpfs', 'tmpfs', directory]);
  }
  stage = await setUpStage({ connections: 20 });
});
leaveWhenDone(checking);
const promise = onStage(checking, () => stage);

interface Answer {
  ok: boolean;
  verdict: string;
  fixed: { done: boolean; text: string }[];
  findings: Finding[];
}

async function check(node: NodeName, config: string, ...more: string[]): Promise<Answer> {
  const argv = [BINARY, 'check', '--json', '--config', config, ...more];
  const { stdout, stderr } = await stage.lab.exec(node, argv, { check: false, timeoutMs: 60_000 });
  try {
    return JSON.parse(stdout) as Answer;
  } catch {
    throw new Error(`${stdout}\n${stderr}`);
  }
}

const checkA = (): Promise<Answer> => check('fw-a', stage.pair['fw-a'].paths.config);
const lines = ({ findings }: Answer): string[] =>
  findings.map(({ level, topic, found }) => `${level} ${topic}: ${found}`);
const trouble = (answer: Answer): string[] => lines(answer).filter((line) => !line.startsWith('ok '));

promise('a running pair: every question between the two has an answer, and all are good', async () => {
  const answer = await checkA();
  const all = lines(answer).join('\n');
  for (const wanted of [
    /^ok running node: fw-a, carpio \S+, master$/m,
    /^ok peer: fw-b answers, carpio/m,
    /^ok clocks: fw-b is \d+ ms (ahead|behind)/m,
    /^ok sync link: heard in both directions$/m,
    /^ok sync mtu: packets of 1500 bytes pass from fw-a to fw-b$/m,
    /^ok sync mtu: packets of 1500 bytes pass from fw-b to fw-a$/m,
    /^ok shared configuration: the same on both \(vip, track, rules, policy\)$/m,
    /^ok passwords: the same on both, 2 vhids$/m,
    /^ok multicast on wan: fw-b hears fw-a$/m,
    /^ok multicast on lan: fw-b hears fw-a$/m,
    /^ok multicast on wan: fw-a hears fw-b$/m,
    /^ok multicast on lan: fw-a hears fw-b$/m,
  ]) {
    assert.match(all, wanted);
  }
  assert.equal(trouble(answer), []);
  assert.is(answer.verdict, 'CARP and state sync are possible here: 0 errors, 0 warnings');
  assert.not.match(JSON.stringify(answer), /lab pass phrase/);
  assert.equal(stage.watch.violations, []);
});

promise('a narrow sync link: the error names the size that passes, in both directions', async ({ lab }) => {
  await lab.exec('fw-b', ['ip', 'link', 'set', DEVICES.sync, 'mtu', '1400']);
  const found = trouble(await checkA());
  await lab.exec('fw-b', ['ip', 'link', 'set', DEVICES.sync, 'mtu', '1500']);
  for (const way of ['fw-a to fw-b', 'fw-b to fw-a']) {
    const line = found.find((text) => text.includes(`do not pass from ${way}`));
    assert.match(line ?? found.join('\n'), /^error sync mtu: packets of \[sync\] mtu = 1500 bytes .*; 1400 do$/);
  }
});

promise('a switch that eats multicast on one network', async ({ lab }) => {
  const flood = (to: string) =>
    lab.exec(SWITCH, ['ip', 'link', 'set', portName('fw-b', 'lan'), 'type', 'bridge_slave', 'mcast_flood', to]);
  await flood('off');
  const found = trouble(await checkA());
  await flood('on');
  assert.equal(
    found.filter((line) => line.includes('multicast')),
    ['error multicast on lan: fw-b does not hear fw-a: should the sync link fail too, both become master'],
  );
});

promise('another password, and other rules, on the peer', async ({ pair }) => {
  const { paths, pid } = pair['fw-b'];
  const [config, rules] = [readFileSync(paths.config, 'utf8'), readFileSync(paths.rules, 'utf8')];
  const reload = async (): Promise<void> => {
    const before = pair['fw-b'].log().split('node.reload').length;
    process.kill(pid!, 'SIGHUP');
    await until('the reload', () => pair['fw-b'].log().split('node.reload').length > before, { withinMs: 10_000 });
  };
  writeFileSync(paths.config, config.replace(/(vhid = 2[\s\S]*?password = )"[^"]*"/, '$1"another one"'));
  writeFileSync(paths.rules, `${rules}# another line\n`);
  await reload();
  const found = trouble(await checkA());
  writeFileSync(paths.config, config);
  writeFileSync(paths.rules, rules);
  await reload();
  assert.ok(found.includes('error vhid 2 on lan: has another password on fw-b'), found.join('\n'));
  assert.ok(found.includes('warning shared configuration: the rules file differ from those of fw-b'), found.join('\n'));
  assert.not.ok(found.some((line) => line.includes('vhid 1')));
});

promise('without a running node: the sync link is tried, also when it is cut', async ({ lab, pair }) => {
  await pair['fw-a'].stop();
  const alone = await checkA();
  assert.match(lines(alone).join('\n'), /^ok sync link: packets of 1500 bytes pass to 10\.77\.3\.3 and back/m);
  await lab.exec(SWITCH, ['ip', 'link', 'set', portName('fw-b', 'sync'), 'mtu', '1300']);
  await lab.exec('fw-b', ['ip', 'link', 'set', DEVICES.sync, 'mtu', '1300']);
  assert.match(
    trouble(await checkA()).join('\n'),
    /^error sync link: packets of \[sync\] mtu = 1500 bytes do not pass to 10\.77\.3\.3 and back; 1280 do$/m,
  );
  await lab.cut('fw-a', 'sync');
  assert.match(trouble(await checkA()).join('\n'), /^error sync \(eth2\): (has no link|is down)$/m);
});

promise('--fix: mends what is safe, says what it did, and the second look finds it mended', async ({ lab, pair }) => {
  const { config } = pair['fw-a'].paths;
  const name = 'net.netfilter.nf_conntrack_events';
  await lab.exec('fw-a', ['sysctl', '-qw', `${name}=0`, 'net.netfilter.nf_conntrack_tcp_be_liberal=0']);
  chmodSync(config, 0o644);
  const before = trouble(await checkA()).join('\n');
  assert.match(before, /^error conntrack events: .* = 0: the kernel says nothing/m);
  assert.match(before, /^warning tcp window/m);
  assert.match(before, /^warning the configuration, with a password in it: .*everybody on this machine can read it$/m);
  const { fixed, findings } = await check('fw-a', config, '--fix');
  assert.equal(
    fixed.filter(({ done }) => !done),
    [],
  );
  assert.ok(fixed.some(({ text }) => text === `${name} = 1`));
  assert.ok(fixed.some(({ text }) => text === `chmod 640 ${config}`));
  assert.is(statSync(config).mode & 0o777, 0o640);
  assert.match(readFileSync('/etc/sysctl.d/carpio-check.conf', 'utf8'), /^net\.netfilter\.nf_conntrack_events = 1$/m);
  const left = findings.filter(({ level }) => level !== 'ok').map(({ topic }) => topic);
  for (const topic of ['conntrack events', 'tcp window', 'the configuration, with a password in it']) {
    assert.not.ok(left.includes(topic), topic);
  }
});

checking.run();
