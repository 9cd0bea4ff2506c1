import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../../src/cli/app.ts';
import type { Io, RunOptions } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/registry.ts';
import type { StateView } from '../../src/cli/state-view.ts';
import { type ControlHandler, startControl } from '../../src/daemon/control.ts';
import type { Json, NodeStatus } from '../../src/status.ts';

const commands = suite('cli: commands');
const dir = mkdtempSync(join(tmpdir(), 'carpio-cli-'));
commands.after(() => rmSync(dir, { recursive: true, force: true }));

const NOW = Date.parse('2026-01-01T02:13:00.000Z');

const STATUS: NodeStatus = {
  node: 'fw-a',
  version: '0.1.0',
  time: '2026-01-01T02:13:00.000Z',
  uptime_s: 274_000,
  role: 'master',
  carp: {
    preempt: true,
    maintenance: false,
    demotion: { total: 0, reasons: [] },
    vips: [
      {
        vhid: 1,
        interface: 'wan',
        device: 'eth0',
        addresses: ['203.0.113.1/24', '2001:db8::1/64'],
        state: 'MASTER',
        since: '2026-01-01T00:00:00.000Z',
        reason: 'no advert for 3390 ms',
        advbase: 1,
        advskew: 0,
        effective_advskew: 0,
        mac: '00:00:5e:00:01:01',
        takeover_ms: 3000,
        heard: { from: '203.0.113.3', advbase: 1, advskew: 100, ms_ago: 312 },
      },
    ],
    counters: {},
  },
  sync: {
    dialect: 'carpio',
    sealed: true,
    peer: { node: 'fw-b', address: '10.99.0.2', alive: true, heard_ms_ago: 40, role: 'backup' },
    states: { total: 1200, own: 1200, mirrored: 0, kernel: 1200 },
    in_step: true,
    in_step_reason: null,
    checked_ms_ago: 0,
    digest: 'abcd',
    lag_ms: 1.2,
    sent: 10,
    received: 20,
    sent_bytes: 0,
    received_bytes: 0,
    repairs: 0,
    repair_bytes: 0,
    overruns: 0,
    refused: { badmac: 3, replay: 0 },
  },
};

const state = (dport: number, owner: StateView['owner']): StateView => ({
  proto: 'tcp',
  family: 4,
  orig: { src: '10.0.0.5', dst: '192.0.2.1', sport: 1024, dport },
  reply: { src: '192.0.2.1', dst: '10.0.0.5', sport: dport, dport: 1024 },
  nat: null,
  state: 'ESTABLISHED',
  status: ['SEEN_REPLY', 'ASSURED'],
  mark: 0,
  zone: 0,
  owner,
  kernel: true,
  timeout: 100,
});

const asJson = (value: unknown) => value as Json;

interface Result {
  code: number;
  out: string;
  err: string;
}

let ran: RunOptions | null = null;

async function cli(...argv: string[]): Promise<Result> {
  const result: Result = { code: -1, out: '', err: '' };
  const probe = async () => ({ ok: true, found: 'tried', mend: null });
  const io: Io = {
    out: async (text) => {
      result.out += text;
    },
    err: (line) => {
      assert.not.match(line, /\n/, 'an error is one line');
      result.err += `${line}\n`;
    },
    colour: false,
    now: () => NOW,
    native: {
      runNode: async (options) => {
        ran = options;
        return 0;
      },
      kernelProbe: async () => ({
        conntrackNetlink: probe,
        nft: probe,
        macvlan: probe,
        syncPath: async () => ({ largest: null, rtt_ms: null, failed: null }),
        rawSocket: probe,
      }),
    },
  };
  result.code = await runCli(argv, io);
  return result;
}

let count = 0;

/** Runs `argv` against a node with these handlers; also gives what the node was asked. */
async function withNode(
  handlers: Record<string, ControlHandler>,
  ...argv: string[]
): Promise<Result & { asked: Json[] }> {
  const path = join(dir, `n${count++}.sock`);
  const asked: Json[] = [];
  const listening = Object.entries(handlers).map(([name, handler]): [string, ControlHandler] => [
    name,
    (args, stream) => {
      asked.push({ [name]: args });
      return handler(args, stream);
    },
  ]);
  const server = await startControl(path, Object.fromEntries(listening));
  try {
    return { ...(await cli(...argv, '--socket', path)), asked };
  } finally {
    await server.close();
  }
}

const answer =
  (value: unknown): ControlHandler =>
  async () =>
    asJson(value);

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

