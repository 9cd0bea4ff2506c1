/**
 * How long the client hears nothing when something fails: Carpio in three configurations beside keepalived and ucarp
 * (when installed), in one lab, stack after stack in every round, so that this machine's noise hits all alike.
 *
 * Usage: node scripts/bench/failover.ts [--quick] [--runs N] [--minutes N] [--stacks NAME,...] [--events SCENE,...]
 *        [--json] [--show-config] [--logs FOLDER] [--add]
 * --minutes: no new round after that; --add: goes on with the runs in bench-out/failover.json (a long measurement in
 *   parts, of the same build on the same machine: nothing checks that); --logs: both nodes' logs of every round go
 *   there. CARPIO_BINARY: another build.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { enterOrExit } from '../lab/enter.ts';
import { Lab } from '../lab/lab.ts';
import { ECHO_PORT, FIREWALLS, SERVER_IP } from '../lab/plan.ts';
import { Traffic } from '../lab/traffic.ts';
import type { Cluster, Stack } from './lib/failover-cluster.ts';
import { type Bench, type Outcome, play, SCENES, settle, titles } from './lib/failover-events.ts';
import { Holders } from './lib/failover-holders.ts';
import { versionOf } from './lib/failover-incumbents.ts';
import { STACKS } from './lib/failover-stacks.ts';
import { rowOf, table } from './lib/failover-table.ts';
import { option, quick, report, reported } from './lib/output.ts';

await enterOrExit(import.meta.url);

const PROBE_MS = 2;
/** The traffic programs of one round end by themselves after that. */
const LIFETIME_S = 600;

const runs = Number(option('--runs') ?? (quick ? 2 : 10));
const minutes = Number(option('--minutes') ?? Number.POSITIVE_INFINITY);
const logs = option('--logs');
const scenes = chosen('--events', SCENES);
const wanted = chosen(
  '--stacks',
  STACKS.map((stack) => stack.name),
);
const begun = performance.now();
const say = (text: string): void => {
  process.stderr.write(`[${((performance.now() - begun) / 1000).toFixed(0).padStart(4)} s] ${text}\n`);
};

function chosen(name: string, all: readonly string[]): string[] {
  const names = option(name)?.split(',') ?? [...all];
  const unknown = names.find((one) => !all.includes(one));
  if (unknown === undefined) return all.filter((one) => names.includes(one));
  process.stderr.write(`error: ${name}: there is no "${unknown}", only ${all.join(', ')}\n`);
  process.exit(2);
}

interface Seen extends Outcome {
  stack: string;
  run: number;
}

/** What an earlier part has measured. */
const earlier = process.argv.includes('--add')
  ? reported<{ runs: number; problems: string[]; outcomes: Seen[] }>('failover')
  : null;
const seen: Seen[] = earlier?.outcomes ?? [];
const problems: string[] = earlier?.problems ?? [];
const before = earlier?.runs ?? 0;

/** A fresh pair, all scenes, and nothing left of it. */
async function round(stack: Stack, run: number): Promise<void> {
  rmSync('/run/lab', { recursive: true, force: true });
  mkdirSync('/run/lab', { recursive: true });
  const lab = new Lab();
  await lab.up();
  const cluster = stack.create(lab);
  let holders: Holders | null = null;
  try {
    await cluster.start();
    holders = new Holders(lab, stack.gated);
    const bench: Bench = { lab, cluster, holders, probe: await startProbe(lab) };
    await settle(bench);
    await play(bench, scenes, (outcome) => seen.push({ stack: stack.name, run, ...outcome }));
  } catch (error) {
    problems.push(`${stack.name}, run ${run + 1}: ${(error as Error).message}`);
    say(problems.at(-1) ?? '');
  } finally {
    if (logs) keepLogs(cluster, `${stack.name}-${run + 1}`);
    holders?.close();
    await lab.down();
  }
}

async function startProbe(lab: Lab): Promise<Traffic> {
  const echo = new Traffic(lab, 'server', 'echo', [ECHO_PORT, LIFETIME_S]);
  await echo.told('ready', 10_000);
  const probe = new Traffic(lab, 'client', 'probe', [SERVER_IP, ECHO_PORT, PROBE_MS, LIFETIME_S]);
  await probe.told('ready', 20_000);
  return probe;
}

function keepLogs(cluster: Cluster, name: string): void {
  mkdirSync(logs ?? '', { recursive: true });
  for (const node of FIREWALLS) writeFileSync(`${logs}/${name}-${node}.log`, cluster.log(node));
}

const stacks = STACKS.filter((stack) => wanted.includes(stack.name));
for (const { title, missing } of stacks) if (missing) say(`skip ${title}: ${missing}`);
const here = stacks.filter((stack) => !stack.missing);

if (process.argv.includes('--show-config')) {
  for (const stack of here) process.stdout.write(`=== ${stack.title}\n${stack.show()}\n`);
  process.exit(0);
}

let rounds = 0;
for (; rounds < runs && performance.now() - begun < minutes * 60_000; rounds++) {
  for (const stack of here) {
    say(`run ${before + rounds + 1}: ${stack.title}`);
    await round(stack, before + rounds);
  }
}

const rows = titles(scenes).flatMap((event) =>
  here.flatMap(({ name, title }) => {
    const own = seen.filter((one) => one.stack === name && one.event === event.name);
    return own.length > 0 ? [rowOf(event, title, own)] : [];
  }),
);
const versions = {
  keepalived: here.some((stack) => stack.name.startsWith('keepalived')) ? await versionOf('keepalived', '-v') : null,
  ucarp: here.some((stack) => stack.name.startsWith('ucarp')) ? await versionOf('ucarp', '--help') : null,
};
const foot = [
  `${before + rounds} runs`,
  ...Object.entries(versions).flatMap(([name, v]) => (v ? [`${name} ${v}`] : [])),
];
const text = [table(rows), foot.join(', '), ...problems.map((problem) => `problem: ${problem}`)].join('\n\n');
report('failover', { runs: before + rounds, versions, problems, rows, outcomes: seen }, text);
process.exit(0);
