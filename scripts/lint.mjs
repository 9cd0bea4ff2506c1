/** npm run lint: style (biome) and types (tsc) of the whole tree. */
import { run } from './lib/command.mjs';
import { MODULES, ROOT } from './lib/paths.mjs';
import { runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

await runMain(async () => {
  await ensureDeps();
  const style = await run(`${MODULES}/.bin/biome`, ['check', '.'], { cwd: ROOT, inherit: true });
  const types = await run(`${MODULES}/.bin/tsc`, ['-p', '.'], { cwd: ROOT, inherit: true });
  process.stdout.write(`style: ${style.code === 0 ? 'ok' : 'not ok'}, types: ${types.code === 0 ? 'ok' : 'not ok'}\n`);
  return style.code || types.code ? 1 : 0;
});
