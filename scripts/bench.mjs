/**
 * npm run bench: every scripts/bench/*.ts in order on the bundled runtime; arguments are handed on to each.
 * `--only NAME,...` runs only these; `--only sync` is all that concerns state sync.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { buildAddon } from './lib/addon.mjs';
import { ROOT } from './lib/paths.mjs';
import { onRuntime } from './lib/runtime.mjs';
import { runMain, say } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps('build');
  await buildAddon();
  const { buildBenchAsm } = await import('./lib/asm.mjs');
  buildBenchAsm();
  const folder = `${ROOT}/scripts/bench`;
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.ts')) : [];
  const at = process.argv.indexOf('--only');
  const names = (process.argv[at + 1] ?? '').replace(/^sync$/, 'engine,growth,repair,path,causes,defer').split(',');
  const chosen = at < 0 ? files.sort() : names.map((name) => `${name}.ts`);
  const unknown = chosen.find((file) => !files.includes(file));
  if (unknown !== undefined)
    throw new Error(
      `--only: no bench ${unknown.slice(0, -3)}; there are ${files.map((name) => name.slice(0, -3)).join(', ')}`,
    );
  const args = process.argv.slice(2).filter((_, i) => at < 0 || (i + 2 !== at && i + 2 !== at + 1));
  mkdirSync(`${ROOT}/bench-out`, { recursive: true });
  let worst = 0;
  for (const file of chosen) {
    say(`bench ${file}`);
    worst = Math.max(worst, await onRuntime(`scripts/bench/${file}`, args));
  }
  if (files.length === 0) say('scripts/bench has no *.ts yet');
  return worst;
});
