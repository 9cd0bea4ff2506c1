/**
 * From a schedule that ends in a violation to the shortest one found that still does, and how both boxes lived through
 * it.
 */
import type { Fault } from './faults.ts';
import { tellFault } from './faults.ts';
import type { RunOptions, RunResult } from './simulation.ts';
import { simulate } from './simulation.ts';

/** Runs that shrinking may cost. */
const MOST_RUNS = 120;
/** Lines of the time line before the violation. */
const MOST_LINES = 90;

/**
 * Delta debugging over the faults (Zeller's ddmin), then everything into as few episodes and as little time as
 * possible.
 */
export function shrink(options: RunOptions, first: RunResult, mostRuns = MOST_RUNS): RunResult {
  let best = first;
  let runs = 0;
  const fails = (faults: readonly Fault[]): boolean => {
    if (runs >= mostRuns) return false;
    runs += 1;
    const result = simulate({ ...options, faults });
    if (result.problem === null || kindOf(result) !== kindOf(first)) return false;
    best = result;
    return true;
  };
  let pieces = 2;
  while (best.faults.length > 1) {
    const size = Math.ceil(best.faults.length / pieces);
    const { faults } = best;
    const without = Array.from({ length: Math.ceil(faults.length / size) }, (_, i) =>
      faults.filter((_fault, at) => at < i * size || at >= (i + 1) * size),
    );
    if (without.some(fails)) pieces = Math.max(2, pieces - 1);
    else if (size === 1 || runs >= mostRuns) break;
    else pieces = Math.min(faults.length, pieces * 2);
  }
  if (best.faults.length === 1) fails([]);
  fails(
    best.faults.map((fault) => ({ ...fault, episode: fault.episode - Math.min(...best.faults.map((f) => f.episode)) })),
  );
  for (let i = 0; i < best.faults.length; i++) {
    for (const factor of [0.25, 0.6]) {
      const shorter = best.faults.map((f, at) => (at === i ? { ...f, forUs: Math.floor(f.forUs * factor) } : f));
      if (fails(shorter)) break;
    }
  }
  return best;
}

/** The first words of a violation, numbers and names out: what must stay the same while a schedule shrinks. */
export function kindOf(result: RunResult): string {
  return (result.problem ?? '').replace(/fw-[a-d]|[0-9.]+|(lan|wan)\/\S+/g, '').slice(0, 40);
}

/** Everything that a person needs to see what went wrong. */
export function explain(result: RunResult): string {
  const { plan, faults, lines } = result;
  const boxes = Array.from({ length: plan.boxes }, (_, i) => `fw-${'abcd'[i]}`);
  const width = 76;
  const shown = lines.filter((line) => !/carp.link |warning /.test(line.text)).slice(-MOST_LINES);
  const rows = shown.map(({ at, box, text }) => {
    const time = `${(at / 1e6).toFixed(4).padStart(10)} `;
    if (box === null) return `${time} -- ${text}`;
    return `${time} ${' '.repeat(box * 8)}${boxes[box]} ${text.slice(0, width * 2)}`;
  });
  return [
    `seed ${result.seed}: ${result.problem}`,
    `plan: ${JSON.stringify(plan)}`,
    `the shortest schedule found (${faults.length} faults):`,
    ...faults.map((fault) => `  ${tellFault(fault)}`),
    `as data: ${JSON.stringify(faults)}`,
    'time line, the last before the violation:',
    ...rows,
  ].join('\n');
}
