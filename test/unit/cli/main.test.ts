import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Json } from '../../../src/contract/values.ts';
import { startControl } from '../../../src/node/control/server.ts';

const main = suite('cli: the program');
const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** @param readBytes stop reading and close after this much of the output, as `head` does */
async function carpio(args: string[], readBytes = Number.POSITIVE_INFINITY): Promise<Ended> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const result: Ended = { code: null, out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    result.out += text;
    if (result.out.length >= readBytes) child.stdout.destroy();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    result.err += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { ...result, code };
}

main('exit codes and streams are those of a program', async () => {
  const version = await carpio(['version']);
  assert.is(version.code, 0);
  assert.match(version.out, /^carpio /);
  assert.is(version.err, '');
  const wrong = await carpio(['stauts']);
  assert.is(wrong.code, 2);
  assert.is(wrong.out, '');
  assert.is(wrong.err, 'carpio: unknown command "stauts"; did you mean status?\n');
  const absent = await carpio(['status', '--socket', '/nonexistent/control.sock']);
  assert.is(absent.code, 1);
  assert.is(absent.err.trim().split('\n').length, 1);
});

main('a long output arrives whole, and a reader that leaves early is no error', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'carpio-main-'));
  const path = join(dir, 'c.sock');
  const tuple = { src: '10.0.0.1', dst: '10.0.0.2', sport: 1, dport: 2 };
  const state = { proto: 'udp', family: 4, orig: tuple, reply: tuple, nat: null, state: null, status: [] };
  const view = { ...state, mark: 0, zone: 0, owner: 'own', kernel: true, timeout: 1 } as unknown as Json;
  const chunk = new Array<Json>(1000).fill(view);
  const server = await startControl(path, {
    states: async (_args, stream) => {
      for (let i = 0; i < 20; i++) await stream(chunk);
      return { count: 20_000 };
    },
  });
  try {
    const whole = await carpio(['states', '--socket', path]);
    assert.is(whole.code, 0);
    assert.is(whole.out.split('\n').length, 20_001);
    const begun = await carpio(['states', '--socket', path], 1);
    assert.is(begun.code, 0);
    assert.is(begun.err, '');
  } finally {
    await server.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

main.run();
