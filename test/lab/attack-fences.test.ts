/**
 * Code that has got into the daemon, or into a hook that it starts, and wants further: other processes, the kernel, the
 * machine. Seen from outside on every thread, and tried from inside by a hook.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { leaveWhenDone } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const FOLDER = '/run/attack';
const SAID = `${FOLDER}/said`;
const attack = suite('attack: out of the daemon');
const lab = new Lab();
await lab.up();
mkdirSync(FOLDER, { recursive: true });
leaveWhenDone(attack);

/** What a hook as root tries; each line says what came of it. */
const TRIES = {
  mount: 'mount -t tmpfs none /mnt',
  unshare: 'unshare -m true',
  chroot: 'chroot / true',
};

attack('every thread of the daemon is fenced, and the daemon works', async () => {
  const hook = `${FOLDER}/hook`;
  const lines = Object.entries(TRIES).map(
    ([name, line]) => `${line} > /dev/null 2>&1 && echo "${name} worked" >> ${SAID}`,
  );
  writeFileSync(hook, `#!/bin/sh\ncat > /dev/null\n${lines.join('\n')}\necho done >> ${SAID}\n`);
  chmodSync(hook, 0o755);
  // Without the fences each of them works here: the lab is a machine of its own with all rights.
  for (const [name, line] of Object.entries(TRIES)) {
    assert.is((await command(['sh', '-c', line], { check: false })).code, 0, `${name} is possible at all`);
  }
  const node = new Firewall(lab, 'fw-a', { extra: `[hooks]\non_event = "${hook}"\n` });
  await node.start();
  await until('master', async () => (await node.status())?.role === 'master', { withinMs: 15_000 });
  const field = (path: string, name: string): string =>
    new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(readFileSync(path, 'utf8'))?.[1] ?? '';
  const threads = readdirSync(`/proc/${node.pid}/task`);
  assert.ok(threads.length > 8);
  for (const thread of threads) {
    const status = `/proc/${node.pid}/task/${thread}/status`;
    assert.is(field(status, 'Seccomp'), '2', `thread ${thread}`);
  }
  assert.is(field(`/proc/${node.pid}/status`, 'NoNewPrivs'), '1');
  await until('the hook to have tried', () => existsSync(SAID) && readFileSync(SAID, 'utf8').includes('done'), {
    withinMs: 10_000,
  });
  const said = readFileSync(SAID, 'utf8');
  assert.not.match(said, 'worked', said);
  assert.not.match(node.log(), 'not all fences');
  assert.is(await node.stop(), 0);
});

attack('its memory is in no dump, and no debugger of its account gets at it', async () => {
  const program = `
    const { raiseFences } = await import(${JSON.stringify(new URL('../../src/kernel/fences.ts', import.meta.url).pathname)});
    const { libc } = await import(${JSON.stringify(new URL('../../src/kernel/libc.ts', import.meta.url).pathname)});
    raiseFences();
    console.log(libc().prctl(3, 0, 0, 0, 0)); // PR_GET_DUMPABLE
  `;
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  const { stdout } = await command(argv);
  assert.is(stdout.trim(), '0');
});

attack.run();
