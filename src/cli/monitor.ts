import { readFileSync } from 'node:fs';
import { fileTrouble } from '../config/secret-files.ts';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.ts';
import { FeedClient, type FeedTarget, feedUrl } from './monitor/feed-client.ts';
import { showScreen } from './monitor/screen.ts';
import { eventText } from './monitor/view.ts';

const DEFAULT_TARGET = '127.0.0.1:8180';

export const command: Command = {
  name: 'monitor',
  positionals: ['[URL]'],
  options: [
    {
      name: 'token-file',
      value: 'FILE',
      help: "the token of a feed that is not loopback's (never on the command line)",
    },
    { name: 'ca', value: 'FILE', help: "certificate to trust the feed by, besides the system's" },
    { name: 'json', help: 'print the frames of the feed as they come, a line each' },
  ],
  details: `
Watches a node from any machine through its feed: the status, kept current, and the events below it. URL is HOST:PORT or an
address that begins with ws://, wss://, http:// or https:// (default ${DEFAULT_TARGET}). It comes back by itself when the
connection breaks, and says for how long it knew nothing. Into a pipe or a file it prints one line an event.
At a terminal: q quits.`,
  async run(args, io) {
    const { 'token-file': tokenFile, ca, json } = args.options;
    const target: FeedTarget = {
      url: targetUrl(args.positionals[0] ?? DEFAULT_TARGET),
      token: typeof tokenFile === 'string' ? read(tokenFile).trim() : null,
      ca: typeof ca === 'string' ? read(ca) : null,
    };
    if (json !== true && process.stdout.isTTY && process.stdin.isTTY) {
      await showScreen(target, io.colour);
      return EXIT.done;
    }
    return printEvents(target, json === true, io);
  },
};

function targetUrl(text: string): string {
  try {
    return feedUrl(text);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(`${path}: ${fileTrouble(error)}`);
  }
}

/** Until SIGTERM or SIGINT, or until nobody reads any more (main.ts ends then). */
async function printEvents(target: FeedTarget, json: boolean, io: Io): Promise<number> {
  const client = new FeedClient(target, {
    frame: (frame, text) => {
      if (json) void io.out(`${text}\n`);
      else if (frame.type === 'event') void io.out(`${eventText(frame)}\n`);
    },
    broken: (reason) => {
      if (reason !== null) io.err(`${target.url}: ${reason}; trying again`);
    },
  });
  await new Promise<void>((resolve) => process.once('SIGTERM', resolve).once('SIGINT', resolve));
  client.close();
  return EXIT.done;
}
