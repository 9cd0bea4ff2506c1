import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../../../src/cli/app.ts';
import type { Io } from '../../../src/cli/command.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { ImportReport } from '../../../src/import/result.ts';

const command = suite('carpio import');
const dir = mkdtempSync(join(tmpdir(), 'carpio-import-'));
command.after(() => rmSync(dir, { recursive: true, force: true }));

const sample = (name: string) => fileURLToPath(new URL(`samples/${name}`, import.meta.url));

async function cli(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const io: Io = {
    out: async (text) => {
      said.out += text;
    },
    err: (line) => {
      said.err += `${line}\n`;
    },
    colour: false,
    now: () => 0,
    native: {
      runNode: () => Promise.reject(new Error('not here')),
      kernelProbe: () => Promise.reject(new Error('not here')),
    },
  };
  return { code: await runCli(argv, io), ...said };
}

command('writes files that load, the one with the passwords for its owner only', async () => {
  const output = join(dir, 'new', 'deep');
  const { code, out, err } = await cli(
    'import',
    'pfsense',
    sample('pfsense-pair.xml'),
    '--output',
    output,
    '--name',
    'fw-z',
  );
  assert.is(code, 0, err);
  assert.match(out, /\n\d+ translated, \d+ approximated, \d+ not needed, \d+ left out\nwritten: /);
  assert.not.match(out, 'wan-pass-1');
  assert.is(statSync(join(output, 'carpio.toml')).mode & 0o777, 0o600);
  const loaded = loadConfig(join(output, 'carpio.toml'));
  assert.ok(loaded.ok);
  if (loaded.ok)
    assert.equal([loaded.config.node.name, loaded.config.firewall?.rules], ['fw-z', join(output, 'rules.nft')]);
});

command(
  'keepalived.conf and conntrackd.conf of one box become one configuration, with one account of both',
  async () => {
    const output = join(dir, 'both');
    const pair = ['keepalived', sample('keepalived-pair.conf'), '--conntrackd', sample('conntrackd-ftfw.conf')];
    const { code, out, err } = await cli(
      'import',
      ...pair,
      '--output',
      output,
      '--json',
      '--devices',
      'wan=eth0,lan=eth1',
    );
    assert.is(code, 0, err);
    const loaded = loadConfig(join(output, 'carpio.toml'));
    assert.ok(loaded.ok, loaded.ok ? '' : JSON.stringify(loaded.errors));
    if (!loaded.ok) return;
    const { config } = loaded;
    assert.ok(config.vip.length >= 2);
    assert.equal([config.sync?.interface, config.sync?.peer, config.interfaces.sync], ['sync', '10.99.0.2', 'eth2']);
    const text = readFileSync(join(output, 'carpio.toml'), 'utf8');
    assert.match(text, /from .*keepalived-pair\.conf and .*conntrackd-ftfw\.conf: \d+ translated/);
    assert.not.match(text, /knows nothing of virtual addresses|is not in keepalived\.conf/);
    const both = JSON.parse(out) as ImportReport;
    const alone = async (...argv: string[]) => {
      const { out: report } = await cli('import', ...argv, '--output', join(dir, argv[0]!), '--json');
      return (JSON.parse(report) as ImportReport).counts;
    };
    const [one, two] = [await alone(pair[0]!, pair[1]!), await alone('conntrackd', pair[3]!)];
    for (const outcome of ['translated', 'approximated', 'not_needed', 'left_out'] as const) {
      assert.is(both.counts[outcome], one[outcome] + two[outcome], outcome);
    }
    const files = new Set(both.entries.map((entry) => entry.file ?? both.file));
    assert.equal([...files].sort(), [pair[3]!, pair[1]!].sort());
  },
);

command('a broken second file is named; --conntrackd goes with keepalived only', async () => {
  const broken = join(dir, 'broken.conf');
  writeFileSync(broken, 'Sync {\n');
  const { code, err } = await cli('import', 'keepalived', sample('keepalived-pair.conf'), '--conntrackd', broken);
  assert.is(code, 1);
  assert.match(err, /broken\.conf:\d+: /);
  assert.is((await cli('import', 'pfsense', sample('pfsense-pair.xml'), '--conntrackd', broken)).code, 2);
});

