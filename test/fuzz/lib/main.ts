/**
 * npm run fuzz, second half.
 *
 *   main.ts [--target NAME,NAME] [--inputs N] [--seconds S] [--grow S] [--seed S] [--list]
 */
import { parseArgs } from 'node:util';
import { grow } from './coverage.ts';
import { type FuzzReport, fuzz, type Target } from './target.ts';
import { TARGETS } from './targets.ts';

const USAGE = `usage: npm run fuzz -- [--target NAME,NAME] [--inputs N] [--seconds S] [--grow S] [--seed S] [--list]
N inputs for each target (default 100000), at most S seconds for each (default 600).
--grow S: before that, S seconds for each guided by coverage: what reaches new code joins the inputs that are mutated.
Exit: 0 nothing was found, 1 findings (each with its input in hex), 2 used wrongly.
`;

function line({ target, inputs, seconds, longestMs, grownKb, findings }: FuzzReport): string {
  const rate = seconds > 0 ? Math.round(inputs / seconds) : 0;
  const slow = longestMs > 0 ? `, slowest ${longestMs.toFixed(1)} ms` : '';
  return `${target.padEnd(24)} ${String(inputs).padStart(11)} inputs ${seconds.toFixed(1).padStart(8)} s ${String(rate).padStart(9)}/s, memory +${grownKb} kB${slow}, ${findings.length} findings`;
}

function chosen(names: string | undefined): readonly Target[] {
  if (names === undefined) return TARGETS;
  return names.split(',').map((name) => {
    const target = TARGETS.find((one) => one.name === name.trim());
    if (target === undefined)
      throw new Error(`no target "${name}"; there are: ${TARGETS.map((t) => t.name).join(', ')}`);
    return target;
  });
}

function grownTarget(target: Target, seed: number, ms: number): Target {
  if (ms === 0) return target;
  const { corpus, tried, blocks } = grow(target, seed, ms);
  const more = corpus.length - target.corpus.length;
  process.stdout.write(
    `${target.name.padEnd(24)} guided: ${tried} inputs, ${blocks.before} -> ${blocks.after} blocks, ${more} inputs kept\n`,
  );
  return { ...target, corpus };
}

function main(): number {
  const { values } = parseArgs({
    options: {
      target: { type: 'string' },
      inputs: { type: 'string', default: '100000' },
      seconds: { type: 'string', default: '600' },
      grow: { type: 'string', default: '0' },
      seed: { type: 'string', default: '1' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) process.stdout.write(USAGE);
  if (values.list) for (const { name, what } of TARGETS) process.stdout.write(`${name.padEnd(24)} ${what}\n`);
  if (values.help || values.list) return 0;
  const number = (text: string): number => Number(text);
  const [inputs, seconds, seed] = [number(values.inputs), number(values.seconds), number(values.seed)];
  const growMs = number(values.grow) * 1000;
  if (!(inputs >= 1) || !(seconds > 0) || !(growMs >= 0) || !Number.isInteger(seed))
    throw new Error('a number is no number');
  let total = 0;
  let bad = 0;
  for (const target of chosen(values.target)) {
    const report = fuzz(grownTarget(target, seed, growMs), { seed, inputs, withinMs: seconds * 1000 });
    total += report.inputs;
    bad += report.findings.length;
    process.stdout.write(`${line(report)}\n`);
    for (const { problem, input } of report.findings) process.stdout.write(`  FOUND ${problem}\n    ${input}\n`);
  }
  process.stdout.write(`seed ${seed}: ${total} inputs, ${bad} findings\n`);
  return bad === 0 ? 0 : 1;
}

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  process.exitCode = 2;
}
