/** The one native add-on that is compiled here: raw-socket, against the headers of the bundled runtime. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { must, which } from './command.mjs';
import { hashOf, stampIs, writeWhole } from './hash.mjs';
import { BUILD, MODULES } from './paths.mjs';
import { hostArch, runtimeFolder, runtimeVersion } from './runtime.mjs';
import { Refusal, say } from './say.mjs';

const SOURCES = `${MODULES}/raw-socket/src`;
const COMPILERS = { x64: 'x86_64-linux-gnu-g++', arm64: 'aarch64-linux-gnu-g++' };

/** @returns {string | null} the C++ compiler for that processor, or null when there is none */
export function compilerFor(arch) {
  return arch === hostArch() ? (which('g++') ?? which('c++')) : which(COMPILERS[arch]);
}

/**
 * Compiles raw.node: this machine's where `require('raw-socket')` looks for it, another one's below build/.
 * @param {'x64' | 'arm64'} arch
 * @returns {Promise<string>} path of the add-on
 */
export async function buildAddon(arch = hostArch()) {
  const host = arch === hostArch();
  const out = host ? `${MODULES}/raw-socket/build/Release/raw.node` : `${BUILD}/${arch}/raw.node`;
  // Headers are the same for every processor, so this machine's package serves the cross build too.
  const inputs = hashOf([SOURCES, `${MODULES}/nan/nan.h`], [runtimeVersion(), arch]);
  const stamp = `${out}.stamp`;
  if (existsSync(out) && stampIs(stamp, inputs)) return out;
  const compiler = compilerFor(arch);
  if (!compiler)
    throw new Refusal(`no C++ compiler for ${arch}: apt-get install ${host ? 'g++' : 'g++-aarch64-linux-gnu'}`);
  say(`compiling the raw-socket add-on for ${arch}`);
  mkdirSync(dirname(out), { recursive: true });
  const beside = `${out}.${process.pid}.new`;
  const flags = [
    '-shared',
    '-fPIC',
    '-O2',
    '-std=c++20',
    '-w',
    '-DNODE_GYP_MODULE_NAME=raw',
    '-DBUILDING_NODE_EXTENSION',
  ];
  const include = ['-I', `${runtimeFolder()}/include/node`, '-I', `${MODULES}/nan`];
  await must(compiler, [...flags, ...include, `${SOURCES}/raw.cc`, '-o', beside], { timeoutMs: 180_000 });
  renameSync(beside, out);
  writeWhole(stamp, `${inputs}\n`);
  return out;
}
