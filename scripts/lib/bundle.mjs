/** One JavaScript file per thread: esbuild puts host and worker, packages included, into build/ARCH/*.cjs. */
import { existsSync } from 'node:fs';
import { build } from 'esbuild';
import { filesBelow, writeWhole } from './hash.mjs';
import { nativesPlugin } from './natives-plugin.mjs';
import { BUILD, ROOT } from './paths.mjs';

/** Entry point -> bundle. An entry that is not there is left out. */
const ENTRIES = { 'src/main.ts': 'main.cjs', 'src/sync/worker/worker.ts': 'worker.cjs' };

/**
 * @param {'x64' | 'arm64'} arch the bundles differ in the name of koffi's platform package only
 * @param {Record<string, unknown>} facts what `carpio version` tells (version, commit, date, node, wasm)
 * @returns {Promise<Record<string, string>>} bundle name -> path
 */
export async function bundle(arch, facts) {
  const made = {};
  for (const [entry, out] of Object.entries(ENTRIES)) {
    if (!existsSync(`${ROOT}/${entry}`)) continue;
    const result = await build({
      entryPoints: [`${ROOT}/${entry}`],
      absWorkingDir: ROOT,
      bundle: true,
      write: false,
      outfile: `${BUILD}/${arch}/${out}`,
      platform: 'node',
      target: 'node24',
      format: 'cjs',
      legalComments: 'eof',
      logLevel: 'warning',
      // A worker started from text has no file name, and koffi makes its require from one.
      define: { CARPIO_BUILD: JSON.stringify(facts), __filename: 'process.execPath' },
      plugins: [nativesPlugin({ arch })],
    });
    for (const file of result.outputFiles) writeWhole(file.path, file.contents);
    made[out] = `${BUILD}/${arch}/${out}`;
  }
  return made;
}

/** Everything the bundles and their assets are made from. */
export const bundleInputs = () =>
  ['src', 'asm', 'package.json', 'package-lock.json', 'scripts/lib'].flatMap((path) => filesBelow(`${ROOT}/${path}`));
