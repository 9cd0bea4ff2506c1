/**
 * The way into the lab: a process re-runs a file inside mount, network and PID namespaces of its own (and a user
 * namespace when it is not root), with an empty /run. Everything the lab makes lives in there, so nothing is left when
 * the process ends, whichever way it ends.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MARK = 'CARPIO_LAB';
const SPACES = ['--mount', '--net', '--pid', '--fork', '--mount-proc', '--kill-child'];

// An ordinary Debian user's PATH lacks the sbin folders, where nft and ip live.
process.env.PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;

/** True in a process that enterLab() started: it is process 1 of its own world. */
export const insideLab = (): boolean => process.env[MARK] === '1' && process.pid === 1;

/**
 * What unshare must be given here.
 * @returns arguments, or the reason why namespaces cannot be had on this machine
 */
function unshareArguments(): { args: string[] } | { refused: string } {
  const root = process.getuid?.() === 0;
  let last = '';
  for (const args of root ? [SPACES, ['-Ur', ...SPACES]] : [['-Ur', ...SPACES]]) {
    const tried = spawnSync('unshare', [...args, 'sh', '-c', 'mount -t tmpfs tmpfs /run && ip netns add try'], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    if (tried.status === 0) return { args };
    last = (tried.error?.message ?? tried.stderr ?? '').trim().split('\n').at(-1) ?? '';
  }
  const hint = root
    ? 'the container must allow CAP_SYS_ADMIN and CAP_NET_ADMIN'
    : 'run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)';
  return { refused: `network namespaces cannot be made here (${last}): ${hint}` };
}

/**
 * Starts a file inside fresh namespaces.
 * @param ipc give it a message channel; it ends when the channel closes (see bindToParent)
 * @throws Error when namespaces cannot be had
 */
export function enterLab(file: string, args: readonly string[], options: { ipc?: boolean } = {}): ChildProcess {
  const way = unshareArguments();
  if ('refused' in way) throw new Error(way.refused);
  // Without a channel the parent's death must reach unshare, and through --kill-child everything below it.
  const tied = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : [];
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', file, ...args];
  const argv = [...tied, 'unshare', ...way.args, ...node];
  return spawn(argv[0]!, argv.slice(1), {
    stdio: options.ipc ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
    env: { ...process.env, [MARK]: '1' },
  });
}

/** First thing inside: an empty /run for namespace names and sockets, loopback up. */
export function furnish(): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', '/run']);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
}

/**
 * For a lab test file, as its first statement: outside, runs the same file inside and exits as it exits (or prints the
 * reason for a skip); inside, furnishes and returns.
 * @param url the file's import.meta.url
 */
export async function enterOrExit(url: string): Promise<void> {
  if (insideLab()) return furnish();
  const way = unshareArguments();
  if ('refused' in way) {
    process.stdout.write(`skip: ${way.refused}\n`);
    process.exit(0);
  }
  const child = enterLab(fileURLToPath(url), process.argv.slice(2));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  const code = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      process.stdout.write(`${error.message}\n`);
      resolve(1);
    });
    child.on('exit', (status) => resolve(status ?? 128));
  });
  process.exit(code);
}
