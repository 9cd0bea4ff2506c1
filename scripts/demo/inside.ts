/**
 * The demo inside the lab's namespaces. Started by main.ts with a message channel, over which it gets the listening
 * socket for the page; when the channel closes, this process ends and the lab with it.
 */
import type { Server } from 'node:net';
import { furnish } from '../lab/enter.ts';
import { setUpStage } from '../lab/stage.ts';
import { serveRelay } from './relay.ts';
import { Screen } from './screen.ts';
import { runScript } from './script.ts';

/** A demo that someone forgot ends by itself. */
const LIFETIME_S = { script: 600, screen: 12 * 3600 };

interface Hello {
  page: string;
}

process.on('disconnect', () => process.exit(1));
// Process 1 of a PID namespace ignores what it has no handler for.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

function hello(): Promise<{ page: string; server: Server | undefined }> {
  return new Promise((resolve) => {
    process.once('message', (message, server) =>
      resolve({ page: (message as Hello).page, server: server as Server | undefined }),
    );
  });
}

const begun = performance.now();
const say = (text: string): void => {
  process.stdout.write(`[${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s] ${text}\n`);
};

async function main(): Promise<number> {
  const { page, server } = await hello();
  const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const lifetime = interactive ? LIFETIME_S.screen : LIFETIME_S.script;
  setTimeout(() => {
    process.stderr.write(`error: the demo's limit of ${lifetime} s is reached\n`);
    process.exit(1);
  }, lifetime * 1000).unref();
  furnish();
  if (server) serveRelay(server);
  const stage = await setUpStage({ say, lifetimeS: lifetime });
  if (!interactive) return runScript(stage, say);
  await new Screen(stage, page).run();
  return 0;
}

process.send?.('listening');
main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`error: ${error.message}\n`);
    process.exit(1);
  },
);
