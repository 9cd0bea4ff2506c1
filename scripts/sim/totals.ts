/** The sums of many runs of the simulator, kept in a JSON file so that a long record can be interrupted. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { RunResult } from './cluster/simulation.ts';

export type Outcome = Pick<
  RunResult,
  'seed' | 'problem' | 'computedUs' | 'lapsedUs' | 'steps' | 'begun' | 'traffic' | 'checks'
> & { cpuUs: number };

interface Totals {
  options: string[];
  runs: number;
  virtualHours: number;
  /** Of these, what was computed step by step. */
  computedHours: number;
  steps: number;
  cpuSeconds: number;
  faults: Record<string, number>;
  connections: Record<string, number>;
  checks: Record<string, number>;
  violations: { seed: number; problem: string }[];
}

const HOUR_US = 3_600_000_000;
const MOST_VIOLATIONS = 100;

export function load(file: string | null, options: string[]): Totals {
  if (file !== null && existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Totals;
  return {
    ...{ options, runs: 0, virtualHours: 0, computedHours: 0, steps: 0, cpuSeconds: 0 },
    ...{ faults: {}, connections: {}, checks: {}, violations: [] },
  };
}

export function save(file: string | null, totals: Totals): void {
  if (file === null) return;
  writeFileSync(`${file}.new`, `${JSON.stringify(totals, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}

export function add(totals: Totals, outcome: Outcome): void {
  totals.runs += 1;
  totals.virtualHours += (outcome.computedUs + outcome.lapsedUs) / HOUR_US;
  totals.computedHours += outcome.computedUs / HOUR_US;
  totals.steps += outcome.steps;
  totals.cpuSeconds += outcome.cpuUs / 1e6;
  sum(totals.faults, outcome.begun);
  sum(totals.connections, { ...outcome.traffic });
  sum(totals.checks, outcome.checks);
  const { seed, problem } = outcome;
  if (problem !== null && totals.violations.length < MOST_VIOLATIONS) totals.violations.push({ seed, problem });
}

function sum(into: Record<string, number>, from: Record<string, number | undefined>): void {
  for (const [name, value] of Object.entries(from)) into[name] = (into[name] ?? 0) + (value ?? 0);
}

export function tell(totals: Totals): string {
  const faults = Object.values(totals.faults).reduce((all, n) => all + n, 0);
  const { runs, virtualHours, computedHours, steps, cpuSeconds, connections, violations } = totals;
  return [
    `${runs} runs, ${virtualHours.toFixed(1)} virtual hours (${computedHours.toFixed(1)} computed step by step, ${steps} steps)`,
    `${faults} faults, ${connections.opened ?? 0} connections opened, ${violations.length} violations`,
    `${(cpuSeconds / Math.max(1, runs)).toFixed(3)} s of CPU for each run`,
  ].join('\n');
}
