/** The Node that tests and product run on: taken as an npm package (binary and headers), never the machine's own. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { MODULES, ROOT } from './paths.mjs';
import { Refusal } from './say.mjs';

export const ARCHES = ['x64', 'arm64'];

/** The machine's architecture, if Carpio exists for it. */
export function hostArch() {
  if (process.platform === 'linux' && ARCHES.includes(process.arch)) return process.arch;
  throw new Refusal(
    `this is ${process.platform}-${process.arch}; the runtime packages exist for linux-x64 and linux-arm64`,
  );
}

/** The pinned version, e.g. "24.21.0". */
export function runtimeVersion(arch = hostArch()) {
  return JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')).optionalDependencies[`node-linux-${arch}`];
}

/** @returns {string} folder with bin/node and include/node of this machine's runtime package */
export const runtimeFolder = () => `${MODULES}/node-linux-${hostArch()}`;

/** @returns {string} path of the Node binary everything runs on; refuses when the package is not installed */
export function runtime() {
  const path = `${runtimeFolder()}/bin/node`;
  if (existsSync(path)) return path;
  throw new Refusal(`${path} is missing: run npm ci (optional dependencies must not be omitted)`);
}

/**
 * Runs a file on the bundled runtime with this process's terminal, and hands on the signals that end it.
 * @param {string} file relative to the checkout
 * @param {string[]} args
 * @returns {Promise<number>} its exit code (128 when a signal ended it)
 */
export function onRuntime(file, args = [], env = process.env) {
  return new Promise((resolve, reject) => {
    const child = spawn(runtime(), [`${ROOT}/${file}`, ...args], { cwd: ROOT, env, stdio: 'inherit' });
    // Ctrl-C reaches the whole group from the terminal; a SIGTERM to this process alone must be handed on.
    const pass = (signal) => child.kill(signal);
    process.on('SIGINT', () => {});
    process.on('SIGTERM', pass);
    process.on('SIGHUP', pass);
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 128));
  });
}