command('never overwrites, and then writes nothing at all', async () => {
  const output = join(dir, 'taken');
  mkdirSync(output);
  writeFileSync(join(output, 'rules.nft'), 'mine');
  const { code, err } = await cli('import', 'pfsense', sample('pfsense-pair.xml'), '--output', output);
  assert.is(code, 1);
  assert.match(err, /rules\.nft exists, and is never overwritten/);
  assert.is(readFileSync(join(output, 'rules.nft'), 'utf8'), 'mine');
  assert.not.ok(statSync(join(output, 'carpio.toml'), { throwIfNoEntry: false }));
});

command('without --output: the files without passwords on one side, the report on the other', async () => {
  const { code, out, err } = await cli(
    'import',
    'keepalived',
    sample('keepalived-pair.conf'),
    '--devices',
    'wan=eth0,lan=eth1',
  );
  assert.is(code, 0);
  assert.match(out, /\[interfaces\]\nwan = "eth0"/);
  assert.not.match(out + err, 'n0rth');
  assert.match(err, /left out/);
});

command('--strict answers no when something was left out; --json gives the report', async () => {
  const clean = join(dir, 'clean.conf');
  writeFileSync(clean, 'Sync { Mode FTFW { }\n UDP { Interface eth2\n }\n}\nGeneral {\n PollSecs 5\n}\n');
  const strict = await cli('import', 'conntrackd', clean, '--strict');
  assert.is(strict.code, 1);
  assert.match(strict.err, /--strict: .* 1 left out/);
  writeFileSync(clean, 'Sync { Mode FTFW { }\n UDP { Interface eth2\n IPv4_Destination_Address 10.0.0.2\n }\n}\n');
  assert.is((await cli('import', 'conntrackd', clean, '--strict')).code, 0);
  const json = await cli(
    'import',
    'conntrackd',
    sample('conntrackd-ftfw.conf'),
    '--json',
    '--output',
    join(dir, 'json'),
  );
  const report = JSON.parse(json.out) as ImportReport & { files: string[] };
  assert.is(report.counts.left_out, 0);
  assert.equal(report.files, [join(dir, 'json', 'carpio.toml')]);
});

command('used wrongly: one line and exit 2; files that are none: one line and exit 1', async () => {
  const expect = async (code: number, message: RegExp, ...argv: string[]) => {
    const result = await cli('import', ...argv);
    assert.is(result.code, code, argv.join(' '));
    assert.match(result.err, message);
    assert.is(result.err.trim().split('\n').length, 1);
    assert.is(result.out, '');
  };
  await expect(2, /pfsense\|keepalived\|conntrackd is missing/);
  await expect(2, /found "opnsens", allowed pfsense/, 'opnsens', 'x');
  await expect(2, /FILE is missing/, 'pfsense');
  await expect(2, /--json needs --output/, 'pfsense', 'x', '--json');
  await expect(2, /--name: found "a b"/, 'pfsense', 'x', '--name', 'a b');
  for (const devices of [
    'wan',
    'ip=eth0',
    'wan=eth0,wan=eth1',
    'wan=eth0,lan=eth0',
    'wan=a/b',
    'wan=eth0=x',
    'w-n=eth0',
  ]) {
    await expect(2, /--devices: /, 'pfsense', 'x', '--devices', devices);
  }
  await expect(1, /cannot read \/nonexistent\/x: no such file/, 'pfsense', '/nonexistent/x');
  await expect(1, /not a regular file/, 'pfsense', dir);
  await expect(1, /keepalived-pair\.conf:\d+: /, 'pfsense', sample('keepalived-pair.conf'));
});

command('a file that is not UTF-8 is read as Latin-1', async () => {
  const file = join(dir, 'latin1.conf');
  writeFileSync(file, Buffer.from('# B\xfcro\nglobal_defs { router_id fw-l }\n', 'latin1'));
  const { code, out } = await cli('import', 'keepalived', file);
  assert.is(code, 0);
  assert.match(out, 'name = "fw-l"');
});

command.run();
