/** The upgrade of a running pair to another version, the backup first, under one TCP connection through NAT. */
import { fileURLToPath } from 'node:url';
import type { NodeStatus } from '../../../src/contract/status.ts';
import { bundleOf, renamedRoot } from './bundles.ts';
import type { Machine } from './machine.ts';
import { note, waitFor } from './run.ts';
import { ADDRESSES, type BoxName, PASSWORD, TOKEN } from './settings.ts';
import { serveFiles, statusOf, type Talk } from './street.ts';

/** Seconds: download, writing, restart and trial, emulated, on a busy machine. */
const UPGRADE_S = 2400;
const OTHER: Record<BoxName, BoxName> = { 'fw-a': 'fw-b', 'fw-b': 'fw-a' };
const build = fileURLToPath(new URL('../../../build/firmware', import.meta.url));

interface RunningPair {
  boxes: ReadonlyMap<BoxName, Machine>;
  talk: Talk;
  work: string;
}

const status = (name: BoxName): Promise<NodeStatus | null> => statusOf(ADDRESSES[name], TOKEN);

/** Logs in. @returns what the box uses while it does nothing, as text */
export async function idle(box: Machine): Promise<string> {
  box.type('\n');
  await box.login(PASSWORD, 600);
  // The remote syslog runs on no box that was not told of one.
  return box.shell('free -m; systemctl --failed --no-legend --no-pager; ! pidof rsyslogd', 300);
}

/** 0.1.0 becomes 0.1.1: the same length, so that the program can be changed in place. */
const nextVersion = (version: string): string =>
  version.replace(/\d$/, (digit) => (digit === '9' ? '8' : String(Number(digit) + 1)));

async function upgradeOne(pair: RunningPair, name: BoxName, to: string): Promise<void> {
  const box = pair.boxes.get(name)!;
  const all = [...pair.boxes.values()];
  const peer = OTHER[name];
  const begun = performance.now();
  let before: string | undefined;
  const answers = async () => {
    before = (await status(name))?.role;
    return before !== undefined;
  };
  await waitFor(`${name} to answer`, UPGRADE_S, answers, all);
  pair.talk.longestGap();
  box.type('carpio upgrade http://192.168.1.10:8000/renamed.raucb\n');
  await box.expect(/written; restarting into the new system/, UPGRADE_S);
  await box.expect(/Booting .Carpio, slot B/, UPGRADE_S);
  await waitFor(`${peer} to be master`, UPGRADE_S, async () => (await status(peer))?.role === 'master', all);
  await box.expect(/slot B is proven/, UPGRADE_S);
  await waitFor(`${name} to run ${to}`, UPGRADE_S, async () => (await status(name))?.version === to, all);
  const inStep = async () =>
    (await status(name))?.sync?.in_step === true && (await status(peer))?.sync?.in_step === true;
  await waitFor('both to be in step', UPGRADE_S, inStep, all);
  const answered = pair.talk.answered;
  await waitFor('the same connection to answer', 300, async () => pair.talk.answered > answered + 8, all);
  const [own, others] = [await status(name), await status(peer)];
  const took = ((performance.now() - begun) / 60_000).toFixed(1);
  console.log(
    `${name}, ${before}, upgraded to ${own?.version} in ${took} minutes; in step with ${peer} ${others?.version}; ` +
      `roles now ${own?.role}, ${others?.role}; longest silence of the connection ${pair.talk.longestGap().toFixed(1)} s`,
  );
  note(box, `${name}: since power on`);
}

/** @throws Error when the connection ends, a box goes off, or the two do not come in step */
export async function upgradeBoth(pair: RunningPair): Promise<void> {
  const from = (await status('fw-a'))?.version ?? '';
  const to = nextVersion(from);
  const root = renamedRoot(`${build}/x86_64/root`, pair.work, from, to);
  bundleOf(root, pair.work, 'renamed', { cert: `${build}/upgrade.cert.pem`, key: `${build}/upgrade.key.pem` });
  const server = await serveFiles(pair.work);
  try {
    await upgradeOne(pair, 'fw-b', to);
    await idle(pair.boxes.get('fw-a')!);
    await upgradeOne(pair, 'fw-a', to);
  } finally {
    server.kill('SIGKILL');
  }
}
