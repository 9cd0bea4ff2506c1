/** Tracking scripts and files: what demotes, with which weight, once, and when it is over. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause, until } from '../../../scripts/lab/command.ts';
import type { TrackConfig } from '../../../src/config/types.ts';
import { Tracks } from '../../../src/node/tracks.ts';

const tracks = suite('tracks');
const dir = mkdtempSync(join(tmpdir(), 'carpio-track-'));
tracks.after(() => rmSync(dir, { recursive: true, force: true }));

function program(name: string, body: string): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** What the tracks say, in order, for as long as `body` runs. */
async function watched(
  list: TrackConfig[],
  body: (said: string[], warned: string[], tracks: Tracks) => Promise<unknown>,
): Promise<void> {
  const said: string[] = [];
  const warned: string[] = [];
  const running = new Tracks({
    demote: (reason, weight) => said.push(`+${reason} ${weight}`),
    undemote: (reason) => said.push(`-${reason}`),
    warn: (message) => warned.push(message),
  });
  running.watch(list);
  try {
    await body(said, warned, running);
  } finally {
    running.close();
  }
}

const script = (name: string, path: string, more = {}): TrackConfig => ({
  kind: 'script',
  name,
  weight: 50,
  path,
  interval: 0.02,
  timeout: 5,
  ...more,
});

const is = (what: string, said: string[], wanted: string[]): Promise<unknown> =>
  until(`${what}; said: ${said}`, () => `${said}` === `${wanted}`, { withinMs: 20_000 });

tracks('a script demotes by its weight while it fails: told once, taken back once', async () => {
  const bad = join(dir, 'bad');
  const path = program('uplink', `echo >>${dir}/runs; test ! -e ${bad}`);
  await watched([script('uplink', path)], async (said, warned) => {
    const runs = (): number => readFileSync(`${dir}/runs`, 'utf8').length;
    await until('two runs', () => existsSync(`${dir}/runs`) && runs() >= 2, { withinMs: 20_000 });
    assert.equal(said, [], 'what is well from the start is no news');
    writeFileSync(bad, '');
    await is('bad', said, ['+script:uplink 50']);
    assert.equal(warned, [`track script:uplink: ${path} ended with 1`]);
    const before = runs();
    await until('three runs more', () => runs() >= before + 3, { withinMs: 20_000 });
    assert.is(said.length, 1, 'not told again');
    rmSync(bad);
    await is('good again', said, ['+script:uplink 50', '-script:uplink']);
  });
});

tracks('a script that does not end in time, or is not there, demotes', async () => {
  await watched([script('slow', program('slow', 'exec sleep 30'), { timeout: 0.1 })], (said) =>
    is('in time', said, ['+script:slow 50']),
  );
  await watched([script('none', join(dir, 'none'), { weight: 7 })], async (said, warned) => {
    await is('there', said, ['+script:none 7']);
    assert.match(warned[0] ?? '', /none ended with ENOENT$/);
  });
});

tracks('never two runs of one script at a time', async () => {
  const go = join(dir, 'go');
  const path = program('long', `echo >>${dir}/begun; while [ ! -e ${go} ]; do sleep 0.02; done`);
  await watched([script('long', path)], async () => {
    await until('the first run', () => existsSync(`${dir}/begun`), { withinMs: 20_000 });
    await pause(200); // ten intervals
    assert.is(readFileSync(`${dir}/begun`, 'utf8').length, 1);
    writeFileSync(go, '');
    await until('the next run', () => readFileSync(`${dir}/begun`, 'utf8').length > 1, { withinMs: 20_000 });
  });
});

tracks('a file demotes while it is there', async () => {
  const path = join(dir, 'stay-away');
  await watched([{ kind: 'file', name: 'away', weight: 240, path, interval: 0.02 }], async (said, warned) => {
    await pause(60);
    writeFileSync(path, '');
    await is('there', said, ['+file:away 240']);
    assert.equal(warned, [`track file:away: ${path} is there`]);
    rmSync(path);
    await is('gone', said, ['+file:away 240', '-file:away']);
  });
});

tracks(
  'a reload: what a removed track has demoted is taken back, what stays is looked at anew, with its new weight',
  async () => {
    const path = program('fails', 'exit 1');
    await watched([script('one', path), script('two', path)], async (said, _warned, running) => {
      await until('both', () => said.length === 2, { withinMs: 20_000 });
      said.length = 0;
      running.watch([script('two', path, { weight: 60 })]);
      assert.equal(said, ['-script:one']);
      await is('anew', said, ['-script:one', '+script:two 60']);
      running.watch([]);
      assert.equal(said.slice(2), ['-script:two']);
    });
  },
);

tracks('a run that began before a reload has no say after it', async () => {
  const go = join(dir, 'late');
  const path = program('late-script', `echo >>${dir}/late-begun; while [ ! -e ${go} ]; do sleep 0.02; done; exit 1`);
  await watched([script('late', path)], async (said, _warned, running) => {
    await until('the run', () => existsSync(`${dir}/late-begun`), { withinMs: 20_000 });
    running.watch([]);
    writeFileSync(go, '');
    await pause(300);
    assert.equal(said, []);
  });
});

tracks.run();
