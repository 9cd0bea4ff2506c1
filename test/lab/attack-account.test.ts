/**
 * The service's account as the attacker, against root: what root writes and hands over in a directory that the account
 * can write (`pair`, `init`, `import`), and what root reads at the start of an image. The prize is a file of root's
 * that becomes the account's.
 */
import {
  chownSync,
  existsSync,
  globSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Box } from '../../src/box/apply.ts';
import { newKey, writeKey } from '../../src/channel/pairing/key-file.ts';
import { writeNew } from '../../src/cli/import.ts';

const ACCOUNT = { uid: 65_534, gid: 65_534 };
const ROUNDS = 150;

/** Only real root can give files away. */
function needed(): string | null {
  const probe = mkdtempSync(join(tmpdir(), 'carpio-attack-'));
  try {
    chownSync(probe, ACCOUNT.uid, ACCOUNT.gid);
    return null;
  } catch {
    return 'files cannot be given to another account here: root is needed';
  } finally {
    rmSync(probe, { recursive: true });
  }
}

const attack = suite('attack: the account against root');
const without = needed();
const tried = (name: string, body: (folder: string) => Promise<void> | void): void => {
  if (without !== null) {
    process.stdout.write(`skip: ${name}: ${without}\n`);
    attack.skip(name, () => {});
    return;
  }
  attack(name, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'carpio-attack-'));
    try {
      await body(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
};

/** Takes each new file's name away and puts a link to root's file there, as fast as a thread can. */
const THIEF = `
const { readdirSync, renameSync, symlinkSync } = require('node:fs');
const { workerData: { place, victim, turns } } = require('node:worker_threads');
const count = new Int32Array(turns);
const mine = new Set();
for (let n = 0; Atomics.load(count, 0) === 0; n++) {
  for (const name of readdirSync(place)) {
    if (mine.has(name)) continue;
    try {
      renameSync(place + '/' + name, place + '/stolen-' + n);
      mine.add('stolen-' + n);
      symlinkSync(victim, place + '/' + name);
      mine.add(name);
      Atomics.add(count, 1, 1);
    } catch {}
  }
}`;

tried('pair, init and import in a directory of the account: no file of root changes hands', async (folder) => {
  const [victim, place] = [join(folder, 'shadow'), join(folder, 'carpio')];
  writeFileSync(victim, 'of root', { mode: 0o600 });
  mkdirSync(place);
  chownSync(place, ACCOUNT.uid, ACCOUNT.gid);
  const turns = new SharedArrayBuffer(8);
  const count = new Int32Array(turns);
  const thief = new Worker(THIEF, { eval: true, workerData: { place, victim, turns } });
  const gone = new Promise((resolve) => thief.once('exit', resolve));
  await new Promise((resolve) => thief.once('online', resolve));
  for (let i = 0; i < ROUNDS; i++) {
    for (const write of [
      () => writeKey(join(place, 'pair.key'), newKey(), true),
      () => writeNew(join(place, `rules-${i}.nft`), '# rules', { readers: 'group', mode: 0o644 }),
      () => writeNew(join(place, `carp-${i}.password`), 'secret', { readers: 'account' }),
    ]) {
      try {
        write();
      } catch {
        // the thief was quicker: a file that is not written is no harm
      }
      const { uid, mode } = statSync(victim);
      assert.equal({ uid, mode: mode & 0o777 }, { uid: 0, mode: 0o600 }, `round ${i}`);
    }
  }
  assert.is(readFileSync(victim, 'utf8'), 'of root');
  Atomics.store(count, 0, 1);
  await gone;
  assert.ok((count[1] ?? 0) > 10, `the thief was too slow to be a test: ${count[1]} names`);
});

tried('what root writes for the account can be read by it, and by nobody else', (folder) => {
  chownSync(folder, 0, ACCOUNT.gid);
  writeKey(join(folder, 'pair.key'), newKey(), false);
  writeNew(join(folder, 'carpio.toml'), '', { readers: 'group' });
  const of = (name: string): unknown => {
    const { uid, gid, mode } = statSync(join(folder, name));
    return { uid, gid, mode: (mode & 0o777).toString(8) };
  };
  assert.equal(of('pair.key'), { ...ACCOUNT, mode: '600' });
  assert.equal(of('carpio.toml'), { uid: 0, gid: ACCOUNT.gid, mode: '640' });
});

interface BoxWorld {
  root: string;
  etc: string;
  victim: string;
  start(): string[];
}

/** An image whose start has taken a stick, as an earlier version left it: the directory is the account's. */
function earlierImage(root: string): BoxWorld {
  for (const name of ['etc', 'data/state', 'data/ssh', 'run', 'stick'])
    mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, 'etc/shadow'), 'root:*:20000:0:99999:7:::\n', { mode: 0o600 });
  symlinkSync(join(root, 'run/carpio-box/config'), join(root, 'etc/carpio'));
  const put = (name: string, text: string): void => writeFileSync(join(root, 'stick', name), text);
  put('carpio.toml', '[node]\nname = "fw-a"\n[interfaces]\nwan = "port1"\n');
  put('carpio-host.toml', 'hostname = "fw-a"\n');
  put('authorized_keys', 'ssh-ed25519 AAAA admin\n');
  put('pair.key', `${'0123456789abcdef'.repeat(4)}\n`);
  const start = (): string[] =>
    new Box({ root, account: ACCOUNT, writable: () => {} }).apply([join(root, 'stick')]).lines;
  start();
  const victim = join(root, 'id_ed25519');
  writeFileSync(victim, 'of root', { mode: 0o600 });
  return { root, etc: join(root, 'data/etc'), victim, start };
}

