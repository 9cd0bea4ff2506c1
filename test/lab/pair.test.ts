/** `carpio pair` between two machines and a cable: the command as a person types it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { BINARY } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const pairing = suite('pair');
const lab = new Lab();
prepare(pairing, () => lab.up());
leaveWhenDone(pairing);

type Name = 'fw-a' | 'fw-b';

/** A box with a configuration of its own and no key yet. */
function box(name: Name, peer: string, directory: string): { config: string; key: string } {
  const at = `/run/pair/${directory}/${name}`;
  mkdirSync(at, { recursive: true, mode: 0o700 });
  const paths = { config: `${at}/carpio.toml`, key: `${at}/pair.key` };
  const sync = `[sync]\npeer = "${peer}"\nkey_file = "${paths.key}"\n`;
  writeFileSync(paths.config, `[node]\nname = "${name}"\n[interfaces]\nsync = "eth2"\n${sync}`);
  return paths;
}

const boxes = (directory: string) => ({
  a: box('fw-a', '10.77.3.3', directory),
  b: box('fw-b', '10.77.3.2', directory),
});

interface Running {
  child: ChildProcess;
  said(): string;
  ended: Promise<number>;
}

function carpio(node: Name, args: string[], input = ''): Running {
  const child = spawn('ip', ['netns', 'exec', node, BINARY, 'pair', ...args], { stdio: 'pipe' });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  }
  child.stdin.end(input);
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)));
  return { child, said: () => text, ended };
}

/** The first box, waiting; its code is what a person reads there. */
async function waiting(node: Name, args: string[]): Promise<Running & { code: string }> {
  const running = carpio(node, args);
  const code = await until('the code', () => /^([0-9A-Z]{5}-){2}[0-9A-Z]{5}$/m.exec(running.said())?.[0], {
    withinMs: 20_000,
  });
  await until('its port', async () => (await lab.exec(node, ['ss', '-ltn'])).stdout.includes(':8241'), {
    withinMs: 20_000,
  });
  return { ...running, code: code.value };
}

pairing(
  'a wrong code, then the right one: the same key on both, 0600, same fingerprint, nothing in arguments',
  async () => {
    const { a, b } = boxes('one');
    const first = await waiting('fw-a', ['--config', a.config]);
    const wrong = carpio('fw-b', ['--join', '--config', b.config], '00000-00000-00000\n');
    assert.is(await wrong.ended, 1, wrong.said());
    assert.match(wrong.said(), /the code is wrong/);
    assert.not.ok(existsSync(b.key));
    const second = carpio('fw-b', ['--join', '--config', b.config], `${first.code.toLowerCase()}\n`);
    assert.is(await second.ended, 0, second.said());
    assert.is(await first.ended, 0, first.said());
    const key = readFileSync(a.key, 'utf8');
    assert.is(readFileSync(b.key, 'utf8'), key);
    for (const path of [a.key, b.key]) assert.is(statSync(path).mode & 0o777, 0o600);
    const print = (text: string) => /fingerprint of the key: (\S+)/.exec(text)?.[1];
    assert.ok(print(first.said()));
    assert.is(print(first.said()), print(second.said()));
    assert.match(first.said(), /wrong code; 4 attempts left/);
    assert.not.ok(`${first.said()}${second.said()}`.includes(key.trim()), 'the key is never shown');
    const shown = await lab.exec('fw-b', [BINARY, 'pair', '--fingerprint', '--config', b.config]);
    assert.is(shown.stdout.trim(), print(first.said()));
  },
);

pairing('a key that is there stays, on either box, until --force says otherwise', async () => {
  const { a, b } = boxes('two');
  writeFileSync(b.key, `${'0123456789abcdef'.repeat(4)}\n`, { mode: 0o600 });
  const first = await waiting('fw-a', ['--config', a.config]);
  const refused = carpio('fw-b', ['--join', '--config', b.config], `${first.code}\n`);
  assert.is(await refused.ended, 1);
  assert.match(refused.said(), /it exists; --force replaces it/);
  assert.match(readFileSync(b.key, 'utf8'), /^0123456789abcdef/);
  const forced = carpio('fw-b', ['--join', '--force', '--config', b.config], `${first.code}\n`);
  assert.is(await forced.ended, 0, forced.said());
  assert.is(await first.ended, 0);
  assert.is(readFileSync(b.key, 'utf8'), readFileSync(a.key, 'utf8'));
  const again = carpio('fw-a', ['--config', a.config]);
  assert.is(await again.ended, 1);
  assert.match(again.said(), /is there already; --keep/);
});

pairing('a third machine on the link is refused and costs no attempt; nobody comes: nothing is written', async () => {
  const { a, b } = boxes('three');
  await lab.exec('fw-b', ['ip', 'addr', 'add', '10.77.3.9/24', 'dev', 'eth2']);
  const first = await waiting('fw-a', ['--config', a.config, '--peer', '10.77.3.9', '--timeout', '5']);
  const third = carpio('fw-b', ['--join', '--config', b.config], `${first.code}\n`); // comes from 10.77.3.3
  assert.is(await third.ended, 1, third.said());
  assert.is(await first.ended, 1);
  assert.match(first.said(), /1 connections refused/);
  assert.match(first.said(), /nobody came within 5 s; no key was written here/);
  assert.not.ok(existsSync(a.key) || existsSync(b.key));
});

pairing.run();
