/**
 * A local user who looks for a debugger in the daemon: SIGUSR1 opens Node's inspector in a program that does not forbid
 * it, and whoever reaches the inspector's port runs code in the daemon. Tried on the product's binary: every signal
 * that asks for a debugger, every variable and every argument.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { BINARY, Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { FEED_PORT } from '../../scripts/lab/plan.ts';
import { leaveWhenDone } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const attack = suite('attack: a debugger');
const lab = new Lab();
await lab.up();
leaveWhenDone(attack);

/** TCP ports that somebody listens on in a machine. */
async function listeners(node: string): Promise<number[]> {
  const { stdout } = await lab.exec(node, ['ss', '-Hltn']);
  const ports = stdout.split('\n').flatMap((line) => line.split(/\s+/)[3]?.split(':').at(-1) ?? []);
  return [...new Set(ports.map(Number))].sort((a, b) => a - b);
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number);

/** The names of the threads; Node's inspector has one of its own. */
const threads = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/task`).map((id) => readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim());

attack('SIGUSR1 to the daemon and to what it starts opens nothing and ends nothing', async () => {
  const node = new Firewall(lab, 'fw-a', { sync: false });
  // From the first moment on: a signal that comes before the program is ready must not end it, either.
  const started = node.start();
  for (let i = 0; i < 20; i++) {
    await until('the process', () => node.pid, { withinMs: 1000 });
    if (existsSync(`/proc/${node.pid}/exe`) && readFileSync(`/proc/${node.pid}/comm`, 'utf8') !== 'ip\n') {
      process.kill(node.pid ?? 0, 'SIGUSR1');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await started;
  const pid = node.pid ?? 0;
  const before = threads(pid).sort();
  for (const one of [pid, ...childrenOf(pid)]) for (let i = 0; i < 5; i++) process.kill(one, 'SIGUSR1');
  // An answer after the signals: the daemon's loop has turned since they came.
  assert.ok(await node.status());
  assert.equal(await listeners('fw-a'), [FEED_PORT]);
  assert.equal(threads(pid).sort(), before);
  assert.not.match(node.log(), /[Dd]ebugger/);
  assert.is(await node.stop(), 0);
  assert.equal(node.deaths, []);
});

const VARIABLES = {
  NODE_OPTIONS: '--inspect=127.0.0.1:9333 --require=/nonexistent.js',
  NODE_DEBUG: 'net',
  OPENSSL_CONF: '/nonexistent',
  NODE_REDIRECT_WARNINGS: '/nonexistent/file',
  NODE_EXTRA_CA_CERTS: '/nonexistent/ca',
};

attack('no variable of the runtime reaches the program', async () => {
  const folder = mkdtempSync('/run/attack-');
  const file = join(folder, 'warnings');
  const environment = { ...process.env, ...VARIABLES, NODE_REDIRECT_WARNINGS: file };
  const plain = spawnSync(BINARY, ['version'], { encoding: 'utf8' });
  const result = spawnSync(BINARY, ['version'], { encoding: 'utf8', env: environment });
  assert.is(result.status, 0, result.stderr);
  assert.is(result.stdout, plain.stdout);
  assert.is(result.stderr, '');
  assert.not.ok(existsSync(file));
});

attack('a daemon that was started with such variables runs without them', async () => {
  Object.assign(process.env, VARIABLES);
  const node = new Firewall(lab, 'fw-b', { sync: false });
  try {
    await node.start();
  } finally {
    for (const name of Object.keys(VARIABLES)) delete process.env[name];
  }
  const left = readFileSync(`/proc/${node.pid}/environ`, 'latin1').split('\0');
  assert.equal(
    left.filter((entry) => /^(NODE_|OPENSSL_|UV_|V8_)/.test(entry)),
    [],
  );
  assert.equal(await listeners('fw-b'), [FEED_PORT]);
  assert.is(await node.stop(), 0);
});

attack('no argument opens one', () => {
  const doors = [
    '--inspect',
    '--inspect-brk',
    '--inspect=0',
    '--node-options=--inspect',
    '--require=/etc/passwd',
    '-e',
    '-r',
  ];
  for (const door of doors) {
    for (const args of [
      [door, 'version'],
      ['version', door],
      ['run', door],
    ]) {
      const result = spawnSync(BINARY, args, { encoding: 'utf8', timeout: 5000 });
      assert.is(result.status, 2, `${args.join(' ')}: ${result.stdout}${result.stderr}`);
      assert.not.match(result.stderr, /[Dd]ebugger|ws:/);
    }
  }
});

attack.run();