tried('the image: the account can change nothing of what root reads, nor see who may log in', (root) => {
  const { etc } = earlierImage(root);
  const directory = statSync(etc);
  assert.equal([directory.uid, directory.gid, directory.mode & 0o777], [0, ACCOUNT.gid, 0o750]);
  const right = (name: string): unknown => {
    const { uid, mode } = statSync(join(etc, name));
    return [uid, (mode & 0o777).toString(8)];
  };
  assert.equal(right('authorized_keys'), [0, '600']);
  assert.equal(right('carpio-host.toml'), [0, '600']);
  assert.equal(right('carpio.toml'), [0, '640']);
  assert.equal(right('pair.key'), [ACCOUNT.uid, '600']);
});

tried('the image: links that the account left are neither followed nor read at the next start', (root) => {
  const world = earlierImage(root);
  chownSync(world.etc, ACCOUNT.uid, ACCOUNT.gid);
  for (const name of ['authorized_keys', 'carpio-host.toml', 'pair.key']) rmSync(join(world.etc, name));
  symlinkSync(world.victim, join(world.etc, 'authorized_keys'));
  symlinkSync('../ssh/authorized_keys', join(world.etc, 'carpio-host.toml'));
  linkSync(world.victim, join(world.etc, 'pair.key'));
  mkdirSync(join(world.etc, 'below'));
  symlinkSync(join(root, 'etc/shadow'), join(world.etc, 'below/rules.nft'));
  const said = world.start().join('\n');
  for (const file of [world.victim, join(root, 'etc/shadow')]) {
    const { uid, mode } = statSync(file);
    assert.equal([uid, mode & 0o777], [0, 0o600], file);
  }
  assert.is(readFileSync(world.victim, 'utf8'), 'of root');
  assert.not.ok(
    existsSync(join(root, 'data/ssh/authorized_keys')),
    'nobody can log in by a file that the account named',
  );
  for (const name of ['authorized_keys', 'carpio-host.toml', 'pair.key', 'below/rules.nft']) {
    assert.not.ok(lstatSync(join(world.etc, name), { throwIfNoEntry: false }), name);
  }
  assert.match(said, /authorized_keys: removed/);
});

attack('the kind: no file of this project sets an owner or a mode by a path', () => {
  const root = new URL('../../', import.meta.url).pathname;
  const byPath = /(?<![\w.])(l?chown|l?chmod)(Sync)?\(|fs\.(l?chown|l?chmod)/;
  const found = globSync('src/**/*.ts', { cwd: root }).filter((file) =>
    byPath.test(readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|`[^`]*`|'[^'\n]*'/g, '')),
  );
  assert.equal(found, []);
});

attack.run();
