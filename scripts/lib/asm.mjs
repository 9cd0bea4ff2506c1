// Builds the WebAssembly module from asm/. As a command: node scripts/lib/asm.mjs [OUT]
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));

/** Newest change among the sources of the module, in ms. */
function newestSource(dir) {
  let newest = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    newest = Math.max(newest, entry.isDirectory() ? newestSource(path) : statSync(path).mtimeMs);
  }
  return newest;
}

/** What benches and tests load: the product's exports and more (asm/index.bench.ts). */
export const buildBenchAsm = () => {
  const root = resolve(HERE, '../..');
  return buildAsm({ root, entry: 'asm/index.bench.ts', out: join(root, 'build/engine.bench.wasm') });
};

/**
 * Compiles asm/index.ts to `out` (default build/engine.wasm under `root`), if it is missing or older than a source or
 * this file. Returns the path. Throws with the compiler's output when it fails.
 */
export function buildAsm({
  root = resolve(HERE, '../..'),
  entry = 'asm/index.ts',
  out = join(root, 'build/engine.wasm'),
  force = false,
} = {}) {
  const sources = Math.max(newestSource(join(root, 'asm')), statSync(fileURLToPath(import.meta.url)).mtimeMs);
  if (!force && existsSync(out) && statSync(out).mtimeMs > sources) return out;
  mkdirSync(dirname(out), { recursive: true });
  // Compiled beside and renamed: whoever reads `out` meanwhile gets a whole module.
  const fresh = `${out}.${process.pid}.wasm`;
  const asc = join(root, 'node_modules/assemblyscript/bin/asc.js');
  const args = [
    entry,
    ...['--outFile', fresh],
    ...['--runtime', 'stub'],
    ...['--optimizeLevel', '3'],
    ...['--shrinkLevel', '0'],
    '--converge',
    '--noAssert',
    ...['--use', 'abort='],
    ...['--initialMemory', '32'],
    ...['--enable', 'bulk-memory'],
  ];
  try {
    execFileSync(process.execPath, [asc, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    throw new Error(`asm/ does not compile:\n${error.stdout ?? ''}${error.stderr ?? error.message}`);
  }
  renameSync(fresh, out);
  return out;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const out = buildAsm(process.argv[2] ? { out: resolve(process.argv[2]), force: true } : { force: true });
  console.log(`${out} ${statSync(out).size} bytes`);
}
