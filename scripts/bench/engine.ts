/**
 * The state table in WebAssembly against the same work in plain JavaScript: look up a connection by its key, insert or
 * update it, compute its keyed 128-bit fingerprint, keep the digest. Three tables:
 *
 *   wasm        asm/, as the product runs it
 *   c           the same table in C (lib/table.c), compiled with cc -O2 when there is a compiler
 *   js-typed    open addressing in typed arrays, SipHash in 32-bit halves: the best plain JavaScript
 *   js-map      a Map with string keys and an object for each state, the same SipHash
 *
 * Usage: node scripts/bench/engine.ts [--json] [--quick] [--states N,N...] [--runs N] [--only TABLE,...]
 * Times are processor time of the thread, so that other work on the machine costs caches only. They are medians over
 * the runs with the fastest and slowest; nothing is asserted.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadEngine } from '../../src/sync/table/engine.ts';
import { bench } from '../reference/bench-exports.ts';
import { MapTable, TypedTable } from './lib/js-tables.ts';
import { option, quick, report } from './lib/output.ts';
import { threadNs } from './lib/thread-clock.ts';

const RECORD = 144;
const only = option('--only')?.split(',') ?? null;
const CHUNK = 2000;
const OPERATIONS = ['insert', 'find', 'update', 'delete'] as const;
type Operation = (typeof OPERATIONS)[number];

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i * 13 + 5);

/** A table under test: works on the images that `fill` put into its chunk. */
interface Bench {
  chunk: Uint8Array;
  put(n: number): number;
  find(n: number): number;
  remove(n: number): number;
  /** Bytes all in, or null when only the heap's growth tells. */
  bytes(): number | null;
}

const builder: { buildBenchAsm(): string } = await import(new URL('../lib/asm.mjs', import.meta.url).href);
const wasm = readFileSync(builder.buildBenchAsm());

/**
 * Kept alive: the compiled module is shared with later instances, so they begin with code that is optimised already.
 */
const kept: Bench[] = [];

function wasmBench(states: number): Bench {
  const engine = loadEngine(wasm, { indexKey: KEY, maxStates: states * 2 });
  engine.setFingerprintKey(KEY);
  engine.reserve(states);
  const { offset } = engine.areas.sync;
  return {
    get chunk() {
      return engine.view().subarray(offset, offset + CHUNK * RECORD);
    },
    put: (n) => bench(engine).benchUpdate(offset, n),
    find: (n) => bench(engine).benchFind(offset, n),
    remove: (n) => bench(engine).benchDelete(offset, n),
    bytes: () => engine.x.memoryUsed(),
  };
}

function jsBench(table: TypedTable | MapTable): Bench {
  return {
    chunk: table.chunk,
    put: (n) => table.put(n),
    find: (n) => table.find(n),
    remove: (n) => table.remove(n),
    bytes: () => table.bytes(),
  };
}

const TABLES: Record<string, (states: number) => Bench> = {
  wasm: wasmBench,
  'js-typed': (states) => jsBench(new TypedTable(KEY, CHUNK, states)),
  'js-map': () => jsBench(new MapTable(KEY, CHUNK)),
};

/** Image `at` of the chunk becomes state number `id`: UDP with source NAT. */
function image(view: DataView, at: number, id: number, mark: number): void {
  const o = at * RECORD;
  const port = 1024 + (id % 50_000);
  view.setUint16(o + 10, 17 | (2 << 8), true);
  view.setUint16(o + 12, port, true);
  view.setUint16(o + 14, 53, true);
  view.setUint32(o + 16, 0x0a000000 + Math.floor(id / 50_000) * 7919, false);
  view.setUint32(o + 32, 0x08080000 + (id % 251), false);
  view.setUint32(o + 48, 0x08080000 + (id % 251), false);
  view.setUint32(o + 64, 0xcb007101, false);
  view.setUint16(o + 80, 53, true);
  view.setUint16(o + 82, port, true);
  view.setUint32(o + 84, mark, true);
  view.setUint16(o + 88, 0xe, true);
}

/** States come in an order that has nothing to do with where they lie. Below 2^53: exact. */
function spread(i: number, states: number, step: number): number {
  return (i * step) % states;
}

/** Nanoseconds an operation takes in this table, over all states. */
function timed(bench: Bench, states: number, step: number, mark: number, run: (n: number) => number): number {
  let total = 0;
  let done = 0;
  for (let from = 0; from < states; from += CHUNK) {
    const n = Math.min(CHUNK, states - from);
    const { chunk } = bench;
    chunk.fill(0);
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let i = 0; i < n; i++) image(view, i, spread(from + i, states, step), mark);
    const begin = threadNs();
    done += run(n);
    total += threadNs() - begin;
  }
  if (done !== states && mark === 0) throw new Error(`${done} of ${states}: the table lost states`);
  return total / states;
}

function collect(): number {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  if (typeof gc === 'function') gc();
  return process.memoryUsage().heapUsed;
}

interface Run {
  times: Record<Operation, number>;
  bytesPerState: number;
}

