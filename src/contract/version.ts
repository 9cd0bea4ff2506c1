/**
 * Which Carpio this is. The build replaces CARPIO_BUILD by what it knows; run from source it is not there, and what is
 * not known is `null`.
 */

interface BuildFacts {
  version: string;
  /** Commit of the sources; `+changes` behind it when they were changed since. */
  commit: string | null;
  /** ISO time of that commit. */
  date: string | null;
  /** Version of the bundled runtime. */
  node: string;
  /** SHA-256 of the WebAssembly module, in hex. */
  wasm: string;
}

declare const CARPIO_BUILD: BuildFacts | undefined;

export const BUILD: BuildFacts | null = typeof CARPIO_BUILD === 'undefined' ? null : CARPIO_BUILD;

export const VERSION: string = BUILD?.version ?? '0.1.0';
