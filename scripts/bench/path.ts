/**
 * States through the whole path, in the lab: a flow opens on the master, and its state stands in the backup's kernel.
 * New UDP flows through source NAT at several rates: lag until in the backup's kernel, bytes on the sync link and CPU
 * for each state, memory. With conntrackd beside it in the same run when it is installed.
 *
 * The daemons run for months: before the measurement they sync flows for a while, so that the runtime has compiled what
 * it will (`--warm 0`: as they are after their start). The flows of that time stay open; none of them ends while is
 * measured.
 *
 * Usage: node scripts/bench/path.ts [--quick] [--stacks NAME,...] [--rates N,N...] [--runs N] [--seconds N] [--warm N]
 * [--json]
 */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { command, pause, which } from '../lab/command.ts';
import { enterOrExit } from '../lab/enter.ts';
import { Lab } from '../lab/lab.ts';
import { bare, PORTS, SERVER_IP } from '../lab/plan.ts';
import { STORM_PORTS } from '../lab/traffic/storm.ts';
import { lags, percentiles, readCurve } from './lib/lag.ts';
import { option, quick, report, type Spread, spread } from './lib/output.ts';
import { PATH_STACKS, type PathStack } from './lib/path-stacks.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../lab/traffic/storm.ts', import.meta.url));
const WATCH = fileURLToPath(new URL('./lib/count-watch.ts', import.meta.url));
const rates = (option('--rates') ?? '5000,20000').split(',').map(Number);
const runs = Number(option('--runs') ?? (quick ? 1 : 3));
const seconds = Number(option('--seconds') ?? (quick ? 2 : 5));
/** Seconds; with the measured ones below the 30 after which a flow without an answer ends. */
const warm = Number(option('--warm') ?? (quick ? 3 : 20));
const WARM_RATE = 5000;
const wanted = (option('--stacks') ?? PATH_STACKS.map((one) => one.name).join(',')).split(',');

/** Generator and watcher must not wait for a processor, or the lag is theirs. */
const PROMPT = which('chrt') ? ['chrt', '-r', '30'] : [];

interface Run {
  created: number;
  reached: number;
  lagMedian: number;
  lagP95: number;
  lagWorst: number;
  bytesPerState: number;
  masterCpu: number;
  backupCpu: number;
  masterRss: number;
  /** Load average of the last minute: what else the machine had to do. */
  load: number;
}

/** CPU time of all threads of a process, s. */
function cpu(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const ns = tasks.map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]));
  return ns.reduce((sum, n) => sum + n, 0) / 1e9;
}

function rssMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
}

async function held(lab: Lab, node: 'fw-a' | 'fw-b'): Promise<number> {
  return Number((await lab.exec(node, ['cat', '/proc/sys/net/netfilter/nf_conntrack_count'])).stdout);
}

function collect(child: ChildProcess): { text: () => string } {
  let text = '';
  child.stdout?.on('data', (part: Buffer) => {
    text += part.toString('latin1');
  });
  return { text: () => text };
}

/** @param from number of the first flow; no number is used twice */
async function flows(lab: Lab, rate: number, from: number, time: number): Promise<string> {
  const client = bare(PORTS.client[0]?.addresses[0] ?? '');
  const numbers = [rate, rate * time, from].map(String);
  const storm = [...PROMPT, process.execPath, STORM, client, SERVER_IP, ...numbers, 'curve'];
  return (await lab.exec('client', storm, { timeoutMs: time * 4000 + 10_000 })).stdout;
}

/** Lets the daemons work before the measurement. */
async function warmUp(lab: Lab): Promise<void> {
  if (warm === 0) return;
  const before = { a: await held(lab, 'fw-a'), b: await held(lab, 'fw-b') };
  await flows(lab, WARM_RATE, 0, warm);
  await drained(lab, (await held(lab, 'fw-a')) - before.a + before.b);
}

/** Until the backup has as many as the master, or makes no progress for 2 s. */
async function drained(lab: Lab, most: number): Promise<void> {
  for (let last = -1, since = Date.now(); Date.now() - since < 2000; await pause(50)) {
    const now = await held(lab, 'fw-b');
    if (now >= most) return;
    if (now !== last) since = Date.now();
    last = now;
  }
}

interface Measured {
  run: Run;
  lags: number[];
}