function once(name: string, states: number): Run {
  const heap = collect();
  const make = TABLES[name];
  if (make === undefined) throw new Error(`no table ${name}`);
  const bench = make(states);
  const insert = timed(bench, states, 7919, 0, (n) => bench.put(n));
  const bytes = bench.bytes() ?? collect() - heap;
  const find = timed(bench, states, 104_729, 0, (n) => bench.find(n));
  const update = timed(bench, states, 15_485_863, 1, (n) => bench.put(n));
  const remove = timed(bench, states, 49_979_687, 0, (n) => bench.remove(n));
  return { times: { insert, find, update, delete: remove }, bytesPerState: bytes / states };
}

interface Figure {
  table: string;
  states: number;
  operation: Operation | 'memory';
  unit: 'ns' | 'B';
  median: number;
  least: number;
  most: number;
}

function figure(table: string, states: number, operation: Figure['operation'], values: number[]): Figure {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (i: number): number => Number((sorted[i] ?? 0).toFixed(1));
  const unit = operation === 'memory' ? 'B' : 'ns';
  const median = at(Math.floor(sorted.length / 2));
  return { table, states, operation, unit, median, least: at(0), most: at(sorted.length - 1) };
}

/** The product runs for months; a benchmark must give the compilers time to do their work first. */
function warmUp(name: string): void {
  const bench = TABLES[name]?.(4 * CHUNK);
  if (bench === undefined) throw new Error(`no table ${name}`);
  kept.push(bench);
  for (let i = 0; i < 60; i++) {
    for (const step of [7919, 104_729]) timed(bench, 4 * CHUNK, step, 1, (n) => bench.put(n));
    timed(bench, 4 * CHUNK, 7919, 0, (n) => bench.find(n));
    timed(bench, 4 * CHUNK, 7919, 1, (n) => bench.remove(n));
  }
}

/** lib/table.c, compiled; null without a compiler. */
function compileC(folder: string): string | null {
  const program = join(folder, 'table');
  const source = fileURLToPath(new URL('./lib/table.c', import.meta.url));
  try {
    execFileSync('cc', ['-O2', '-fno-strict-aliasing', '-o', program, source], { stdio: 'pipe' });
    return program;
  } catch (error) {
    console.error(`C: not measured, ${(error as Error).message.split('\n')[0]}`);
    return null;
  }
}

/** One run in C: a process of its own, whose first table (the same size) is its warm-up and is not told. */
function onceInC(program: string, states: number): Run {
  const text = execFileSync(program, [states, states].map(String), { encoding: 'utf8' });
  const [, insert, find, update, remove, bytes] = (text.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  const at = (value: number | undefined): number => value ?? Number.NaN;
  const times = { insert: at(insert), find: at(find), update: at(update), delete: at(remove) };
  return { times, bytesPerState: at(bytes) };
}

/** All tables in turns, so that a change of the machine's mood meets all of them. */
function measure(states: number, runs: number, program: string | null): Figure[] {
  const names = Object.keys(TABLES).filter((name) => only === null || only.includes(name));
  if (kept.length === 0) names.forEach(warmUp);
  const all = new Map<string, Run[]>();
  for (let run = 0; run < runs; run++) {
    if (program !== null) all.set('c', [...(all.get('c') ?? []), onceInC(program, states)]);
    for (const name of names) all.set(name, [...(all.get(name) ?? []), once(name, states)]);
  }
  return [...all].flatMap(([name, done]) => [
    ...OPERATIONS.map((operation) => {
      const times = done.map((run) => run.times[operation]);
      return figure(name, states, operation, times);
    }),
    figure(
      name,
      states,
      'memory',
      done.map((run) => run.bytesPerState),
    ),
  ]);
}

function table(figures: Figure[]): string {
  const lines = figures.map((f) => {
    const base = figures.find((o) => o.table === 'wasm' && o.states === f.states && o.operation === f.operation);
    const ratio = base === undefined || base.median === 0 ? '' : `${(f.median / base.median).toFixed(2)} x wasm`;
    const value = `${f.median.toFixed(0).padStart(7)} ${f.unit}  (${f.least.toFixed(0)} - ${f.most.toFixed(0)})`;
    return `${String(f.states).padStart(8)}  ${f.table.padEnd(9)} ${f.operation.padEnd(7)} ${value.padEnd(30)} ${ratio}`;
  });
  return ['  states  table     what        median  (least - most), per state', ...lines].join('\n');
}

const sizes = (option('--states') ?? (quick ? '100000' : '100000,1000000')).split(',').map(Number);
const runs = Number(option('--runs') ?? (quick ? 3 : 5));
const folder = mkdtempSync(join(tmpdir(), 'carpio-bench-'));
const program = compileC(folder);
const figures = sizes.flatMap((states) => measure(states, runs, program));
rmSync(folder, { recursive: true, force: true });
figures.sort(
  (a, b) =>
    a.states - b.states || OPERATIONS.indexOf(a.operation as Operation) - OPERATIONS.indexOf(b.operation as Operation),
);
report('engine', { runs, figures }, table(figures));
