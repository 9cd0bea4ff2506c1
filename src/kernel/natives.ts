/**
 * The two native packages and how they are found.
 *
 * In development the packages are taken from node_modules by Node's own resolution. In the bundle (see
 * scripts/lib/natives-plugin.mjs) the packages' JavaScript is inside, and every `require` of a .node file is a call of
 * `globalThis.__carpioNative(name)`, which this file provides: in the single executable the .node file is an asset that
 * is written to a private file, loaded, and removed; beside a plain bundle it is a file of that name.
 *
 * Nothing is loaded before it is asked for, so that everything above kernel/ can be imported on a machine without them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import sea from 'node:sea';
import { messageOf } from '../contract/message-of.ts';

export type Koffi = typeof import('koffi');

/** What this project uses of `raw-socket`; the package itself carries no types. Main thread only. */
export interface RawSocket {
  on(event: 'message', listener: (bytes: Buffer, source: string) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  send(
    bytes: Buffer,
    offset: number,
    length: number,
    address: string,
    done: (error: Error | null, sent: number) => void,
  ): unknown;
  setOption(level: number, option: number, value: number): void;
  setOption(level: number, option: number, value: Buffer, length: number): void;
  close(): unknown;
}

interface RawSocketModule {
  createSocket(options: { protocol: number; addressFamily: number; bufferSize?: number }): RawSocket;
  AddressFamily: { IPv4: number; IPv6: number };
}

type NativeName = 'koffi.node' | 'raw.node';

/** Where the private copy may live: memory file systems first, none of them needs to allow execution. */
const COPY_PLACES = ['/run', '/dev/shm'];

const loaded = new Map<string, unknown>();

/** koffi, loaded at the first call. Throws with one line that says what is missing. Works in worker threads. */
export function loadKoffi(): Koffi {
  return once('koffi', () => (isBundle() ? require('koffi') : fromModules('koffi'))) as Koffi;
}

/** raw-socket, loaded at the first call. Throws with one line that says what is missing. Main thread only. */
export function loadRawSocket(): RawSocketModule {
  return once('raw-socket', () =>
    isBundle() ? require('raw-socket') : fromModules('raw-socket'),
  ) as unknown as RawSocketModule;
}

function once(name: string, load: () => unknown): unknown {
  let found = loaded.get(name);
  if (found === undefined) {
    try {
      found = load();
    } catch (error) {
      throw new Error(`native package ${name} cannot be loaded: ${firstLine(error)}`);
    }
    loaded.set(name, found);
  }
  return found;
}

// An ES module run by Node has no `require`; the bundle is CommonJS and has one, and esbuild follows the literal calls
// above.
function isBundle(): boolean {
  return typeof require === 'function';
}

// The entry script, or else the working directory, stands in the tree that node_modules belongs to; there is no
// import.meta here because the bundle has none.
function fromModules(name: string): unknown {
  const places = [dirname(process.argv[1] ?? '.'), process.cwd()].map((place) =>
    createRequire(join(resolve(place), 'resolve.js')),
  );
  const place = places.find((from) => {
    try {
      return from.resolve(name) !== '';
    } catch {
      return false;
    }
  });
  return (place ?? places[0]!)(name);
}

/**
 * The hook that the bundle calls in place of `require('…/x.node')`.
 * @returns the add-on's exports
 * @throws Error naming the places that were tried
 */
function loadNative(name: NativeName): unknown {
  if (!sea.isSea()) {
    return dlopen(join(process.argv[1] === undefined ? process.cwd() : dirname(process.argv[1]), name));
  }
  return fromAsset(name, new Uint8Array(sea.getRawAsset(name)));
}

/**
 * Loads an add-on from its bytes: a file of mode 0500 in a directory of mode 0700 with an unguessable name, removed as
 * soon as it is mapped. A place that forbids execution (mount option noexec) or writing is passed over.
 */
export function fromAsset(name: string, bytes: Uint8Array): unknown {
  const refused: string[] = [];
  for (const place of new Set([...COPY_PLACES, tmpdir()])) {
    let directory: string | null = null;
    try {
      directory = mkdtempSync(join(place, '.carpio-native-'));
      const file = join(directory, name);
      writeFileSync(file, bytes, { mode: 0o500, flag: 'wx' });
      return dlopen(file);
    } catch (error) {
      refused.push(`${place}: ${firstLine(error)}`);
    } finally {
      if (directory !== null) rmSync(directory, { recursive: true, force: true });
    }
  }
  throw new Error(
    `no place to load ${name} from (a writable directory on a file system without noexec is needed): ${refused.join('; ')}`,
  );
}

function dlopen(file: string): unknown {
  const module = { exports: {} };
  process.dlopen(module, file);
  return module.exports;
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? '';
}

Object.defineProperty(globalThis, '__carpioNative', { value: loadNative, configurable: true });
