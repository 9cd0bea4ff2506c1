/**
 * What a command is made of, and what it may use of the world around it: everything comes in as an argument, so that a
 * test can be the terminal.
 */

import type { KernelProbe } from '../contract/kernel-probe.ts';
import type { Args, ArgsSpec } from './args.ts';

export const EXIT = {
  /** Done; the answer is yes. */
  done: 0,
  /** The answer is no, or it failed. */
  no: 1,
  /** Used wrongly, or (verify) it could not be told. */
  wrong: 2,
} as const;

export interface RunOptions {
  configPath: string;
  logFormat: 'text' | 'json';
  /** `--record`; null: nothing is recorded. */
  recordPath: string | null;
}

/** The parts that need native code, loaded only by the commands that use them. */
interface Native {
  runNode(options: RunOptions): Promise<number>;
  kernelProbe(): Promise<KernelProbe>;
}

export interface Io {
  /** Writes to standard output as it is; resolves when there is room for more. */
  out(text: string): Promise<void>;
  /** Writes one line to standard error. */
  err(line: string): void;
  /** May colours be used on standard output? */
  colour: boolean;
  now(): number;
  native: Native;
}

export interface Command extends ArgsSpec {
  name: string;
  /** What follows the options in the help: what it does, what it answers. */
  details: string;
  run(args: Args, io: Io): Promise<number>;
}

/** A mistake of the user: exit 2, with a pointer to the help. */
export class UsageError extends Error {}

/** Anything else that ends a command with exit 1 and one line. */
export class CommandError extends Error {}