commands('status for people', async () => {
  const { code, out } = await withNode({ status: answer(STATUS) }, 'status');
  assert.is(code, 0);
  assert.is(
    out,
    `fw-a  master  carpio 0.1.0, up 3 d 4 h

VHID  INTERFACE   STATE   SINCE       ADDRESSES                      BASE/SKEW  TAKES OVER  HEARD
   1  wan (eth0)  MASTER  2 h 13 min  203.0.113.1/24 2001:db8::1/64  1/0        3.000 s     203.0.113.3 1/100, 312 ms ago
      no advert for 3390 ms

peer      fw-b at 10.99.0.2: backup, heard 40 ms ago
in step   yes, checked 0 ms ago
states    1,200: 1,200 own, 0 mirrored, 1,200 in the kernel
sync      carpio, sealed, lag 1.2 ms; 10 datagrams sent, 20 received; 0 repairs (0 bytes), 0 overruns
refused   badmac 3
demotion  0
`,
  );
});

commands('status says what is not well, and never sends the terminal control characters', async () => {
  const bad: NodeStatus = {
    ...STATUS,
    role: 'backup',
    carp: {
      ...STATUS.carp,
      preempt: false,
      maintenance: true,
      demotion: { total: 240, reasons: [{ reason: 'sync', weight: 240 }] },
      vips: [
        { ...STATUS.carp.vips[0]!, state: 'BACKUP', effective_advskew: 240, reason: 'evil \u001b[2J', heard: null },
      ],
    },
    sync: {
      ...STATUS.sync!,
      sealed: false,
      in_step: false,
      in_step_reason: 'the digests differ',
      key_reason: 'the peer uses another key: \u001b[2J',
      peer: { node: null, address: null, alive: false, heard_ms_ago: null, role: null },
    },
  };
  const { out } = await withNode({ status: answer(bad) }, 'status');
  assert.match(out, /BACKUP .* 1\/0, now 240 .* -$/m);
  assert.match(out, /in step +NO: the digests differ/);
  assert.match(out, /OPEN: no key/);
  assert.match(out, /pair key +the peer uses another key/);
  assert.match(out, /not there, never heard/);
  assert.match(out, /demotion +240 \(sync 240\)/);
  assert.match(out, /maintenance +on/);
  assert.match(out, /preempt +off/);
  assert.not.ok(out.includes('\u001b'));
  const alone = await withNode({ status: answer({ ...STATUS, sync: null }) }, 'status');
  assert.match(alone.out, /sync +not configured/);
});

commands('status --json is the status', async () => {
  const { out } = await withNode({ status: answer(STATUS) }, 'status', '--json');
  assert.equal(JSON.parse(out), STATUS);
});

commands('states: lines, JSON, filter, count', async () => {
  const table = [state(443, 'own'), state(80, 'mirrored'), state(22, 'own')];
  // A node that ignores the filter: the command must not.
  const states: ControlHandler = async (_args, stream) => {
    await stream(asJson(table.slice(0, 2)) as Json[]);
    await stream(asJson(table.slice(2)) as Json[]);
    return { count: table.length };
  };
  const all = await withNode({ states }, 'states');
  assert.is(all.out.split('\n').length, 4);
  assert.match(all.out, /^tcp {6}100 ESTABLISHED src=10\.0\.0\.5 .* owner=own kernel=yes$/m);
  const filtered = await withNode({ states }, 'states', '--json', '--filter', 'owner=own dport=22,80');
  assert.equal(JSON.parse(filtered.out), [table[2]]);
  assert.equal(filtered.asked, [{ states: { filter: 'owner=own dport=22,80', count: false } }]);
  assert.equal(JSON.parse((await withNode({ states }, 'states', '--json')).out), table);
  assert.is((await withNode({ states }, 'states', '--json', '--filter', 'zone=9')).out, '[]\n');
  assert.is((await withNode({ states }, 'states', '--count', '--filter', 'owner=own')).out, '2\n');
  // A node that counts by itself sends no states at all.
  const counted = await withNode({ states: answer({ count: 7 }) }, 'states', '--count', '--json');
  assert.is(counted.out, '{"count":7}\n');
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
  assert.equal(ran, { configPath: '/etc/carpio/carpio.toml', logFormat: 'text', recordPath: null });
  await cli('run', '--config', '/x', '--log-format', 'json', '--record', '/r');
  assert.equal(ran, { configPath: '/x', logFormat: 'json', recordPath: '/r' });
});

commands('a node of another kind is no crash', async () => {
  for (const name of ['status', 'verify', 'ifconfig']) {
    const { code, err } = await withNode({ status: answer([1]), verify: answer('x') }, name);
    assert.is(code, 1);
    assert.match(err, /answered with something else than an object/);
  }
});

commands.run();
