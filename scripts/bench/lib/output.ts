/** What every bench does with its figures: a table for people, JSON under bench-out/ for comparisons over time. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';

const OUT = new URL('../../../bench-out/', import.meta.url);

export function option(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

export const quick = process.argv.includes('--quick');

/** Figures mean something only beside those of the same machine and run. */
export function machine(): Record<string, string | number> {
  return { cpu: cpus()[0]?.model.trim() ?? 'unknown', cpus: cpus().length, linux: release(), node: process.version };
}

/** Writes bench-out/NAME.json and prints the table, or the JSON when asked with --json. */
export function report(name: string, data: object, table: string): void {
  const json = JSON.stringify({ bench: name, time: new Date().toISOString(), machine: machine(), ...data });
  mkdirSync(OUT, { recursive: true });
  writeFileSync(new URL(`${name}.json`, OUT), `${json}\n`);
  process.stdout.write(`${process.argv.includes('--json') ? json : table}\n`);
}

/** What `report` wrote the last time, or null. */
export function reported<T>(name: string): T | null {
  const file = new URL(`${name}.json`, OUT);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : null;
}

export interface Spread {
  median: number;
  least: number;
  most: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? sorted[middle] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return { median: median ?? Number.NaN, least: sorted[0] ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN };
}
