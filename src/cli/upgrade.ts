import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.ts';

const IMAGE = '/usr/share/carpio/image';
const ENVIRONMENT = '/run/carpio-disk/grubenv';
const DOWNLOAD = '/data/upgrade.raucb';
const DOWNLOAD_MS = 30 * 60_000;
/**
 * What `systemctl reboot` ends in. It asks logind first, which the image does not have, and says twice that it failed.
 */
const REBOOT = ['start', '--no-block', '--job-mode=replace-irreversibly', 'reboot.target'];

/** Runs a program with its output on ours. @returns its exit code */
function call(program: string, args: readonly string[]): Promise<number> {
  return new Promise((done) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => done(127));
    child.on('close', (code) => done(code ?? 1));
  });
}

/** The slot that runs, from the kernel's command line. @throws CommandError outside of an image */
export function runningSlot(commandLine: string): 'A' | 'B' {
  const slot = /(?:^|\s)carpio\.slot=([AB])(?:\s|$)/.exec(commandLine)?.[1];
  if (slot !== 'A' && slot !== 'B')
    throw new CommandError('this is not a Carpio image; on Debian, install the new .deb');
  return slot;
}

async function download(url: string, io: Io): Promise<string> {
  await io.out(`fetching ${url}\n`);
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_MS) }).catch((error: Error) => {
    const cause = error.cause instanceof Error ? error.cause.message : error.message;
    throw new CommandError(`cannot fetch ${url}: ${cause}`);
  });
  if (!response.ok || !response.body) throw new CommandError(`cannot fetch ${url}: HTTP ${response.status}`);
  const bytes = Number(response.headers.get('content-length') ?? 0);
  const { bavail, bsize } = statfsSync('/data');
  if (bytes > bavail * bsize) throw new CommandError(`${url}: ${bytes} bytes, free are ${bavail * bsize} on /data`);
  await pipeline(
    Readable.fromWeb(response.body as import('node:stream/web').ReadableStream),
    createWriteStream(DOWNLOAD),
  );
  return DOWNLOAD;
}

async function install(file: string): Promise<void> {
  const other = runningSlot(readFileSync('/proc/cmdline', 'utf8')) === 'A' ? 'B' : 'A';
  // Not to be started while it is half written (RAUC sets OK when it is whole), and then it has to prove itself.
  const marked = (await call('grub-editenv', [ENVIRONMENT, 'set', `${other}_OK=0`])) === 0;
  if (!marked || (await call('grub-editenv', [ENVIRONMENT, 'unset', `${other}_GOOD`])) !== 0)
    throw new CommandError(`cannot write ${ENVIRONMENT}; are you root?`);
  if ((await call('rauc', ['install', file])) !== 0)
    throw new CommandError('not installed, see above; the running system stays as it is');
}

export const command: Command = {
  name: 'upgrade',
  positionals: ['FILE|URL'],
  options: [{ name: 'no-reboot', help: 'write and switch, but let somebody else restart the box' }],
  details: `
On Carpio's own images: checks the signature of carpio-VERSION-ARCH.raucb, writes it into the slot that does not run, and
restarts into it; the node hands over to its peer first. When the new system is not healthy within 3 minutes, the former
comes back by itself. Of a pair, upgrade the backup first; when it is in step again, the other.`,
  async run(args, io) {
    const source = args.positionals[0]!;
    runningSlot(readFileSync('/proc/cmdline', 'utf8'));
    if (!existsSync(IMAGE)) throw new CommandError(`${IMAGE} is missing: this is not a Carpio image`);
    const remote = /^https?:\/\//.test(source);
    if (!remote && !existsSync(source)) throw new UsageError(`${source}: no such file`);
    try {
      await install(remote ? await download(source, io) : resolve(source));
    } finally {
      if (remote) rmSync(DOWNLOAD, { force: true });
    }
    if (args.options['no-reboot'] === true) {
      await io.out('written; the next start is the new system\n');
      return EXIT.done;
    }
    await io.out('written; restarting into the new system\n');
    return (await call('systemctl', REBOOT)) === 0 ? EXIT.done : EXIT.no;
  },
};
