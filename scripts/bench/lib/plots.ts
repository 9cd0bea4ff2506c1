/**
 * The plots of docs/figures.md, from the JSON that the benches have written. Usage: node scripts/bench/lib/plots.ts
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Spread } from './output.ts';
import { plot } from './plot.ts';

const OUT = new URL('../../../bench-out/', import.meta.url);
const IMAGES = new URL('../../../docs/img/', import.meta.url);

interface PathResult {
  stack: string;
  rate: number;
  lag: number[];
  figures: Record<string, Spread>;
}

interface RepairFigure {
  cause: string;
  d: number;
  bytes: number;
}

function read<T>(name: string): T | null {
  const file = new URL(`${name}.json`, OUT);
  if (!existsSync(file)) {
    console.error(`${name}.json is missing: run scripts/bench/${name}.ts first`);
    return null;
  }
  return JSON.parse(readFileSync(file, 'utf8')) as T;
}

function write(name: string, svg: string): void {
  writeFileSync(new URL(`${name}.svg`, IMAGES), svg);
  console.log(`docs/img/${name}.svg`);
}

function lagPlot(results: readonly PathResult[]): void {
  const x = {
    title: 'ms until in the backup’s kernel',
    log: true,
    least: 0.1,
    most: 200,
    ticks: [0.1, 0.3, 1, 3, 10, 30, 100],
  };
  const y = { title: 'percent of the samples', least: 0, most: 100, ticks: [0, 25, 50, 75, 95, 100] };
  const lines = results.map(({ stack, rate, lag }) => ({
    name: `${stack}, ${rate.toLocaleString('en')} new flows a second`,
    dashed: stack !== 'carpio',
    points: lag.map((ms, percent): [number, number] => [ms, percent]),
  }));
  write('sync-lag', plot('Sync lag', x, y, lines));
}

function cpuPlot(results: readonly PathResult[]): void {
  const x = {
    title: 'new flows a second',
    log: true,
    least: 1000,
    most: 25_000,
    ticks: [1000, 2000, 5000, 10_000, 20_000],
  };
  const y = { title: 'CPU seconds for 100,000 new states', least: 0, most: 8, ticks: [0, 1, 2, 3, 4, 5, 6, 7, 8] };
  const of = (stack: string, key: string): [number, number][] =>
    results.filter((one) => one.stack === stack).map(({ rate, figures }) => [rate, figures[key]?.median ?? Number.NaN]);
  const lines = [...new Set(results.map((one) => one.stack))].flatMap((stack) => [
    { name: `${stack}, master`, points: of(stack, 'masterCpu'), dashed: stack !== 'carpio' },
    { name: `${stack}, backup`, points: of(stack, 'backupCpu'), dashed: stack !== 'carpio' },
  ]);
  write('sync-cpu', plot('CPU', x, y, lines));
}

function repairPlot(figures: readonly RepairFigure[], states: number): void {
  const x = { title: 'states that differ', log: true, least: 1, most: 10_000, ticks: [1, 10, 100, 1000, 10_000] };
  const y = {
    title: 'bytes on the link',
    log: true,
    least: 1000,
    most: 20_000_000,
    ticks: [1000, 10_000, 100_000, 1_000_000, 10_000_000],
  };
  const repairs = figures.filter((one) => one.cause === 'difference');
  const full = figures.find((one) => one.cause === 'full resend');
  const flat = (bytes: number): [number, number][] => [
    [1, bytes],
    [10_000, bytes],
  ];
  write(
    'repair-bytes',
    plot(`What a repair costs at ${states.toLocaleString('en')} states`, x, y, [
      { name: 'carpio, any cause', points: repairs.map(({ d, bytes }): [number, number] => [d, bytes]) },
      { name: 'conntrackd, any cause but a cut cable (11.4 MB)', points: flat(11_412_394), dashed: true },
      ...(full === undefined ? [] : [{ name: 'carpio, full resend', points: flat(full.bytes), dashed: true }]),
    ]),
  );
}

const path = read<{ results: PathResult[] }>('path');
if (path !== null) {
  lagPlot(path.results);
  cpuPlot(path.results);
}
const repair = read<{ figures: (RepairFigure & { states: number })[] }>('repair');
if (repair !== null) repairPlot(repair.figures, repair.figures[0]?.states ?? 0);
