/** `npm start` without a terminal: every phase in order, a table, and a verdict. */
import { FIREWALLS } from '../lab/plan.ts';
import { machine, type Stage } from '../lab/stage.ts';
import { PHASES, type PhaseResult, play } from './phases.ts';
import { phaseTable } from './table.ts';

/** @returns exit code: 0 only when every invariant held */
export async function runScript(stage: Stage, say: (text: string) => void): Promise<number> {
  const results: PhaseResult[] = [];
  for (const phase of PHASES) {
    const result = await play(stage, phase);
    results.push(result);
    say(`${phase.name}: ${result.problems.length === 0 ? 'ok' : 'NOT OK'} (${result.seconds.toFixed(1)} s)`);
    for (const problem of result.problems) say(`  ${problem}`);
    // After a failure the following phases start from an unknown state; their figures would mislead.
    if (result.problems.length > 0) break;
  }
  const problems = [
    ...results.flatMap((one) => one.problems.map((problem) => `${one.phase}: ${problem}`)),
    ...stage.watch.violations,
  ];
  process.stdout.write(`\n${new Date().toISOString().slice(0, 10)}, ${machine()}\n${phaseTable(results)}\n\n`);
  const longest = Math.max(0, ...stage.watch.overlap.values());
  process.stdout.write(`two masters of one vhid at the same time: ${longest.toFixed(0)} ms at most\n`);
  if (problems.length === 0) {
    process.stdout.write('every invariant held\n');
    return 0;
  }
  process.stdout.write(`NOT OK:\n${problems.map((problem) => `  ${problem}`).join('\n')}\n`);
  for (const name of FIREWALLS) process.stdout.write(`\nlast log lines of ${name}:\n${stage.pair[name].logTail()}\n`);
  return 1;
}
