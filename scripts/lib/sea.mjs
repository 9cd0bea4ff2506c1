/**
 * The single executable: a stripped copy of the bundled Node with the host bundle, the add-ons, the WebAssembly module,
 * the worker and the page inside. Nothing lies beside it; at run time it needs glibc and libstdc++ only.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import postject from 'postject';
import { must, run, which } from './command.mjs';
import { packageFolder } from './foreign.mjs';
import { BUILD, DIST } from './paths.mjs';
import { hostArch, runtime } from './runtime.mjs';
import { say } from './say.mjs';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const STRIPPERS = { x64: 'x86_64-linux-gnu-strip', arm64: 'aarch64-linux-gnu-strip' };

/**
 * @param {{ arch: 'x64' | 'arm64', main: string, assets: Record<string, string>, name?: string }} what
 *   main: path of the host bundle; assets: name -> path, read back with node:sea getRawAsset
 * @returns {Promise<string>} path of the executable below dist/
 */
export async function makeExecutable({ arch, main, assets, name = `carpio-linux-${arch}` }) {
  const out = `${DIST}/${name}`;
  const work = `${BUILD}/sea-${name}-${process.pid}`;
  mkdirSync(work, { recursive: true });
  mkdirSync(DIST, { recursive: true });
  try {
    const blob = await makeBlob(work, main, assets);
    const binary = `${work}/node`;
    copyFileSync(await nodeOf(arch), binary);
    await stripBinary(binary, arch);
    // postject's emscripten part prints about a missing section name in Node's notes; that is normal.
    await quietly(() => postject.inject(binary, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: FUSE }));
    chmodSync(binary, 0o755);
    renameSync(binary, out);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return out;
}

async function makeBlob(work, main, assets) {
  const blob = `${work}/carpio.blob`;
  const config = {
    main,
    output: blob,
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    // Code cache is processor-bound, and one blob shape serves both processors.
    useCodeCache: false,
    // No debug door: a signal must not open the inspector, and neither NODE_OPTIONS nor OPENSSL_CONF reach into the
    // runtime. (src/cli/environment.ts drops the variables that have no switch.)
    execArgv: ['--disable-sigusr1', '--openssl-config=/dev/null'],
    execArgvExtension: 'none',
    assets,
  };
  writeFileSync(`${work}/sea.json`, JSON.stringify(config, null, 2));
  await must(runtime(), ['--experimental-sea-config', `${work}/sea.json`]);
  return blob;
}

async function nodeOf(arch) {
  return arch === hostArch() ? runtime() : `${await packageFolder(`node-linux-${arch}`)}/bin/node`;
}

/** Saves about 15 MB; a machine without the tool gets a bigger file, not a failure. */
async function stripBinary(binary, arch) {
  const tool = arch === hostArch() ? which('strip') : which(STRIPPERS[arch]);
  const result = tool ? await run(tool, ['--strip-unneeded', binary]) : { code: 1, stderr: 'no strip for it here' };
  if (result.code !== 0) say(`not stripped (${arch}): ${result.stderr.trim().split('\n')[0]}`);
}

async function quietly(work) {
  const { log, warn, error } = console;
  const held = [];
  console.log = console.warn = console.error = (...words) => held.push(words.join(' '));
  try {
    return await work();
  } catch (failure) {
    throw new Error(`postject: ${failure.message}\n${held.join('\n')}`);
  } finally {
    Object.assign(console, { log, warn, error });
  }
}

/** koffi's add-on for a processor (glibc flavour). */
export async function koffiAddon(arch) {
  const file = `${await packageFolder(`@koromix/koffi-linux-${arch}`)}/linux_${arch}/koffi.node`;
  if (!existsSync(file)) throw new Error(`${file} is missing: has koffi's package changed its layout?`);
  return file;
}
