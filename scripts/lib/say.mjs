/** What the set-up scripts tell the person in front of them: one line a fact, on standard error. */

const started = Date.now();

/** @param {string} text one line; what is being done or was found */
export function say(text) {
  const seconds = ((Date.now() - started) / 1000).toFixed(1).padStart(5);
  process.stderr.write(`[${seconds} s] ${text}\n`);
}

/** An error for the person, not for the programmer: shown as one line, without a stack. */
export class Refusal extends Error {}

/**
 * Runs a script's main function: a Refusal becomes one line and exit 1, anything else keeps its stack.
 * @param {() => Promise<number | undefined | void>} main returns the exit code
 */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (error instanceof Refusal) process.stderr.write(`error: ${error.message}\n`);
    else process.stderr.write(`${error?.stack ?? error}\n`);
    process.exitCode = 1;
  }
}
