/**
 * npm run deb: dist/carpio_VERSION_amd64.deb and _arm64.deb from the binaries of npm run build.
 * `npm run deb -- --host`: only this machine's.
 */
import { onRuntime } from './lib/runtime.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  const args = process.argv.slice(2);
  await ensureDeps('build', 'deb', ...(args.includes('--host') ? [] : ['cross']));
  return (await onRuntime('scripts/lib/build-all.mjs', args)) || onRuntime('scripts/lib/make-deb.mjs', args);
});
