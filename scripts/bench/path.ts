/**
 * States through the whole path, in the lab: a flow opens on the master, and its state stands in the backup's kernel.
 * New UDP flows through source NAT at several rates: reached, bytes on the sync link and CPU per state, memory.
 *
 * Usage: node scripts/bench/path.ts [--quick] [--rates N,N...] [--runs N] [--seconds N] [--json]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { command, pause, until } from '../lab/command.ts';
import { enterOrExit } from '../lab/enter.ts';
import { Firewall } from '../lab/firewall.ts';
import { Lab } from '../lab/lab.ts';
import { bare, DEVICES, PORTS, SERVER_IP } from '../lab/plan.ts';
import { STORM_PORTS } from '../lab/traffic/storm.ts';
import { option, quick, report, type Spread, spread } from './lib/output.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../lab/traffic/storm.ts', import.meta.url));
const rates = (option('--rates') ?? '5000,20000').split(',').map(Number);
const runs = Number(option('--runs') ?? (quick ? 1 : 3));
const seconds = Number(option('--seconds') ?? (quick ? 2 : 5));

interface Run {
  created: number;
  reached: number;
  /** From the last packet until the backup had everything, ms. */
  drain: number;
  bytesPerState: number;
  masterCpu: number;
  backupCpu: number;
  masterRss: number;
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

/** Bytes in Ethernet frames that one node's end of the sync cable has seen, both ways. */
async function cableBytes(lab: Lab): Promise<number> {
  const counters = ['rx_bytes', 'tx_bytes'].map((name) => `/sys/class/net/${DEVICES.sync}/statistics/${name}`);
  const { stdout } = await lab.exec('fw-a', [
    'sh',
    '-c',
    `mount -t sysfs s /sys 2>/dev/null; cat ${counters.join(' ')}`,
  ]);
  return stdout
    .trim()
    .split('\n')
    .map(Number)
    .reduce((sum, n) => sum + n, 0);
}

async function daemonPid(firewall: Firewall): Promise<number> {
  // `ip netns exec` replaces itself by the daemon, so the child is it.
  return firewall.pid ?? 0;
}

async function measure(rate: number): Promise<Run> {
  const lab = new Lab();
  await lab.up();
  const rules = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${STORM_PORTS.low}-${STORM_PORTS.high} drop; }; }\n`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', rules.trim()]);
  const a = new Firewall(lab, 'fw-a', { syncWhen: 'all' });
  const b = new Firewall(lab, 'fw-b', { syncWhen: 'all' });
  try {
    await Promise.all([a.start(), b.start()]);
    const inStep = async () => ((await a.status())?.role === 'master' && (await b.status())?.sync?.in_step) || null;
    await until('the pair to be in step', inStep, { withinMs: 20_000 });
    const [pidA, pidB] = [await daemonPid(a), await daemonPid(b)];
    const own = async () => (await a.status())?.sync?.states.own ?? 0;
    const mirrored = async () => (await b.status())?.sync?.states.mirrored ?? 0;
    const before = { own: await own(), mirrored: await mirrored(), bytes: await cableBytes(lab) };
    const idleFrom = performance.now();
    await pause(1000);
    const idle = ((await cableBytes(lab)) - before.bytes) / (performance.now() - idleFrom);
    const start = { at: performance.now(), bytes: await cableBytes(lab), a: cpu(pidA), b: cpu(pidB) };
    const client = bare(PORTS.client[0]?.addresses[0] ?? '');
    const storm = [process.execPath, STORM, client, SERVER_IP, String(rate), String(rate * seconds), '0'];
    await lab.exec('client', storm, { timeoutMs: seconds * 4000 + 10_000 });
    const ended = performance.now();
    await pause(5);
    const created = (await own()) - before.own;
    await until(
      'all states at the backup',
      async () => ((await mirrored()) - before.mirrored >= created ? true : null),
      {
        withinMs: 10_000,
      },
    ).catch(() => null);
    const drain = performance.now() - ended;
    const reached = (await mirrored()) - before.mirrored;
    const spent = { ms: performance.now() - start.at, bytes: (await cableBytes(lab)) - start.bytes };
    return {
      created,
      reached,
      drain,
      bytesPerState: (spent.bytes - idle * spent.ms) / Math.max(1, reached),
      masterCpu: ((cpu(pidA) - start.a) / created) * 1e5,
      backupCpu: ((cpu(pidB) - start.b) / created) * 1e5,
      masterRss: rssMb(pidA),
    };
  } finally {
    await lab.down();
  }
}

const COLUMNS: [keyof Run, string, number][] = [
  ['created', 'states', 0],
  ['reached', 'at the backup', 0],
  ['drain', 'drained after, ms', 0],
  ['bytesPerState', 'bytes a state', 1],
  ['masterCpu', 'master CPU s/100k', 2],
  ['backupCpu', 'backup CPU s/100k', 2],
  ['masterRss', 'master RSS, MB', 0],
];

const results: { rate: number; figures: Record<string, Spread> }[] = [];
for (const rate of rates) {
  const all: Run[] = [];
  for (let run = 0; run < runs; run++) all.push(await measure(rate));
  const figures = Object.fromEntries(COLUMNS.map(([key]) => [key, spread(all.map((one) => one[key]))]));
  results.push({ rate, figures });
}

const lines = results.map(({ rate, figures }) =>
  [
    `${rate} new UDP flows a second through source NAT, ${seconds} s, median (least - most) of ${runs}`,
    ...COLUMNS.map(([key, title, digits]) => {
      const one = figures[key];
      const text = (n: number | undefined): string => (n ?? Number.NaN).toFixed(digits);
      return `  ${title.padEnd(20)} ${text(one?.median)} (${text(one?.least)} - ${text(one?.most)})`;
    }),
  ].join('\n'),
);
report('path', { runs, seconds, results }, lines.join('\n'));
process.exit(0);
