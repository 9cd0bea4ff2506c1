/** npm test: set-up with the tests' tools, everything built, then test/run.ts. Words are handed on as filters. */
import { onRuntime } from './lib/runtime.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps('build', 'lab', 'test');
  const built = await onRuntime('scripts/lib/build-all.mjs', ['--host', '--quiet']);
  // The simulator and the engine's tests load the module with its own account of itself.
  const { buildBenchAsm } = await import('./lib/asm.mjs');
  buildBenchAsm();
  // Tests that need the binary fail by themselves and say so; the others still have something to tell.
  const tested = await onRuntime('test/run.ts', process.argv.slice(2));
  return built || tested;
});
