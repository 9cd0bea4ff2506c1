/**
 * npm run fuzz -- [--target T] [--inputs N]: every decoder that faces a network, the kernel or a file (test/fuzz/lib/).
 */
import { onRuntime } from './lib/runtime.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps('build');
  const { buildBenchAsm } = await import('./lib/asm.mjs');
  buildBenchAsm();
  return onRuntime('test/fuzz/lib/main.ts', process.argv.slice(2));
});
