/** What every firmware test needs: the image, waiting with a reason, and the figures. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Machine } from './machine.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const OUT = process.env.CARPIO_FIRMWARE ?? `${ROOT}firmware/out`;

/** @throws Error with what to do when there is no such image */
export function imageOf(arch: 'x86_64' | 'arm64', ending = 'img'): string {
  const name = existsSync(OUT) ? readdirSync(OUT).find((file) => file.endsWith(`-${arch}.${ending}`)) : undefined;
  if (name === undefined) throw new Error(`no image in ${OUT}: npm run firmware -- --arch ${arch}`);
  return `${OUT}/${name}`;
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

export function note(machine: Machine, what: string): void {
  console.log(`${what} ${machine.seconds.toFixed(1)} s (${machine.cpuSeconds.toFixed(1)} s of processor time)`);
}

/** @throws Error when it takes longer, or when a machine that should be on goes off */
export async function waitFor(
  what: string,
  withinS: number,
  test: () => Promise<boolean>,
  on: readonly Machine[],
): Promise<void> {
  const end = performance.now() + withinS * 1000;
  while (!(await test())) {
    const off = on.find((machine) => !machine.isOn);
    if (off) throw new Error(`${off.options.name} went off while waiting for ${what}`);
    if (performance.now() > end) throw new Error(`waited ${withinS} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

export const removeFolder = (path: string): void => rmSync(path, { recursive: true, force: true });
