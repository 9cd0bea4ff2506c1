/** The program: hands the command line and the real world to cli/app.ts. */

import sea from 'node:sea';
import { runCli } from './cli/app.ts';
import type { Io } from './cli/command.ts';
import { withoutRuntimeVariables } from './cli/environment.ts';

// The program starts again, as the same process, when its environment steers the runtime. A checkout is not the
// product.
const clean = sea.isSea() ? withoutRuntimeVariables(process.env) : null;
if (clean !== null) process.execve?.(process.execPath, [process.execPath, ...process.argv.slice(2)], clean);

/** A reader that has seen enough (`carpio states | head`) is no failure. */
function endQuietly(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
}

function write(text: string): Promise<void> {
  return new Promise((resolve) => {
    if (process.stdout.write(text)) resolve();
    else process.stdout.once('drain', resolve);
  });
}

const io: Io = {
  out: write,
  err: (line) => process.stderr.write(`${line}\n`),
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
  now: Date.now,
  native: {
    runNode: async (options) => (await import('./node/run.ts')).runNode(options),
    kernelProbe: async () => ({
      ...(await import('./kernel/probe.ts')).kernelProbe,
      gate: (await import('./gate/probe.ts')).gateProbe,
    }),
  },
};

process.stdout.on('error', endQuietly);
process.stderr.on('error', () => {}); // nobody to tell

const ended = runCli(process.argv.slice(2), io);

ended.then((code) => {
  // An add-on's handle must not keep a finished command alive; what was written goes out first.
  process.stdout.write('', () => process.exit(code));
});
