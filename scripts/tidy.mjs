/** npm run tidy: the rules of the house, each place that breaks one with its mend. */
import { onRuntime } from './lib/runtime.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps();
  return onRuntime('scripts/tidy/main.ts', process.argv.slice(2));
});
