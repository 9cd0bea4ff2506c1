/** Lab tests on a running pair: a failure shows what both nodes said and logged. */
import type { Test } from 'uvu';
import { FIREWALLS } from '../../../scripts/lab/plan.ts';
import type { Stage } from '../../../scripts/lab/stage.ts';
import { describe } from '../../../scripts/lab/watch.ts';

/**
 * Like `suite(name, body)`, with the stage's state told when the body fails. `without`: a reason why this
 * machine cannot run the test; it is skipped with that reason.
 * @param current the stage when the test runs (it is made in a before hook, after the tests are declared)
 */
export function onStage<T extends Stage>(suite: Test, current: () => T) {
  return (name: string, body: (stage: T) => Promise<void>, without: string | null = null): void => {
    if (without) {
      process.stdout.write(`skip: ${name}: ${without}\n`);
      suite.skip(name, () => {});
      return;
    }
    suite(name, async () => {
      const stage = current();
      try {
        await body(stage);
      } catch (error) {
        process.stdout.write(`\n"${name}" failed: ${situation(stage).split('\n').join('\n    ')}\n`);
        throw error;
      }
    });
  };
}

function situation(stage: Stage): string {
  const logs = FIREWALLS.map(
    (name) => `last log lines of ${name}:\n${stage.pair[name].logTail(Number(process.env.LAB_TAIL ?? 15))}`,
  );
  return [describe(stage.watch.latest), ...stage.watch.violations, ...logs].join('\n');
}

/**
 * `suite.before`, with its error told: uvu itself loses what a before hook throws and counts the tests as not passed.
 */
export function prepare(suite: Test, make: () => Promise<void>): void {
  suite.before(async () => {
    try {
      await make();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.stdout.write(`\nthe scene could not be set: ${text}\n`);
      throw error;
    }
  });
}

/** The lab's namespaces end with the process; uvu has set the exit code by the time its last suite is done. */
export function leaveWhenDone(suite: Test): void {
  suite.after(() => {
    // uvu prints its summary after this hook, synchronously with the suite's end.
    setTimeout(() => process.exit(), 200);
  });
}
