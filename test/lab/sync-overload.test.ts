/**
 * Too much: a sync link slower than the changes, and a peer that hardly runs. Memory stays bounded, no advert is late
 * enough for a second master, and when it ends both tables are equal, which a second look at both kernels confirms.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command, pause } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, DEVICES, PORTS, SERVER_IP } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { STORM_PORTS } from '../../scripts/lab/traffic/storm.ts';
import { inStep, type Sample } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../../scripts/lab/traffic/storm.ts', import.meta.url));
const FLOWS = 20_000;
/** Bits a second of the narrowed link: some 1,500 states, where 10,000 come. */
const NARROW = '300kbit';
/** A state takes some 150 bytes in the table; nothing that waits is kept a second time. */
const MEMORY_MB = 40;

const overload = suite('overload');
let stage: Stage;
prepare(overload, async () => {
  stage = await setUpStage({ connections: 50, config: { syncWhen: 'all' } });
  const ports = `${STORM_PORTS.low}-${STORM_PORTS.high}`;
  const drop = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${ports} drop; }; }`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', drop]);
});
leaveWhenDone(overload);

async function canShape(): Promise<boolean> {
  const tried = await command([
    ...['ip', 'netns', 'exec', 'fw-a', 'tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'tbf'],
    ...['rate', '1gbit', 'burst', '100kb', 'latency', '50ms'],
  ]).catch(() => null);
  return tried !== null;
}

async function storm(on: Stage, rate: number, first: number): Promise<void> {
  const client = bare(PORTS.client[0]?.addresses[0] ?? '');
  const line = [process.execPath, STORM, client, SERVER_IP, String(rate), String(FLOWS), String(first)];
  await on.lab.exec('client', line, { timeoutMs: 60_000 });
}

function residentMb(pid: number | null): number {
  const status = readFileSync(`/proc/${pid ?? 0}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** Both nodes hold the same, their kernels too, and no role or connection was lost on the way. */
async function settlesEqual(on: Stage, least: number): Promise<void> {
  // What each says of itself is looked at one after the other, so both are asked for until it fits.
  const caughtUp = (sample: Sample): boolean => {
    const own = sample['fw-a']?.sync?.states.own ?? 0;
    return inStep(sample) && own >= least && sample['fw-b']?.sync?.states.mirrored === own;
  };
  await on.watch.until(`both to be in step, with ${least} states and more`, caughtUp, 60_000);
  const deep = await on.pair['fw-b'].ask<{ in_step: boolean; differences: string[] }>('verify', { deep: true });
  assert.ok(deep.ok && deep.result.in_step, JSON.stringify(deep));
  assert.is((await on.traffic.worked()).alive, 50);
  assert.equal(on.watch.violations, []);
}

const promise = onStage(overload, () => stage);

promise(
  'a sync link slower than the changes: the backlog is bounded, and gone when the link is wide again',
  async (on) => {
    const { lab, pair, traffic } = on;
    if (!(await canShape())) {
      console.log('skipped: this kernel has no tc tbf');
      return;
    }
    await traffic.arm();
    const before = residentMb(pair['fw-a'].pid);
    const shape = ['tc', 'qdisc', 'add', 'dev', DEVICES.sync, 'root', 'tbf'];
    await lab.exec('fw-a', [...shape, 'rate', NARROW, 'burst', '4kb', 'latency', '100ms']);
    await storm(on, 10_000, 0);
    const behind = (await pair['fw-b'].status())?.sync?.states.mirrored ?? 0;
    const after = residentMb(pair['fw-a'].pid);
    console.log(
      `${behind} of ${FLOWS} at the peer when the storm ended, ${(after - before).toFixed(0)} MB more memory`,
    );
    assert.ok(behind < FLOWS, 'the link was too narrow, or this test would prove nothing');
    assert.ok(after - before < MEMORY_MB, `${before} MB before, ${after} MB after`);
    await lab.exec('fw-a', ['tc', 'qdisc', 'del', 'dev', DEVICES.sync, 'root']);
    await settlesEqual(on, FLOWS);
  },
);

promise('a peer that runs a fifth of the time: the same', async (on) => {
  const { pair, traffic } = on;
  const pid = pair['fw-b'].pid ?? 0;
  await traffic.arm();
  let stopped = false;
  const before = residentMb(pair['fw-a'].pid);
  const slowly = (async () => {
    // Stopped for less than what the election takes for death.
    while (!stopped) {
      process.kill(pid, 'SIGSTOP');
      await pause(80);
      process.kill(pid, 'SIGCONT');
      await pause(20);
    }
  })();
  try {
    await storm(on, 10_000, FLOWS);
  } finally {
    stopped = true;
    await slowly;
  }
  const after = residentMb(pair['fw-a'].pid);
  assert.ok(after - before < MEMORY_MB, `${before} MB before, ${after} MB after`);
  await settlesEqual(on, FLOWS);
});

overload.run();
