/**
 * npm start: the main job on this machine. Sets up, builds, makes the lab, runs two firewalls from the single binary,
 * traffic through them, and the page. At a terminal: keys. Otherwise: the scripted sequence, a table, a verdict.
 */
import { onRuntime } from './lib/runtime.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps('build', 'lab');
  const built = await onRuntime('scripts/lib/build-all.mjs', ['--host', '--quiet']);
  return (
    built ||
    onRuntime('scripts/demo/main.ts', process.argv.slice(2), {
      ...process.env,
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --disable-warning=ExperimentalWarning`.trim(),
    })
  );
});
