/** The bundle plugin: one file with both packages' JavaScript inside, the .node files beside it. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
// @ts-expect-error a build script in plain JavaScript
import { nativeFiles, nativesPlugin } from '../../../scripts/lib/natives-plugin.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const bundleSuite = suite('kernel: bundle');
let place = '';

bundleSuite.before(() => {
  place = mkdtempSync(join(tmpdir(), 'carpio-bundle-'));
});
bundleSuite.after(() => rmSync(place, { recursive: true, force: true }));

const ENTRY = `
import { libc } from ${JSON.stringify(join(root, 'src/kernel/libc.ts'))};
import { loadRawSocket } from ${JSON.stringify(join(root, 'src/kernel/natives.ts'))};
if (process.argv[2] === 'none') console.log('nothing loaded');
else {
  let raw;
  try { raw = typeof loadRawSocket().createSocket; } catch (error) { raw = error.message; }
  console.log(JSON.stringify({ pid: libc().getpid() === process.pid, raw }));
}
`;

bundleSuite('both add-ons work from one CommonJS file with the .node files beside it', async () => {
  const files = nativeFiles({ arch: process.arch, root }) as Record<string, string>;
  writeFileSync(join(place, 'entry.ts'), ENTRY);
  await esbuild.build({
    entryPoints: [join(place, 'entry.ts')],
    outfile: join(place, 'bundle.cjs'),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    logLevel: 'silent',
    nodePaths: [join(root, 'node_modules')],
    plugins: [nativesPlugin({ arch: process.arch })],
  });
  const text = readFileSync(join(place, 'bundle.cjs'), 'utf8');
  assert.not.match(text, /node_modules\/(koffi|raw-socket)\/.*\.node["']/);
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, [join(place, 'bundle.cjs'), ...args], { cwd: '/', encoding: 'utf8' }).trim();

  assert.is(run('none'), 'nothing loaded', 'importing must not load an add-on');
  for (const [name, from] of Object.entries(files)) if (existsSync(from)) copyFileSync(from, join(place, name));
  const said = JSON.parse(run()) as { pid: boolean; raw: string };
  assert.ok(said.pid);
  if (existsSync(files['raw.node'] ?? '')) assert.is(said.raw, 'function');
  else assert.match(said.raw, /raw-socket cannot be loaded/);
});

bundleSuite.run();
