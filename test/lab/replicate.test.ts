/** One shared configuration for two real nodes: pushed, proven, kept or undone; and what is changed by hand is seen. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until, which } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import type { FirewallName } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import type { ReplicateStatus } from '../../src/contract/status.ts';
import type { PushResult } from '../../src/replicate/source.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const CONFIRM_S = 3;
const WITHIN = { withinMs: 30_000 };
const BIN = '/run/lab/bin';
/** While this file is there, nft on that node waits behind its work: after a load, or after a listing. */
const holdFile = (node: FirewallName, what: 'load' | 'list'): string => `/run/lab/hold-${what}-${node}`;

/** Whatever is held up goes on. */
function release(): void {
  for (const node of ['fw-a', 'fw-b'] as const) {
    for (const what of ['load', 'list'] as const) rmSync(holdFile(node, what), { force: true });
  }
}

/** An nft that can be held up, in front of the real one. */
function wrapNft(): void {
  mkdirSync(BIN, { recursive: true });
  writeFileSync(
    `${BIN}/nft`,
    `#!/bin/sh
case "$*" in *-c*|*-t*) what=check;; *list*ruleset*) what=list;; *-f*) what=load;; *) what=other;; esac
${which('nft')} "$@"
code=$?
if ls /run/lab/hold-* >/dev/null 2>&1; then
  node=$(ip netns identify $$)
  while [ -e "/run/lab/hold-$what-$node" ]; do sleep 0.05; done
fi
exit $code
`,
  );
  chmodSync(`${BIN}/nft`, 0o755);
  process.env.PATH = `${BIN}:${process.env.PATH}`;
}

const replicate = suite('replicate');
let stage: Stage;
const original = { config: '', rules: '' };
prepare(replicate, async () => {
  wrapNft();
  stage = await setUpStage({
    connections: 20,
    probeMs: 5,
    config: { extra: `\n[replicate]\nfrom = "fw-a"\nauto = false\nconfirm_s = ${CONFIRM_S}\n` },
  });
  original.config = readFileSync(stage.pair['fw-a'].paths.config, 'utf8');
  original.rules = readFileSync(stage.pair['fw-a'].paths.rules, 'utf8');
});
leaveWhenDone(replicate);
replicate.after.each(async () => {
  release();
  if (stage.lab.isCut('fw-a', 'sync')) await stage.lab.heal('fw-a', 'sync');
});
const promise = onStage(replicate, () => stage);

const statusOf = async ({ pair }: Stage, node: FirewallName): Promise<ReplicateStatus | null> =>
  (await pair[node].status())?.replicate ?? null;

function seen(on: Stage, node: FirewallName, what: string, look: (s: ReplicateStatus) => boolean): Promise<unknown> {
  const holds = async (): Promise<ReplicateStatus | null> => {
    const status = await statusOf(on, node);
    return status !== null && look(status) ? status : null;
  };
  return until(`${what} on ${node}`, holds, WITHIN);
}

async function reload({ pair }: Stage, node: FirewallName, config: string, rules: string): Promise<void> {
  const before = logged(pair[node], 'node.reload').length;
  writeFileSync(pair[node].paths.config, config);
  writeFileSync(pair[node].paths.rules, rules);
  process.kill(pair[node].pid!, 'SIGHUP');
  await until('the reload', () => logged(pair[node], 'node.reload').length > before, WITHIN);
}

async function push({ pair }: Stage): Promise<PushResult> {
  const answer = await pair['fw-a'].ask<PushResult>('replicate.push', {}, 60_000);
  if (!answer.ok) throw new Error(answer.error);
  return answer.result;
}

const RULE = 'iifname $lan oifname $wan tcp dport 8443 counter accept comment "from fw-a"';
const THIRD = '\n[[vip]]\nvhid = 3\ninterface = "lan"\naddresses = ["10.77.1.7/24"]\npassword = "third"\nadvskew = 0\n';
const withRule = (rule = RULE): string =>
  original.rules.replace('iifname $lan oifname $wan ct state new accept', `$&\n    ${rule}`);

