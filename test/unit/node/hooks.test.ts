/** The event hook: each event once, in order, in its own time; whatever the program does, the node goes on. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command, until } from '../../../scripts/lab/command.ts';
import { EventHook } from '../../../src/node/report/hooks.ts';

const hooks = suite('event hook');
const dir = mkdtempSync(join(tmpdir(), 'carpio-hook-'));
hooks.after(() => rmSync(dir, { recursive: true, force: true }));

let number = 0;
function program(body: string): string {
  const path = join(dir, `hook-${number++}`);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

const event = (n: number, more = {}) => ({
  time: '2026-01-01T00:00:00Z',
  node: 'fw-a',
  kind: 'carp.announced' as const,
  n,
  ...more,
});

/** The numbers of the events that a program has written down, in its order. */
const written = (log: string): number[] =>
  existsSync(log)
    ? readFileSync(log, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as { n: number }).n)
    : [];

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

hooks('each event once, in order, as one line of JSON, also when they come in a burst', async () => {
  const log = join(dir, 'order');
  const hook = new EventHook(program(`read -r line; echo "$line" >>${log}`), (message) => assert.unreachable(message));
  for (const n of upTo(15)) hook.push(event(n));
  await until('all events', () => written(log).length >= 15, { withinMs: 60_000 });
  assert.equal(written(log), upTo(15));
  const first = JSON.parse(readFileSync(log, 'utf8').split('\n')[0] ?? '');
  assert.equal(first, event(0));
  assert.equal([hook.dropped, hook.failed], [0, 0]);
});

hooks('a program that hangs holds nobody up; the oldest of what waits is left out, and counted', async () => {
  const log = join(dir, 'slow');
  const go = join(dir, 'go');
  const body = `while [ ! -e ${go} ]; do sleep 0.02; done; read -r line; echo "$line" >>${log}`;
  const path = program(body);
  const hook = new EventHook(path, () => {});
  // In one go: whoever tells an event does not wait for anything.
  for (const n of upTo(300)) hook.push(event(n));
  assert.is(hook.dropped, 300 - 1 - 256);
  writeFileSync(go, '');
  await until('the next ones', () => written(log).length >= 5, { withinMs: 60_000 });
  assert.equal(written(log).slice(0, 5), [0, 44, 45, 46, 47]);
  assert.is(hook.failed, 0);
  rmSync(path); // the rest fails at once: nobody has to wait for 250 programs
});

hooks(
  'a program that fails, is missing, or does not read: said, counted, and the next event comes all the same',
  async () => {
    const said: string[] = [];
    const failing = new EventHook(program('exit 3'), (message) => said.push(message));
    failing.push(event(0));
    failing.push(event(1));
    await until('two failures', () => failing.failed === 2, { withinMs: 20_000 });
    assert.match(said[1] ?? '', /^hooks\.on_event: .*hook-\d+: ended with code 3$/);

    const missing = new EventHook(join(dir, 'nothing'), (message) => said.push(message));
    missing.push(event(0));
    await until('the complaint', () => missing.failed === 1, { withinMs: 20_000 });
    assert.match(said[2] ?? '', /ENOENT/);

    const done = join(dir, 'deaf');
    const deaf = new EventHook(program(`exec <&-; echo x >>${done}`), (message) => said.push(message));
    // More than a pipe holds.
    for (const n of [0, 1]) deaf.push(event(n, { reason: 'x'.repeat(200_000) }));
    await until('both runs', () => existsSync(done) && readFileSync(done, 'utf8') === 'x\nx\n', { withinMs: 20_000 });
    assert.is(said.length, 3);
  },
);

hooks('no file descriptor to spare: a failed event, not the end of the node', async () => {
  const source = new URL('../../../src/node/report/hooks.ts', import.meta.url).href;
  const body = `
    import { openSync } from 'node:fs';
    import { EventHook } from ${JSON.stringify(source)};
    const hook = new EventHook('/bin/true', (message) => console.log(message));
    try { for (;;) openSync('/dev/null'); } catch {}
    hook.push({ kind: 'carp.stall', time: '', node: '' });
  `;
  const file = join(dir, 'starved.mjs');
  writeFileSync(file, body);
  const argv = ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, '--disable-warning=ExperimentalWarning'];
  const { stdout } = await command([...argv, file], { timeoutMs: 60_000 });
  assert.match(stdout, /EMFILE/);
});

hooks.run();
