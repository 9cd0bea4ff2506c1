/**
 * Runs the `nft` program: text on its standard input, bounded in time and output. Nothing is ever passed through a
 * shell.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { start } from './spawn.ts';

const TIME_LIMIT_MS = 10_000;
const OUTPUT_LIMIT = 4 * 1024 * 1024;
const PROGRAM = 'nft';

interface NftAnswer {
  /** standard output when it succeeded */
  readonly output: string;
  /** null when it succeeded, else what nft said: at least one line, not cut */
  readonly error: string | null;
}

/**
 * @param args options and commands, as nft takes them
 * @param input its standard input, '' for none
 * @param directory where `include "./…"` in the input is looked for
 */
export function runNft(args: readonly string[], input = '', directory?: string): Promise<NftAnswer> {
  return new Promise((resolve) => {
    const child = start(PROGRAM, args, (program, argv) =>
      spawn(program, argv, {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...process.env, LC_ALL: 'C' },
        // A working directory that is missing would look like a missing nft.
        ...(directory !== undefined && existsSync(directory) ? { cwd: directory } : {}),
      }),
    );
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    let trouble: string | null = null;
    const stop = (why: string): void => {
      trouble ??= why;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(() => stop(`nft did not finish in ${TIME_LIMIT_MS / 1000} s`), TIME_LIMIT_MS);
    const collect = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size > OUTPUT_LIMIT) stop(`nft wrote more than ${OUTPUT_LIMIT / 1024 / 1024} MiB`);
      else into.push(chunk);
    };
    child.stdout.on('data', collect(out));
    child.stderr.on('data', collect(err));
    child.stdin.on('error', () => {}); // it ended before it read everything: its own words follow
    child.on('error', (error: NodeJS.ErrnoException) => {
      trouble ??= error.code === 'ENOENT' ? 'nft is not installed (package nftables)' : `nft: ${error.message}`;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const said = Buffer.concat(err).toString().trim();
      const error = trouble ?? (code === 0 ? null : said || `nft ended with ${signal ?? `exit code ${code}`}`);
      resolve({ output: error === null ? Buffer.concat(out).toString() : '', error });
    });
    child.stdin.end(input);
  });
}

/**
 * The first error of nft in one line. Positions in the input become lines of the file it came from.
 * @param file what to call the input
 * @param before how many lines were put in front of the file's own
 */
export function firstError(said: string, file: string, before: number): string {
  const line = said.split('\n').find((one) => /\bError: /.test(one)) ?? said.split('\n')[0] ?? '';
  const found = /^(\S+?):(\d+):(\d+)-\d+: Error: (.*)$/.exec(line);
  if (found === null) return `${file}: ${line}`;
  const [, source = '', row = '', column = '', words = ''] = found;
  const text = words + mendOf(words);
  if (source !== '/dev/stdin' && source !== '-') return `${source}:${row}:${column}: ${text}`;
  return `${file}:${Number(row) - before}:${column}: ${text}`;
}

// nft looks names of protocols up in /etc/protocols, which a bare Debian does not have.
function mendOf(words: string): string {
  return /resolve protocol name/i.test(words)
    ? ' (names of protocols need /etc/protocols: Debian package netbase)'
    : '';
}

const load = (directory?: string): string[] => (directory === undefined ? ['-f', '-'] : ['-I', directory, '-f', '-']);

/** Asks nft and the kernel whether this text could be loaded; nothing changes. Null when it could, else nft's words. */
export async function checkNft(text: string, directory?: string): Promise<string | null> {
  return (await runNft(['-c', ...load(directory)], text, directory)).error;
}

/** Loads the text in one transaction: all of it or nothing. Null when it is in place, else nft's words. */
export async function applyNft(text: string, directory?: string): Promise<string | null> {
  return (await runNft(load(directory), text, directory)).error;
}

export interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly hook: string;
}

/** The chains in the kernel that hang on a hook. Throws an Error with nft's words. */
export async function listBaseChains(): Promise<BaseChain[]> {
  const { output, error } = await runNft(['-j', 'list', 'chains']);
  if (error !== null) throw new Error(`list nftables chains: ${error.split('\n')[0]}`);
  return entries(output, 'chain').flatMap((chain) => {
    const { family, table, name, type, hook } = chain;
    if (typeof type !== 'string' || typeof hook !== 'string') return [];
    return [{ family: String(family), table: String(table), name: String(name), type, hook }];
  });
}

/** Packets counted by the named counters of a table. Throws an Error with nft's words. */
export async function readNftCounters(family: string, table: string): Promise<Record<string, number>> {
  const { output, error } = await runNft(['-j', 'list', 'counters', 'table', family, table]);
  if (error !== null) throw new Error(`read nftables counters of ${family} ${table}: ${error.split('\n')[0]}`);
  return Object.fromEntries(entries(output, 'counter').map((one) => [String(one.name), Number(one.packets)]));
}

function entries(output: string, kind: string): Record<string, unknown>[] {
  const parsed = JSON.parse(output) as { nftables?: Record<string, Record<string, unknown> | undefined>[] };
  return (parsed.nftables ?? []).flatMap((entry) => (entry[kind] === undefined ? [] : [entry[kind]]));
}
