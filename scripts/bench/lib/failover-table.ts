/** The failover bench's figures as a table: one block an event, one line a stack. */
import type { Outcome } from './failover-events.ts';
import { type Spread, spread } from './output.ts';

export interface Row {
  event: string;
  title: string;
  stack: string;
  runs: number;
  /** Runs in which nothing was answered again while the window was open; they count with how long it was. */
  never: number;
  gap_ms: Spread;
  lost: number;
  led_ms: Spread | null;
  both_ms: Spread;
  both_open: number;
  late_ms: number[];
}

export function rowOf(event: { name: string; title: string }, stack: string, all: readonly Outcome[]): Row {
  const led = all.flatMap(({ led_ms }) => (led_ms === null ? [] : [led_ms]));
  return {
    event: event.name,
    title: event.title,
    stack,
    runs: all.length,
    never: all.filter((one) => !one.answered).length,
    gap_ms: spread(all.map((one) => one.gap_ms)),
    lost: spread(all.map((one) => one.lost)).median,
    led_ms: led.length > 0 ? spread(led) : null,
    both_ms: spread(all.map((one) => one.both_ms)),
    both_open: all.filter((one) => one.both_open).length,
    late_ms: all.map((one) => one.late_ms),
  };
}

const HEAD = ['', 'median', 'least', 'worst', 'lost', 'moved', 'both hold', 'probe itself late, by run'];
const WIDTHS = [24, 8, 8, 8, 7, 8, 12];

const line = (cells: readonly string[]): string =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(WIDTHS[i] ?? 0) : cell.padStart(WIDTHS[i] ?? 0))).join(' ');

const ms = (n: number): string => n.toFixed(0);

function both(row: Row): string {
  if (row.both_open > 0) return `>${ms(row.both_ms.most)} (${row.both_open}x)`;
  return ms(row.both_ms.most);
}

function cells(row: Row): string[] {
  const open = (least: number, value: number): string => (row.never >= least ? '>' : '') + ms(value);
  return [
    `  ${row.stack}`,
    open(Math.ceil((row.runs + 1) / 2), row.gap_ms.median),
    open(row.runs, row.gap_ms.least),
    open(1, row.gap_ms.most),
    ms(row.lost),
    row.led_ms ? ms(row.led_ms.median) : 'never',
    both(row),
    ` ${row.late_ms.map(ms).join(' ')}`,
  ];
}

/** @param rows in the order of events, then of stacks */
export function table(rows: readonly Row[]): string {
  const events = [...new Set(rows.map((row) => row.event))];
  const blocks = events.map((event) => {
    const own = rows.filter((row) => row.event === event);
    return [`${own[0]?.title} (${own[0]?.event})`, line(HEAD), ...own.map((row) => line(cells(row)))].join('\n');
  });
  const head = [
    'Longest silence of a UDP echo probe every 2 ms through source NAT, ms; lost: probes, median;',
    'moved: from the event until the new master holds both addresses, median; both hold: the longest time one address was',
    'in both kernels, worst run; ">": not over when the window was closed.',
  ];
  return [head.join('\n'), ...blocks].join('\n\n');
}
