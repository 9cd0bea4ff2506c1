/** npm run soak -- --minutes M [--seed S]: two nodes in the lab, random faults, checks after each (scripts/soak/). */
import { onRuntime } from './lib/runtime.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps('build', 'lab');
  const built = await onRuntime('scripts/lib/build-all.mjs', ['--host', '--quiet']);
  return (
    built ||
    onRuntime('scripts/soak/main.ts', process.argv.slice(2), {
      ...process.env,
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --disable-warning=ExperimentalWarning`.trim(),
    })
  );
});
