/**
 * 11,000 advertisements a second: with a wrong signature from anywhere, recorded ones from the peer's own address. The
 * election runs at real-time priority, so what wakes it takes the processor from everything else, ssh and dataplane
 * included.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep } from '../../scripts/lab/watch.ts';
import { fromAddress, whole, withTimers } from './lib/replay.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { Sniffer } from './lib/sniff.ts';

await enterOrExit(import.meta.url);

const FLOOD = fileURLToPath(new URL('lib/flood-program.ts', import.meta.url));
const RATE = 11_000;
const FLOOD_MS = 4000;
/** What the budgets let through in that time: one host's 400 a second and 800 at once, the strangers' 100 and 400. */
const MOST_HEARD = 4000;
/** Of the frames that were sent, at least; a busy machine sends fewer than it is asked to. */
const LEAST_SENT = 4 * MOST_HEARD;
/** Clock ticks of /proc/PID/stat: USER_HZ is 100 on both processors of this product. */
const TICK_MS = 10;

const attack = suite('attack: a flood of advertisements');
let stage: Stage;
let recorded: Buffer;
prepare(attack, async () => {
  stage = await setUpStage({ connections: 50 });
  const wire = await Sniffer.start(stage.lab, 'client', 'eth0');
  const own = () => wire.adverts(2).find((advert) => advert.family === 4 && advert.from === '10.77.1.2');
  recorded = whole((await until('an advert of fw-a', own, { withinMs: 8000 })).value);
  wire.stop();
});
leaveWhenDone(attack);
const promise = onStage(attack, () => stage);

/** Processor time of the election's thread so far, ms. */
function electionMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[14 - 3]) + Number(fields[15 - 3])) * TICK_MS;
}

async function withstands(on: Stage, kind: 'random' | 'same', frame: Buffer): Promise<void> {
  const { lab, pair, traffic, watch } = on;
  const roles = (): unknown =>
    (['fw-a', 'fw-b'] as const).map((name) => watch.latest[name]?.carp.vips.map((vip) => [vip.state, vip.since]));
  const names = ['fw-a', 'fw-b'] as const;
  const heard = async (): Promise<number[]> =>
    Promise.all(names.map(async (name) => (await pair[name].status())?.carp.counters.ipackets ?? 0));
  const pids = names.map((name) => pair[name].pid ?? 0);
  const [before, began, first] = [roles(), pids.map(electionMs), await heard()];
  await traffic.mark();
  const begun = performance.now();
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', FLOOD, 'eth0'];
  const { stdout } = await lab.exec('client', [...argv, String(RATE), String(FLOOD_MS), kind, frame.toString('hex')]);
  const lasted = performance.now() - begun;
  const busy = pids.map((pid, i) => `${(100 * ((electionMs(pid) - (began[i] ?? 0)) / lasted)).toFixed(0)} %`);
  const reached = (await heard()).map((count, i) => count - (first[i] ?? 0));
  await traffic.arm();
  const said = `${stdout.trim()} frames, ${reached.join(' and ')} reached the elections, busy for ${busy.join(' and ')}`;
  process.stdout.write(`${kind}: ${said}\n`);
  assert.ok(Number(stdout) > LEAST_SENT, `the attacker was too slow: ${stdout} frames`);
  for (const count of reached) assert.ok(count < MOST_HEARD, said);
  assert.equal(roles(), before);
  await watch.until('both to be in step', inStep, 5000);
  assert.equal(watch.violations, []);
  assert.is((await traffic.worked()).alive, 50);
}

promise('from any address, with a signature that is wrong', (on) => {
  const forged = Buffer.from(recorded);
  forged[14 + 20 + 30] = (forged[14 + 20 + 30] ?? 0) ^ 1;
  return withstands(on, 'random', withTimers(forged, 1, 0));
});

promise('from one address that is no node', (on) => withstands(on, 'same', fromAddress(recorded, '10.77.1.99')));

promise('from the own address of the peer, while the sync link lives', (on) => withstands(on, 'same', recorded));

promise('what was over the budget never reached the daemons, and is counted', async ({ lab }) => {
  const { stdout } = await lab.exec('fw-b', ['nft', 'list', 'counter', 'inet', 'carpio', 'carp_flood']);
  const [, packets = '0'] = /packets (\d+)/.exec(stdout) ?? [];
  assert.ok(Number(packets) > LEAST_SENT, stdout);
});

attack.run();
