/** The commands against a node that is only its control socket: words, exit codes, what the node was asked. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { COMMANDS } from '../../../src/cli/registry.ts';
import { type ControlHandler, startControl } from '../../../src/node/control/server.ts';
import { answer, asJson, cleanUp, cli, dir, lastRun, STATUS, withNode } from './fake-node.ts';

const commands = suite('cli: commands');
commands.after(cleanUp);

commands('every command has help with its usage, and answers 0', async () => {
  for (const name of Object.keys(COMMANDS)) {
    const byOption = await cli(name, '--help');
    const byHelp = await cli('help', name);
    assert.is(byOption.code, 0);
    assert.match(byOption.out, new RegExp(`^usage: carpio ${name}\\b`));
    assert.is(byOption.out, byHelp.out);
    assert.match(byOption.out, /--help/);
    for (const line of byOption.out.split('\n')) assert.ok(line.length <= 132, `${name}: ${line}`);
  }
  for (const word of ['help', '--help', '-h']) {
    const { code, out } = await cli(word);
    assert.is(code, 0);
    for (const name of Object.keys(COMMANDS)) assert.match(out, new RegExp(`^ {2}${name} `, 'm'));
  }
});

commands('used wrongly: exit 2 and a hint', async () => {
  const wrong = async (...argv: string[]) => {
    const { code, out, err } = await cli(...argv);
    assert.is(code, 2, argv.join(' '));
    assert.is(out, '');
    return err.trim();
  };
  assert.is(await wrong(), 'carpio: which command? see carpio --help');
  assert.is(await wrong('stauts'), 'carpio: unknown command "stauts"; did you mean status?');
  assert.is(await wrong('xyzzyx'), 'carpio: unknown command "xyzzyx"; see carpio --help');
  assert.is(await wrong('help', 'stats'), 'carpio: unknown command "stats"; did you mean status?');
  assert.is(await wrong('toString'), 'carpio: unknown command "toString"; see carpio --help');
  assert.is(await wrong('--json'), 'carpio: the command comes first, as in carpio status "--json"');
  assert.is(await wrong('status', 'now'), 'carpio status: "now" is one argument too many (carpio help status)');
  assert.match(await wrong('demote', '5'), /--reason TEXT is missing/);
  assert.match(await wrong('demote', '0', '--reason', 'x'), /WEIGHT: found "0", allowed 1\.\.254/);
  assert.match(await wrong('demote', '1e2', '--reason', 'x'), /WEIGHT: found "1e2"/);
  assert.match(await wrong('demote', '5', '--reason', 'a\nb'), /1 to 64 printable/);
  assert.match(await wrong('maintenance', 'maybe'), /found "maybe", allowed on or off/);
  assert.match(await wrong('states', '--filter', 'dprt=1'), /did you mean dport/);
  assert.match(await wrong('run', '--log-format', 'xml'), /allowed text, json/);
  assert.match(await wrong('sysctl', 'net.inet.carp.log=9', '--socket', '/nonexistent'), /found "9", allowed 0\.\.2/);
});

commands('no node: exit 1 and where it was looked for', async () => {
  const { code, err } = await cli('status', '--socket', join(dir, 'absent.sock'));
  assert.is(code, 1);
  assert.match(
    err,
    /^carpio status: no carpio is running here \(.*absent\.sock: no such file\); start it with `carpio run`/,
  );
});

commands('the socket is taken from the configuration, even from one with mistakes', async () => {
  const path = join(dir, 'from-config.sock');
  const config = join(dir, 'some.toml');
  writeFileSync(config, `unknown = 1\n[node]\ncontrol = "${path}"\n`);
  const server = await startControl(path, { status: answer(STATUS) });
  assert.is((await cli('status', '--config', config)).code, 0);
  await server.close();
  const absent = await cli('status', '--config', join(dir, 'absent.toml'));
  assert.is(absent.code, 1);
  assert.match(absent.err, /cannot read .*absent\.toml: no such file/);
  writeFileSync(config, '[node');
  assert.match((await cli('status', '--config', config)).err, /not TOML; try: carpio check --config/);
});

commands('verify: 0 in step, 1 not, 2 could not tell', async () => {
  const verify = (in_step: boolean | null, reason: string | null) =>
    answer({ in_step, reason, states: { own: 3, mirrored: 4 }, digest: 'abc', corrections: null });
  const yes = await withNode({ verify: verify(true, null) }, 'verify');
  assert.is(yes.code, 0);
  assert.is(yes.out, 'in step, 3 own and 4 mirrored states, digest abc\n');
  assert.equal(yes.asked, [{ verify: { deep: false } }]);
  const no = await withNode({ verify: verify(false, 'the digests differ') }, 'verify', '--deep');
  assert.is(no.code, 1);
  assert.is(no.out, 'NOT in step: the digests differ, 3 own and 4 mirrored states\n');
  assert.equal(no.asked, [{ verify: { deep: true } }]);
  assert.is((await withNode({ verify: verify(null, 'no peer') }, 'verify')).code, 2);
  const failed: ControlHandler = async () => {
    throw new Error('no sync');
  };
  const error = await withNode({ verify: failed }, 'verify');
  assert.is(error.code, 2);
  assert.match(error.err, /could not tell: no sync/);
  const absent = await cli('verify', '--socket', join(dir, 'absent.sock'));
  assert.is(absent.code, 2);
});

commands('resync waits for a comparison that is younger than the request', async () => {
  let asked = 0;
  const status: ControlHandler = async () => {
    asked++;
    const step = asked > 2;
    return asJson({ ...STATUS, sync: { ...STATUS.sync, in_step: step, checked_ms_ago: 0, repairs: step ? 2 : 0 } });
  };
  const { code, out } = await withNode({ status, resync: answer({}) }, 'resync');
  assert.is(code, 0);
  assert.match(out, /^in step, 1200 states, 2 repairs with 0 bytes/);
  const none = await withNode({ status: answer({ ...STATUS, sync: null }), resync: answer({}) }, 'resync');
  assert.is(none.code, 1);
  assert.match(none.err, /no \[sync\] section/);
});

commands('demote and undemote', async () => {
  const demotion = answer({
    total: 340,
    reasons: [
      { reason: 'disk swap', weight: 100 },
      { reason: 'link wan', weight: 240 },
    ],
  });
  const done = await withNode({ demote: demotion }, 'demote', '100', '--reason', 'disk swap');
  assert.is(done.code, 0);
  assert.is(done.out, 'demotion 340 (disk swap 100, link wan 240)\n');
  assert.equal(done.asked, [{ demote: { weight: 100, reason: 'disk swap' } }]);
  const negative = await withNode({ demote: demotion }, 'demote', '-10', '--reason', 'x');
  assert.equal(negative.asked, [{ demote: { weight: -10, reason: 'x' } }]);
  const refused: ControlHandler = async () => {
    throw new Error('no demotion of that name');
  };
  const no = await withNode({ undemote: refused }, 'undemote', 'nothing');
  assert.is(no.code, 1);
  assert.is(no.err, 'carpio undemote: no demotion of that name\n');
});

commands('maintenance returns when the peer is master, or says why not', async () => {
  const yes = await withNode({ maintenance: answer({ done: true, reason: 'fw-b is master' }) }, 'maintenance', 'on');
  assert.is(yes.code, 0);
  assert.is(yes.out, 'maintenance on: fw-b is master\n');
  assert.equal(yes.asked, [{ maintenance: { on: true } }]);
  const no = await withNode(
    { maintenance: answer({ done: false, reason: 'no peer was heard' }) },
    'maintenance',
    'off',
  );
  assert.is(no.code, 1);
  assert.is(no.err, 'carpio maintenance off: no peer was heard\n');
  assert.equal(no.asked, [{ maintenance: { on: false } }]);
});

commands('sysctl speaks as the BSDs do', async () => {
  const values: Record<string, number> = {
    'net.inet.carp.allow': 1,
    'net.inet.carp.preempt': 1,
    'net.inet.carp.log': 1,
    'net.inet.carp.suppress_preempt': 0,
    'net.inet.carp.demotion': 240,
    'net.inet.carp.arpbalance': 0,
  };
  const sysctl: ControlHandler = async ({ name, value }) => {
    const old = values[String(name)]!;
    return value === undefined ? { value: old } : { value: Number(value), old };
  };
  const all = Object.entries(values).map(([name, value]) => `${name}: ${value}\n`);
  assert.is((await withNode({ sysctl }, 'sysctl')).out, all.join(''));
  assert.is((await withNode({ sysctl }, 'sysctl', 'net.inet.carp')).out, all.join(''));
  assert.is((await withNode({ sysctl }, 'sysctl', 'net.inet.carp.demotion')).out, 'net.inet.carp.demotion: 240\n');
  assert.equal(JSON.parse((await withNode({ sysctl }, 'sysctl', '--json')).out), values);
  const set = await withNode({ sysctl }, 'sysctl', 'net.inet.carp.preempt=0');
  assert.is(set.out, 'net.inet.carp.preempt: 1 -> 0\n');
  assert.equal(set.asked, [{ sysctl: { name: 'net.inet.carp.preempt', value: '0' } }]);
  for (const [argument, message] of [
    ['net.inet.carp.nothing', "sysctl: unknown oid 'net.inet.carp.nothing'"],
    ['net.inet.carp.nothing=1', "sysctl: unknown oid 'net.inet.carp.nothing'"],
    ['net.inet.ca', "sysctl: unknown oid 'net.inet.ca'"],
    ['net.inet.carp.suppress_preempt=1', "sysctl: oid 'net.inet.carp.suppress_preempt' is read only"],
    ['net.inet.carp=1', "sysctl: oid 'net.inet.carp' isn't a leaf node"],
  ] as const) {
    const { code, err, asked } = await withNode({ sysctl }, 'sysctl', argument);
    assert.is(code, 1, argument);
    assert.is(err, `${message}\n`);
    assert.equal(asked, []);
  }
});

commands("ifconfig in BSD's words", async () => {
  const first = STATUS.carp.vips[0]!;
  const second = { ...first, vhid: 2, addresses: ['203.0.113.9/32'], state: 'BACKUP' as const, advskew: 100 };
  const status = { ...STATUS, carp: { ...STATUS.carp, vips: [first, second] } };
  const { out } = await withNode({ status: answer(status) }, 'ifconfig');
  assert.is(
    out,
    `eth0:
\tdescription: wan
\tinet 203.0.113.1 netmask 0xffffff00 broadcast 203.0.113.255 vhid 1
\tinet6 2001:db8::1 prefixlen 64 vhid 1
\tinet 203.0.113.9 netmask 0xffffffff vhid 2
\tcarp: MASTER vhid 1 advbase 1 advskew 0
\tcarp: BACKUP vhid 2 advbase 1 advskew 100
`,
  );
});

commands('version', async () => {
  assert.match((await cli('version')).out, /^carpio 0\.1\.0\ncommit -\nnode v2[0-9.]+ linux-/);
  assert.is((await cli('--version')).out, (await cli('version')).out);
  const facts = JSON.parse((await cli('version', '--json')).out);
  assert.equal(Object.keys(facts), ['version', 'commit', 'date', 'node', 'platform', 'wasm']);
  assert.is(facts.commit, null);
});

commands('run hands over to the node', async () => {
  assert.is((await cli('run')).code, 0);
  assert.equal(lastRun(), { configPath: '/etc/carpio/carpio.toml', logFormat: 'text', recordPath: null });
  await cli('run', '--config', '/x', '--log-format', 'json', '--record', '/r');
  assert.equal(lastRun(), { configPath: '/x', logFormat: 'json', recordPath: '/r' });
});

commands('a node of another kind is no crash', async () => {
  for (const name of ['status', 'verify', 'ifconfig']) {
    const { code, err } = await withNode({ status: answer([1]), verify: answer('x') }, name);
    assert.is(code, 1);
    assert.match(err, /answered with something else than an object/);
  }
});

commands.run();