const rulesIn = async ({ lab }: Stage, node: FirewallName): Promise<string> =>
  (await lab.exec(node, ['nft', '-s', 'list', 'table', 'inet', 'filter'])).stdout;

const rolledBack = ({ pair }: Stage): number => logged(pair['fw-b'], 'replicate.rolled_back').length;

/** Runs `act` and holds that no role of vhids 1 and 2 has changed. */
async function noRoleChanges(on: Stage, act: () => Promise<void>): Promise<void> {
  const { pair, watch } = on;
  const since = Date.now();
  await act();
  const roles = [...logged(pair['fw-a'], 'carp.state'), ...logged(pair['fw-b'], 'carp.state')];
  assert.equal(
    roles.filter((one) => one.vhid !== 3 && one.from !== 'INIT' && Date.parse(String(one.time)) > since),
    [],
  );
  assert.equal(watch.violations, []);
}

/** The same, and no probe through the firewall is lost. */
async function unnoticed(on: Stage, act: () => Promise<void>): Promise<void> {
  await on.traffic.mark();
  await noRoleChanges(on, act);
  const { lost } = await on.traffic.probe.ask<{ lost: number }>('report');
  assert.is(lost, 0);
}

/** The whole of the shared configuration is back to the beginning, on both nodes. */
async function reset(on: Stage): Promise<void> {
  if (on.lab.isCut('fw-a', 'sync')) await on.lab.heal('fw-a', 'sync');
  await reload(on, 'fw-a', original.config, original.rules);
  await seen(on, 'fw-a', 'the peer', (status) => status.same !== null && !status.pending);
  const result = await push(on);
  assert.ok(result.done, result.reason);
}

promise('files that say the same but for what is own are the same from the start', async (on) => {
  await seen(on, 'fw-a', 'the same', (status) => status.same === true);
  await seen(on, 'fw-b', 'the same', (status) => status.same === true);
  const [a, b] = [await statusOf(on, 'fw-a'), await statusOf(on, 'fw-b')];
  assert.equal([a?.role, b?.role, a?.hash === b?.hash], ['source', 'replica', true]);
  assert.ok(!existsSync(`${on.pair['fw-b'].paths.disk}/state/replicated.json`));
});

promise('a push brings rules and a virtual IP over, proven by the kernel; nothing else notices', async (on) => {
  const { lab, pair } = on;
  await noRoleChanges(on, async () => {
    await reload(on, 'fw-a', original.config + THIRD, withRule());
    await seen(on, 'fw-a', 'the difference', (status) => status.same === false && status.differs.length > 0);
    const differs = (await statusOf(on, 'fw-a'))?.differs.join('\n') ?? '';
    assert.match(differs, /vip\[lan\/3\]\.addresses: new, \["10\.77\.1\.7\/24"\]/);
    assert.match(differs, /\+\d+ .*from fw-a/);
    const result = await push(on);
    assert.ok(result.done, result.reason);
    process.stdout.write(`pushed in ${result.ms} ms\n`);
    assert.match(await rulesIn(on, 'fw-b'), 'from fw-a');
    await seen(on, 'fw-b', 'the same', (status) => status.same === true);
    const third = (await pair['fw-b'].status())?.carp.vips.find((one) => one.vhid === 3);
    assert.equal([third?.state, third?.advskew, third?.addresses], ['BACKUP', 100, ['10.77.1.7/24']]);
    await until('a master of vhid 3', async () => (await lab.holders('10.77.1.7')).length > 0, WITHIN);
    assert.equal(await lab.holders('10.77.1.7'), ['fw-a']);
    const everything = [await pair['fw-b'].status(), pair['fw-a'].log(), pair['fw-b'].log(), differs];
    assert.not.match(JSON.stringify(everything), /third|dGhpcmQ/, 'the pass phrase, nor its base64');
  });
  await reset(on);
  assert.not.match(await rulesIn(on, 'fw-b'), 'from fw-a');
});

