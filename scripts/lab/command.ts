/** Other programs and conditions, awaited with a bound. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program to its end.
 * @param argv program and arguments
 * @param options input: standard input; timeoutMs: SIGKILL after that (default 20 s)
 * @throws Error with the program's last words, unless `check` is false
 */
export function command(
  argv: readonly string[],
  options: { input?: string; timeoutMs?: number; check?: boolean } = {},
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 20_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => {}).end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const result = { code: code ?? (signal ? 128 : 1), stdout, stderr };
      if (result.code === 0 || options.check === false) resolve(result);
      else
        reject(new Error(`${argv.join(' ')}: exit ${result.code}: ${stderr.trim().split('\n').slice(-4).join(' / ')}`));
    });
  });
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Awaits a condition that can only be asked for, not subscribed to.
 * @param what completes "waited N s for …" when the bound is reached
 * @param ask truthy when the condition holds; its value is the result
 * @returns the value and how long it took, in ms
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  options: { withinMs: number; everyMs?: number },
): Promise<{ value: T; ms: number }> {
  const begun = performance.now();
  for (;;) {
    const value = await ask();
    const ms = performance.now() - begun;
    if (value) return { value, ms };
    if (ms > options.withinMs) throw new Error(`waited ${(ms / 1000).toFixed(1)} s for ${what}`);
    await pause(options.everyMs ?? 20);
  }
}

/** @returns the program's full path, or null when PATH has no such program */
export function which(program: string): string | null {
  const folders = (process.env.PATH ?? '').split(':').filter(Boolean);
  return folders.map((folder) => `${folder}/${program}`).find((path) => existsSync(path)) ?? null;
}
