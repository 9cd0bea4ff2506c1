/** What is fuzzed, and how a run of it is judged. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Random, seeded } from '../../../scripts/lib/random.ts';
import { makeWork, mutate } from './mutate.ts';

export interface Target {
  name: string;
  /** What it decodes, for people. */
  what: string;
  corpus: readonly Uint8Array[];
  /** Pieces that are put in now and then. */
  words?: readonly Uint8Array[];
  /** Longest input, bytes. */
  most: number;
  /** Decodes. Anything thrown is a finding. `bytes` may be used until the next call only. */
  run(bytes: Buffer): void;
  /** Now and then: does everything still hold? Throws if not. */
  check?(): void;
}

export interface Finding {
  target: string;
  input: string;
  problem: string;
}

export interface FuzzReport {
  target: string;
  inputs: number;
  seconds: number;
  longestMs: number;
  grownKb: number;
  findings: Finding[];
}

interface FuzzOptions {
  seed: number;
  inputs: number;
  /** Stops earlier when that many milliseconds have passed. */
  withinMs?: number;
  /** What counts as slow, ms; 50 when left out. */
  slowMs?: number;
}

/** One input must be done within this; measured again before it counts, because the machine does other things too. */
const SLOW_MS = 50;
const SLICE = 250;
const CHECK_EVERY = 20_000;
/** Growth that counts as a leak, after a warm-up and with all garbage collected. */
const GROWTH_KB = 32 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What is really held: the resident size only tells what the allocators have not given back. */
function heldKb(): number {
  // What the first collection finds outside the heap is given back behind its back; the second one waits for that.
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024;
}
const MOST_FINDINGS = 5;

export function fuzz(target: Target, options: FuzzOptions): FuzzReport {
  const random = seeded(options.seed);
  const work = makeWork(target.most);
  const words = target.words ?? [];
  const report: FuzzReport = { target: target.name, inputs: 0, seconds: 0, longestMs: 0, grownKb: 0, findings: [] };
  const begun = performance.now();
  let warm = 0;
  let sliceBegun = begun;
  const slowMs = options.slowMs ?? SLOW_MS;
  while (report.inputs < options.inputs && report.findings.length < MOST_FINDINGS) {
    mutate(work, random, target.corpus, words);
    const input = work.bytes.subarray(0, work.length);
    try {
      target.run(input);
    } catch (error) {
      found(report, target, input, error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    }
    report.inputs++;
    if (report.inputs % SLICE !== 0) continue;
    const now = performance.now();
    // Clocks cost more than most inputs: a slow one is looked for only in a slice that was slow as a whole.
    if (now - sliceBegun > slowMs * 5) lookForSlow(report, target, random, words, slowMs);
    if (report.inputs % CHECK_EVERY === 0) checkNow(report, target, input);
    if (report.inputs === CHECK_EVERY) warm = heldKb();
    sliceBegun = performance.now();
    if (options.withinMs !== undefined && now - begun > options.withinMs) break;
  }
  checkNow(report, target, work.bytes.subarray(0, work.length));
  if (warm > 0) report.grownKb = Math.max(0, Math.round(heldKb() - warm));
  if (report.grownKb > GROWTH_KB) found(report, target, Buffer.alloc(0), `memory has grown by ${report.grownKb} kB`);
  report.seconds = (performance.now() - begun) / 1000;
  return report;
}

function checkNow(report: FuzzReport, target: Target, input: Buffer): void {
  try {
    target.check?.();
  } catch (error) {
    found(report, target, input, `after input ${report.inputs}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Single inputs with a clock, for a moment. */
function lookForSlow(
  report: FuzzReport,
  target: Target,
  random: Random,
  words: readonly Uint8Array[],
  slowMs: number,
): void {
  const work = makeWork(target.most);
  for (let i = 0; i < 200; i++) {
    mutate(work, random, target.corpus, words);
    const input = work.bytes.subarray(0, work.length);
    const ms = fastest(target, input, slowMs);
    report.longestMs = Math.max(report.longestMs, ms);
    if (ms > slowMs) found(report, target, input, `took ${ms.toFixed(0)} ms`);
  }
}

/** The fastest of up to three: what is left is the input's own time. */
function fastest(target: Target, input: Buffer, slowMs: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3 && best > slowMs; tries++) {
    const begun = performance.now();
    try {
      target.run(input);
    } catch {
      // told elsewhere
    }
    best = Math.min(best, performance.now() - begun);
  }
  return best;
}

function found(report: FuzzReport, target: Target, input: Buffer, problem: string): void {
  report.findings.push({ target: target.name, input: input.toString('hex'), problem });
}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
