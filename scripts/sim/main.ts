/**
 * Runs the simulator: `npm run sim -- [--seed S] [--runs R] [--hours H] [--nodes N] ...`; see HELP.
 * Runs are done in batches by child processes, so that nothing that one leaves in memory reaches the next thousand.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BUGS } from './cluster/bugs.ts';
import { explain, shrink } from './cluster/shrink.ts';
import type { RunOptions } from './cluster/simulation.ts';
import { optionsOf, simulate } from './cluster/simulation.ts';
import type { Outcome } from './totals.ts';
import { add, load, save, tell } from './totals.ts';

const HELP = `npm run sim -- [options]
  --seed S       the first seed (1); seed S is always the same run
  --runs R       how many runs (20)
  --hours H      virtual hours of each (1)
  --nodes N      2 to 4; pairs sync states, larger clusters only elect (2)
  --episodes E   episodes of faults in an hour (8)
  --jobs J       processes at the same time (1)
  --seconds T    begin no further run after this time
  --json FILE    totals; a file that is there already is gone on with
  --bug NAME     break something on purpose: ${Object.keys(BUGS).join(', ')}
  --no-lapse     compute the quiet time between episodes too
  --no-shrink    show a violation as it came`;

const BATCH = 100;
const SAVE_EVERY = 20;

const { values } = parseArgs({
  options: {
    ...{ seed: { type: 'string' }, runs: { type: 'string' }, hours: { type: 'string' }, nodes: { type: 'string' } },
    ...{
      episodes: { type: 'string' },
      jobs: { type: 'string' },
      seconds: { type: 'string' },
      json: { type: 'string' },
    },
    ...{ bug: { type: 'string' }, batch: { type: 'string' } },
    ...{ 'no-lapse': { type: 'boolean' }, 'no-shrink': { type: 'boolean' }, help: { type: 'boolean' } },
  },
});

function number(name: 'seed' | 'runs' | 'hours' | 'nodes' | 'episodes' | 'jobs' | 'seconds', fallback: number): number {
  const value = Number(values[name] ?? fallback);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`--${name} must be a number above 0, not ${values[name]}`);
  return value;
}

function options(seed: number): RunOptions {
  const bug = values.bug === undefined ? null : (BUGS[values.bug] ?? null);
  if (values.bug !== undefined && bug === null) throw new Error(`no bug ${values.bug}; there are ${Object.keys(BUGS)}`);
  const boxes = Math.min(4, Math.max(2, Math.floor(number('nodes', 2))));
  const noLapse = values['no-lapse'] === true;
  return optionsOf(seed, { hours: number('hours', 1), boxes, episodes: number('episodes', 8), bug, noLapse });
}

function run(seed: number): Outcome {
  const before = process.cpuUsage();
  const { problem, computedUs, lapsedUs, steps, begun, traffic, checks } = simulate(options(seed));
  const { user, system } = process.cpuUsage(before);
  return { ...{ seed, problem, computedUs, lapsedUs, steps, begun, traffic, checks }, cpuUs: user + system };
}

/** A child: the seeds it was told, one outcome a line. */
function batch(text: string): void {
  const [first = 1, count = 1, stride = 1] = text.split(',').map(Number);
  for (let i = 0; i < count; i++) process.stdout.write(`${JSON.stringify(run(first + i * stride))}\n`);
}

function child(first: number, count: number, onOutcome: (outcome: Outcome) => void): Promise<void> {
  const rest = process.argv.slice(2);
  const argv = [...process.execArgv, fileURLToPath(import.meta.url), ...rest, '--batch', `${first},${count},1`];
  const running = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: running.stdout }).on('line', (line) => onOutcome(JSON.parse(line) as Outcome));
  return new Promise((resolve, reject) => {
    running.on('error', reject);
    running.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`a batch ended with exit ${code}`))));
  });
}

async function all(): Promise<number> {
  const begun = performance.now();
  const limit = values.seconds === undefined ? Number.POSITIVE_INFINITY : number('seconds', 1) * 1000;
  const totals = load(
    values.json ?? null,
    process.argv.slice(2).filter((one) => !one.startsWith('--json')),
  );
  const runs = number('runs', 20);
  let next = number('seed', 1) + totals.runs;
  const end = number('seed', 1) + runs;
  const onOutcome = (outcome: Outcome): void => {
    add(totals, outcome);
    if (outcome.problem !== null) process.stdout.write(`seed ${outcome.seed}: ${outcome.problem}\n`);
    if (totals.runs % SAVE_EVERY === 0) save(values.json ?? null, totals);
  };
  const lane = async (): Promise<void> => {
    while (next < end && performance.now() - begun < limit) {
      const first = next;
      const count = Math.min(BATCH, end - next);
      next += count;
      await child(first, count, onOutcome);
    }
  };
  await Promise.all(Array.from({ length: Math.floor(number('jobs', 1)) }, lane));
  save(values.json ?? null, totals);
  process.stdout.write(`${tell(totals)}\n`);
  const failed = totals.violations[0];
  if (failed === undefined) return 0;
  const first = simulate(options(failed.seed));
  const shown = values['no-shrink'] === true ? first : shrink(options(failed.seed), first);
  process.stdout.write(`${explain(shown)}\n`);
  return 1;
}

if (values.help === true) process.stdout.write(`${HELP}\n`);
else if (values.batch !== undefined) batch(values.batch);
else process.exitCode = await all();