promise('rules that the peer cannot load are refused before anything is touched there', async (on) => {
  const before = [await rulesIn(on, 'fw-b'), logged(on.pair['fw-b'], 'node.reload').length];
  const config = original.config.replace('[interfaces]\n', '[interfaces]\ndmz = "eth0"\n');
  await reload(on, 'fw-a', config, withRule('iifname $dmz accept'));
  const result = await push(on);
  assert.not.ok(result.done);
  assert.match(result.reason, /fw-b refuses: the kernel does not take the rules: rules of fw-a:\d+:\d+: .*dmz/);
  assert.equal([await rulesIn(on, 'fw-b'), logged(on.pair['fw-b'], 'node.reload').length], before);
  await reset(on);
});

promise('only the source pushes; the other one says why not', async (on) => {
  const answer = await on.pair['fw-b'].ask('replicate.push');
  assert.not.ok(answer.ok);
  if (!answer.ok) assert.match(answer.error, 'fw-b is not the source: [replicate] from = "fw-a"');
});

promise('rules that cut the sync link are undone by the peer itself', async (on) => {
  const [before, undone] = [await rulesIn(on, 'fw-b'), rolledBack(on)];
  await noRoleChanges(on, async () => {
    // Only packets to the port: fw-b is dialled, so it loses the channel, and fw-a does not.
    const chain = 'type filter hook prerouting priority -400\niifname $sync tcp dport 8240 drop';
    const cut = `table inet cut {\nchain early {\n${chain}\n}\n}\n`;
    await reload(on, 'fw-a', original.config, original.rules + cut);
    const result = await push(on);
    assert.not.ok(result.done, result.reason);
    process.stdout.write(`said: ${result.reason}\n`);
    await until('the way back', () => rolledBack(on) === undone + 1, WITHIN);
  });
  assert.is(await rulesIn(on, 'fw-b'), before);
  assert.not.match((await on.lab.exec('fw-b', ['nft', 'list', 'tables'])).stdout, 'cut');
  await reset(on);
});

promise('the cable is cut between apply and confirmation: the peer goes back', async (on) => {
  const [before, undone] = [await rulesIn(on, 'fw-b'), rolledBack(on)];
  await noRoleChanges(on, async () => {
    await reload(on, 'fw-a', original.config, withRule());
    writeFileSync(holdFile('fw-b', 'list'), '');
    const pushed = push(on);
    await until('the rules to stand', async () => (await rulesIn(on, 'fw-b')).includes('from fw-a'), WITHIN);
    await on.lab.cut('fw-a', 'sync');
    rmSync(holdFile('fw-b', 'list'));
    const result = await pushed;
    assert.not.ok(result.done, result.reason);
    await until('the way back', () => rolledBack(on) === undone + 1, WITHIN);
    assert.is(await rulesIn(on, 'fw-b'), before);
  });
  await reset(on);
});

promise('the peer dies in the middle of applying: it starts with what it had', async (on) => {
  const { pair } = on;
  const [before, undone] = [await rulesIn(on, 'fw-b'), rolledBack(on)];
  await noRoleChanges(on, async () => {
    await reload(on, 'fw-a', original.config, withRule());
    writeFileSync(holdFile('fw-b', 'load'), '');
    const pushed = push(on);
    await until('the rules to stand', async () => (await rulesIn(on, 'fw-b')).includes('from fw-a'), WITHIN);
    assert.ok(existsSync(`${pair['fw-b'].paths.disk}/state/replicated.next.json`));
    await pair['fw-b'].kill();
    rmSync(holdFile('fw-b', 'load'));
    const result = await pushed;
    assert.not.ok(result.done, result.reason);
    await pair['fw-b'].start(30_000);
    assert.is(await rulesIn(on, 'fw-b'), before);
    assert.is(rolledBack(on), undone + 1);
  });
  await reset(on);
});

