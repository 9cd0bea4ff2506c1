/**
 * npm run build: dist/carpio-linux-x64, dist/carpio-linux-arm64 and dist/carpio (this machine's).
 * `npm run build -- --host`: only this machine's.
 */
import { onRuntime } from './lib/runtime.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  const args = process.argv.slice(2);
  await ensureDeps('build', ...(args.includes('--host') ? [] : ['cross']));
  return onRuntime('scripts/lib/build-all.mjs', args);
});
