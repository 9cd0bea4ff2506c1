import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig } from '../../../src/config/load.ts';
import { formatError } from '../../../src/config/problem.ts';
import { nftSays, noNft } from './samples/lib.ts';

const init = suite('carpio init');
const dir = mkdtempSync(join(tmpdir(), 'carpio-init-'));
init.after(() => rmSync(dir, { recursive: true, force: true }));

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const TWO = [
  '--name',
  'fw-a',
  '--wan',
  'eth0',
  '--lan',
  'eth1',
  '--wan-vip',
  '203.0.113.1/24',
  '--lan-vip',
  '192.168.1.1/24',
];
const THREE = [...TWO, '--sync', 'eth2', '--peer', '10.99.0.2'];

/** The real program, without a terminal. */
function carpio(...argv: string[]): { code: number | null; out: string; err: string } {
  const args = ['--disable-warning=ExperimentalWarning', MAIN, 'init', ...argv];
  const done = spawnSync(process.execPath, args, { encoding: 'utf8', input: '' });
  return { code: done.status, out: done.stdout, err: done.stderr };
}

function loaded(path: string) {
  const result = loadConfig(join(path, 'carpio.toml'));
  if (!result.ok) throw new Error(result.errors.map(formatError).join('\n'));
  return {
    config: result.config,
    warnings: result.warnings.map(formatError),
    rules: readFileSync(join(path, 'rules.nft'), 'utf8'),
  };
}

const nftTrouble = noNft();
if (nftTrouble) console.log(`skip: ${nftTrouble}`);

init(
  'three interfaces: files that load without a warning and pass nft; the second box takes the secrets of the first',
  () => {
    const a = join(dir, 'a');
    const made = carpio('--dir', a, '--new-key', ...THREE);
    assert.is(made.code, 0, made.err);
    const first = loaded(a);
    assert.equal(first.warnings, []);
    assert.equal(first.config.interfaces, { wan: 'eth0', lan: 'eth1', sync: 'eth2' });
    assert.equal(
      [first.config.sync?.interface, first.config.sync?.peer, first.config.sync?.key?.length],
      ['sync', '10.99.0.2', 32],
    );
    assert.is(first.config.vip[0]?.password.length, 19);
    if (!nftTrouble) assert.is(nftSays(first.rules, first.config.interfaces), null);
    assert.match(first.rules, 'oifname $wan ip saddr { 192.168.1.0/24 } snat ip to 203.0.113.1\n');
    for (const name of ['carpio.toml', 'carp.password', 'pair.key'])
      assert.is(statSync(join(a, name)).mode & 0o777, 0o600, name);
    const key = readFileSync(join(a, 'pair.key'), 'utf8');
    assert.match(key, /^[0-9a-f]{64}\n$/);
    for (const text of [made.out, made.err, readFileSync(join(a, 'carpio.toml'), 'utf8')])
      assert.not.match(text, key.trim());

    const b = join(dir, 'b');
    mkdirSync(b);
    for (const name of ['carp.password', 'pair.key'])
      writeFileSync(join(b, name), readFileSync(join(a, name)), { mode: 0o600 });
    const other = carpio('--dir', b, ...THREE, '--advskew', '100');
    assert.is(other.code, 0, other.err);
    const second = loaded(b);
    assert.ok(second.config.sync?.key?.equals(first.config.sync!.key!));
    assert.ok(second.config.vip[1]?.password.equals(first.config.vip[1]!.password));
    assert.is(second.config.vip[1]?.advskew, 100);
    assert.is(second.rules, first.rules);
  },
);

init('two interfaces, both families', () => {
  const path = join(dir, 'two');
  const made = carpio(
    '--dir',
    path,
    ...TWO.map((word) => (word === '192.168.1.1/24' ? '192.168.1.1/24,2001:db8:1::1/64' : word)),
  );
  assert.is(made.code, 0, made.err);
  const { config, rules } = loaded(path);
  assert.is(config.sync, null, 'without a key and a cable of its own sync stays off');
  assert.equal(config.vip[1]?.addresses, ['192.168.1.1/24', '2001:db8:1::1/64']);
  if (!nftTrouble) assert.is(nftSays(rules, config.interfaces), null);
  const sealed = join(dir, 'sealed');
  assert.is(carpio('--dir', sealed, '--new-key', ...TWO).code, 0);
  assert.is(loaded(sealed).config.sync?.interface, 'lan');
});

init('IPv6 alone has no NAT', () => {
  const path = join(dir, 'six');
  const six = [
    '--name',
    'x',
    '--wan',
    'eth0',
    '--lan',
    'eth1',
    '--wan-vip',
    '2001:db8::1/64',
    '--lan-vip',
    '2001:db8:1::1/64',
  ];
  assert.is(carpio('--dir', path, ...six).code, 0);
  const { config, rules } = loaded(path);
  assert.not.match(rules, 'snat');
  if (!nftTrouble) assert.is(nftSays(rules, config.interfaces), null);
});

init('never overwrites, whichever of the files is there, and then writes none', () => {
  for (const name of ['carpio.toml', 'rules.nft', 'pair.key']) {
    const path = join(dir, `taken-${name}`);
    mkdirSync(path);
    writeFileSync(join(path, name), 'mine');
    const { code, err } = carpio('--dir', path, '--new-key', ...THREE);
    assert.is(code, 1);
    assert.match(err, `${name} exists, and is never overwritten`);
    assert.is(readFileSync(join(path, name), 'utf8'), 'mine');
    assert.not.ok(existsSync(join(path, 'carp.password')));
  }
});

init('without a terminal: says which options are missing; wrong ones are named with what is allowed', () => {
  const path = join(dir, 'none');
  const none = carpio('--dir', path);
  assert.is(none.code, 2);
  assert.match(
    none.err,
    /no terminal to ask at; missing: --name fw-a --wan eth0 --lan eth1 --wan-vip 203\.0\.113\.1\/24 --lan-vip 192\.168\.1\.1\/24/,
  );
  const wrong: [string[], RegExp][] = [
    [['--wan-vip', '203.0.113.1'], /--wan-vip: found "203\.0\.113\.1", allowed addresses with prefix/],
    [['--wan-vip', '203.0.113.0/24'], /the network's own address/],
    [['--lan', 'eth0'], /--lan: found eth0 for wan and lan/],
    [['--sync', 'eth1'], /--sync: found eth1, which is wan or lan already/],
    [['--peer', '203.0.113.1'], /--peer: found 203\.0\.113\.1, a shared address/],
    [['--peer', '224.0.0.1'], /a multicast address/],
    [['--lan-vip', '203.0.113.1/24'], /found 203\.0\.113\.1\/24 twice/],
    [['--lan-vip', '2001:db8::1/64'], /NAT needs both/],
    [['--advskew', '250'], /allowed 0\.\.240/],
    [['--name', '-x'], /--name: found "-x"|needs a value/],
    [['--wan', 'a b'], /--wan: found "a b"/],
  ];
  for (const [change, message] of wrong) {
    const options = [...THREE];
    const at = options.indexOf(change[0]!);
    if (at >= 0) options.splice(at, 2);
    const { code, err } = carpio('--dir', path, ...options, ...change);
    assert.is(code, 2, change.join(' '));
    assert.match(err, message);
    assert.is(err.trim().split('\n').length, 1);
  }
  assert.not.ok(existsSync(path));
});

init.run();