promise('what is changed by hand is seen on both nodes within seconds, and a push mends it', async (on) => {
  const { lab, pair } = on;
  await unnoticed(on, async () => {
    const events = logged(pair['fw-b'], 'replicate.drift').length;
    await lab.exec('fw-b', ['nft', 'add', 'rule', 'inet', 'filter', 'forward', 'tcp', 'dport', '99', 'drop']);
    const begun = performance.now();
    const named = (lines: string[]): boolean => lines.some((line) => line.includes('tcp dport 99 drop'));
    await seen(on, 'fw-b', 'the drift', (status) => named(status.drift));
    await seen(on, 'fw-a', 'the drift', (status) => named(status.peer_drift));
    process.stdout.write(`seen on both after ${Math.round(performance.now() - begun)} ms\n`);
    const event = logged(pair['fw-b'], 'replicate.drift')[events];
    assert.equal([event?.over, event?.where], [false, 'here']);
    const result = await push(on);
    assert.ok(result.done, result.reason);
    await seen(on, 'fw-a', 'the end of it', (status) => status.peer_drift.length === 0 && status.same === true);
    assert.not.match(await rulesIn(on, 'fw-b'), 'tcp dport 99');
    await lab.exec('fw-a', ['ip', 'addr', 'add', '10.77.1.99/24', 'dev', 'carp2-lan']);
    const line = 'addresses: +carp2-lan 10.77.1.99/24';
    await seen(on, 'fw-a', 'the address', (status) => status.drift.includes(line));
    await seen(on, 'fw-b', 'the address', (status) => status.peer_drift.includes(line));
    await lab.exec('fw-a', ['ip', 'addr', 'del', '10.77.1.99/24', 'dev', 'carp2-lan']);
    await seen(on, 'fw-b', 'the end of it', (status) => status.peer_drift.length === 0);
  });
});

promise('5,000 rules are pushed while connections run', async (on) => {
  const many = Array.from({ length: 5000 }, (_, i) => `tcp dport ${10_000 + i} counter drop comment "rule ${i}"`);
  await noRoleChanges(on, async () => {
    await reload(on, 'fw-a', original.config, withRule(many.join('\n    ')));
    const result = await push(on);
    assert.ok(result.done, result.reason);
    process.stdout.write(`5,000 rules pushed in ${result.ms} ms\n`);
    assert.match(await rulesIn(on, 'fw-b'), 'rule 4999');
  });
  await reset(on);
});

promise('a push into a failover: afterwards both hold the same, and one is master', async (on) => {
  const { pair, watch } = on;
  await reload(on, 'fw-a', original.config.replace('auto = false', 'auto = true'), withRule());
  await pair['fw-a'].ask('demote', { weight: 200, reason: 'test' });
  await watch.until('fw-b to lead', (s) => s['fw-b']?.role === 'master' && s['fw-a']?.role === 'backup', 30_000);
  // Rules first: what fw-b knows of its source is up to 2 s old.
  await until('the rule', async () => (await rulesIn(on, 'fw-b')).includes('from fw-a'), WITHIN);
  await seen(on, 'fw-b', 'the same', (status) => status.same === true && !status.pending);
  await pair['fw-a'].ask('undemote', { reason: 'test' });
  await watch.until('fw-a to lead', (s) => s['fw-a']?.role === 'master' && s['fw-b']?.role === 'backup', 30_000);
  assert.equal(watch.violations, []);
  await reset(on);
});

promise('with auto, a reload of the source is enough', async (on) => {
  await unnoticed(on, async () => {
    await reload(on, 'fw-a', original.config.replace('auto = false', 'auto = true'), withRule());
    await until('the rule', async () => (await rulesIn(on, 'fw-b')).includes('from fw-a'), WITHIN);
    await seen(on, 'fw-b', 'the same', (status) => status.same === true && !status.pending);
  });
});

replicate.run();
