/// <reference lib="dom" />
/** Two small charts of the last two minutes: new states a second, sync bytes a second. One line a node. */
import { element, fillRows, setText, svg } from './dom.ts';
import { rate } from './words.ts';

const WINDOW_S = 120;
const HEIGHT = 40;
/** A sample comes every second; the number beside the chart counts only nodes that still tell. */
const FRESH_MS = 2000;

/** One point: when (ms of the page's steady clock) and how much a second. `null` breaks the line. */
interface Point {
  at: number;
  value: number | null;
}

export interface Chart {
  root: HTMLElement;
  push(line: number, value: number | null, at: number): void;
  /** A vertical mark: something changed here. */
  mark(at: number): void;
  /** @param names of the lines */
  draw(now: number, names: string[]): void;
}

/** Turns a counter into a rate: `null` for the first reading and when the counter starts again. */
export function makeRate(): (counter: number | null, at: number) => number | null {
  let last: { counter: number; at: number } | null = null;
  return (counter, at) => {
    const before = last;
    last = counter === null ? null : { counter, at };
    if (before === null || counter === null || counter < before.counter || at <= before.at) return null;
    return ((counter - before.counter) * 1000) / (at - before.at);
  };
}

export function makeChart(name: string, unit: string, lines: number): Chart {
  const value = element('span', 'value');
  const top = element('span', 'top');
  const area = svg('svg', { viewBox: `0 0 ${WINDOW_S} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const marksPath = svg('path', { class: 'mark' });
  const paths = Array.from({ length: lines }, (_, n) => svg('path', { class: `line line-${n}` }));
  area.append(marksPath, ...paths);
  const legend = element('div', 'legend');
  const legendRows: { root: HTMLElement }[] = [];
  const head = element('div', 'chart-head', element('h3', '', name), legend, value, element('span', 'unit', unit));
  const root = element(
    'figure',
    'chart',
    head,
    element('div', 'plot', area, top, element('span', 'reach', 'last 2 min')),
  );
  const series: Point[][] = paths.map(() => []);
  let marks: number[] = [];

  const draw = (now: number, names: string[]): void => {
    const make = () => ({ root: element('span', '') });
    fillRows(legend, legendRows, names.slice(0, lines), make, (row, text) => setText(row.root, text));
    const start = now - WINDOW_S * 1000;
    const x = (at: number): string => ((at - start) / 1000).toFixed(2);
    for (const points of series) while (points.length > 0 && points[0]!.at < start) points.shift();
    marks = marks.filter((at) => at >= start);
    const ceiling = niceCeiling(Math.max(0, ...series.flat().map((point) => point.value ?? 0)));
    series.forEach((points, n) => {
      paths[n]!.setAttribute('d', linePath(points, x, ceiling));
    });
    marksPath.setAttribute('d', marks.map((at) => `M${x(at)} 0V${HEIGHT}`).join(''));
    setText(top, rate(ceiling));
    const latest = series.map((points) => points.at(-1)).filter((point) => point && now - point.at < FRESH_MS);
    const known = latest.flatMap((point) => (point?.value == null ? [] : [point.value]));
    setText(value, known.length === 0 ? '–' : rate(known.reduce((sum, n) => sum + n, 0)));
  };
  return {
    root,
    push: (line, number, at) => {
      series[line]?.push({ at, value: number });
    },
    mark: (at) => {
      marks.push(at);
      if (marks.length > WINDOW_S) marks.shift();
    },
    draw,
  };
}

function linePath(points: Point[], x: (at: number) => string, ceiling: number): string {
  let path = '';
  let pen = false;
  for (const { at, value } of points) {
    if (value !== null)
      path += `${pen ? 'L' : 'M'}${x(at)} ${(HEIGHT - (value / ceiling) * (HEIGHT - 2) - 1).toFixed(2)}`;
    pen = value !== null;
  }
  return path;
}

/** The next of 1, 2, 5, 10, 20 … above the highest value, so that the scale does not tremble. */
function niceCeiling(highest: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(highest, 1)));
  return ([1, 2, 5, 10].find((n) => n * power >= highest) ?? 10) * power;
}
