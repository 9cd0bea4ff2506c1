/**
 * npm run soak, second half: goes into the lab's namespaces and soaks there.
 *
 *   main.ts [--minutes M] [--seed S] [--connections N] [--rounds N] [--only NAME,NAME] [--keep FOLDER]
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { enterLab, furnish, insideLab } from '../lab/enter.ts';
import { machine } from '../lab/stage.ts';
import { FAULTS } from './faults.ts';
import { type SoakReport, soak } from './soak.ts';

const USAGE = `usage: npm run soak -- [--minutes M] [--seed S] [--connections N] [--rounds N] [--only FAULT,FAULT] [--keep FOLDER]
faults: ${FAULTS.map(({ name }) => name).join(', ')}
Exit: 0 every promise held, 1 a violation (seed, time line and logs are kept), 2 used wrongly.
`;

function options() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string', default: String(Math.floor(Date.now() / 1000) % 1_000_000) },
      connections: { type: 'string', default: '200' },
      rounds: { type: 'string' },
      only: { type: 'string' },
      keep: { type: 'string' },
    },
  });
  const number = (name: string, text: string, low: number, high: number): number => {
    const value = Number(text);
    if (!(value >= low && value <= high)) throw new Error(`--${name} ${text}: a number from ${low} to ${high}`);
    return value;
  };
  const only = values.only?.split(',').map((name) => name.trim());
  const unknown = only?.find((name) => !FAULTS.some((fault) => fault.name === name));
  if (unknown !== undefined) throw new Error(`--only: no fault has the name "${unknown}"`);
  const seed = number('seed', values.seed, 0, 2 ** 32 - 1);
  return {
    seed,
    minutes: number('minutes', values.minutes, 0, 24 * 60),
    connections: number('connections', values.connections, 1, 2000),
    keep: values.keep ?? fileURLToPath(new URL(`../../build/soak-${seed}`, import.meta.url)),
    ...(values.rounds === undefined ? {} : { rounds: number('rounds', values.rounds, 1, 1e6) }),
    ...(only === undefined ? {} : { only }),
  };
}

function summary({ seed, seconds, rounds, faults, violations, figures, replayed }: SoakReport): string {
  const count = Object.values(faults).reduce((sum, n) => sum + n, 0);
  const kinds = Object.entries(faults).sort(([, a], [, b]) => b - a);
  return `${machine()}
seed ${seed}: ${(seconds / 60).toFixed(1)} min, ${rounds} rounds, ${count} faults
faults: ${kinds.map(([name, n]) => `${name} ${n}`).join(', ')}
longest until settled after healing ${(figures.settleMs / 1000).toFixed(1)} s; resident at most ${(figures.residentKb / 1024).toFixed(0)} MB, \
grown at most ${(figures.grownKb / 1024).toFixed(0)} MB; descriptors at most ${figures.descriptors}; mended by verify --deep: ${figures.mended}; \
recorded steps that replayed to the same: ${replayed}
${violations.length === 0 ? 'every promise held' : `${violations.length} VIOLATIONS:\n${violations.join('\n')}`}
`;
}

async function inside(): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
  const begun = performance.now();
  const say = (text: string): void => {
    process.stdout.write(`[${((performance.now() - begun) / 1000).toFixed(1).padStart(6)} s] ${text}\n`);
  };
  const chosen = options();
  furnish();
  say(`seed ${chosen.seed}, ${chosen.minutes} min`);
  const report = await soak({ ...chosen, say });
  process.stdout.write(summary(report));
  return report.violations.length === 0 ? 0 : 1;
}

function outside(): void {
  if (process.argv.includes('--help')) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  let seed: number;
  try {
    seed = options().seed;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
  const child = enterLab(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--seed', String(seed)]);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  child.on('exit', (code) => process.exit(code ?? 128));
}

if (insideLab()) {
  inside().then(
    (code) => process.exit(code),
    (error: Error) => {
      process.stderr.write(`error: ${error.message}\n`);
      process.exit(1);
    },
  );
} else outside();
