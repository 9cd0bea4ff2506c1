/** Running other programs: found or not, their output kept for the error message. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import './paths.mjs';
import { Refusal } from './say.mjs';

/** @param {string} name @returns {string | null} the program's full path, or null when PATH has no such program */
export function which(name) {
  for (const folder of (process.env.PATH ?? '').split(':')) {
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return `${folder}/${name}`;
    } catch {
      // not in this folder
    }
  }
  return null;
}

/**
 * Runs a program to its end.
 * @param {string} file
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs?: number, inherit?: boolean }} [options] inherit: show its
 *   output as it comes
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>} code 127: could not be started; 128 + n: ended
 *   by signal
 */
export function run(file, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      timeout: options.timeoutMs ?? 0,
      killSignal: 'SIGKILL',
      stdio: options.inherit ? ['ignore', 2, 2] : ['ignore', 'pipe', 'pipe'],
    });
    const out = [];
    const err = [];
    child.stdout?.on('data', (chunk) => out.push(chunk));
    child.stderr?.on('data', (chunk) => err.push(chunk));
    child.on('error', (error) => resolve({ code: 127, stdout: '', stderr: error.message }));
    child.on('close', (code, signal) =>
      resolve({
        code: code ?? (signal ? 128 : 1),
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      }),
    );
  });
}

/** As run(), but anything other than exit 0 is a Refusal that shows the end of what the program said. */
export async function must(file, args, options = {}) {
  const result = await run(file, args, options);
  if (result.code === 0) return result;
  const said = (result.stderr || result.stdout).trim().split('\n').slice(-12).join('\n  ');
  throw new Refusal(`${[file, ...args].join(' ').slice(0, 300)}: exit ${result.code}${said ? `\n  ${said}` : ''}`);
}
