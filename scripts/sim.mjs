/** npm run sim: whole clusters in virtual time (docs/reliability.md); arguments as scripts/sim/main.ts says. */
import { onRuntime } from './lib/runtime.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps('build');
  const { buildBenchAsm } = await import('./lib/asm.mjs');
  buildBenchAsm();
  return onRuntime('scripts/sim/main.ts', process.argv.slice(2));
});
