/** npm run bench: every scripts/bench/*.ts in order on the bundled runtime; arguments are handed on to each. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { buildAddon } from './lib/addon.mjs';
import { ROOT } from './lib/paths.mjs';
import { onRuntime } from './lib/runtime.mjs';
import { runMain, say } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps('build');
  await buildAddon();
  const { buildAsm } = await import('./lib/asm.mjs');
  buildAsm();
  const folder = `${ROOT}/scripts/bench`;
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.ts')) : [];
  mkdirSync(`${ROOT}/bench-out`, { recursive: true });
  let worst = 0;
  for (const file of files.sort()) {
    say(`bench ${file}`);
    worst = Math.max(worst, await onRuntime(`scripts/bench/${file}`, process.argv.slice(2)));
  }
  if (files.length === 0) say('scripts/bench has no *.ts yet');
  return worst;
});