async function measure(stack: PathStack, rate: number): Promise<Measured> {
  const lab = new Lab();
  await lab.up();
  const rules = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${STORM_PORTS.low}-${STORM_PORTS.high} drop; }; }\n`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', rules.trim()]);
  try {
    const pids = await stack.start(lab);
    await warmUp(lab);
    const idleFrom = { at: performance.now(), bytes: await lab.syncBytes() };
    await pause(1000);
    const idle = ((await lab.syncBytes()) - idleFrom.bytes) / (performance.now() - idleFrom.at);
    const base = { a: await held(lab, 'fw-a'), b: await held(lab, 'fw-b') };
    const watch = lab.spawn('fw-b', [...PROMPT, process.execPath, WATCH, String(seconds * 4 + 15)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const seen = collect(watch);
    await pause(700);
    const start = { at: performance.now(), bytes: await lab.syncBytes(), a: cpu(pids['fw-a']), b: cpu(pids['fw-b']) };
    const sent = readCurve(await flows(lab, rate, WARM_RATE * warm, seconds));
    await drained(lab, (await held(lab, 'fw-a')) - base.a + base.b);
    const used = { a: cpu(pids['fw-a']) - start.a, b: cpu(pids['fw-b']) - start.b };
    const spent = { ms: performance.now() - start.at, bytes: (await lab.syncBytes()) - start.bytes };
    await pause(300);
    watch.kill();
    const [created, reached] = [(await held(lab, 'fw-a')) - base.a, (await held(lab, 'fw-b')) - base.b];
    const each = lags(sent, readCurve(seen.text()), base.b);
    const at = percentiles(each);
    return {
      lags: each,
      run: {
        created,
        reached,
        lagMedian: at[50] ?? Number.NaN,
        lagP95: at[95] ?? Number.NaN,
        lagWorst: at[100] ?? Number.NaN,
        bytesPerState: (spent.bytes - idle * spent.ms) / Math.max(1, reached),
        masterCpu: (used.a / created) * 1e5,
        backupCpu: (used.b / created) * 1e5,
        masterRss: rssMb(pids['fw-a']),
        load: loadavg()[0] ?? Number.NaN,
      },
    };
  } finally {
    await lab.down();
  }
}

const COLUMNS: [keyof Run, string, number][] = [
  ['created', 'states', 0],
  ['reached', "in the backup's kernel", 0],
  ['lagMedian', 'lag median, ms', 2],
  ['lagP95', 'lag p95, ms', 2],
  ['lagWorst', 'lag worst, ms', 1],
  ['bytesPerState', 'bytes a state', 1],
  ['masterCpu', 'master CPU s/100k', 2],
  ['backupCpu', 'backup CPU s/100k', 2],
  ['masterRss', 'master RSS, MB', 0],
  ['load', 'load of the machine', 1],
];

interface Result {
  stack: string;
  title: string;
  rate: number;
  figures: Record<string, Spread>;
  /** Lag in ms by percent, all runs together. */
  lag: number[];
}

const results: Result[] = [];
for (const stack of PATH_STACKS.filter((one) => wanted.includes(one.name))) {
  if (stack.missing !== null) {
    console.error(`${stack.title}: not measured, ${stack.missing}`);
    continue;
  }
  for (const rate of rates) {
    const all: Measured[] = [];
    for (let run = 0; run < runs; run++) all.push(await measure(stack, rate));
    const figures = Object.fromEntries(COLUMNS.map(([key]) => [key, spread(all.map((one) => one.run[key]))]));
    const lag = percentiles(all.flatMap((one) => one.lags));
    results.push({ stack: stack.name, title: stack.title, rate, figures, lag });
  }
}

const lines = results.map(({ title, rate, figures }) =>
  [
    `${title}: ${rate} new UDP flows a second through source NAT, ${seconds} s after ${warm} s, median (least - most) of ${runs}`,
    ...COLUMNS.map(([key, name, digits]) => {
      const one = figures[key];
      const text = (n: number | undefined): string => (n ?? Number.NaN).toFixed(digits);
      return `  ${name.padEnd(22)} ${text(one?.median)} (${text(one?.least)} - ${text(one?.most)})`;
    }),
  ].join('\n'),
);
report('path', { runs, seconds, warm, results }, lines.join('\n'));
process.exit(0);
