/**
 * What `defer = true` costs: UDP connections through source NAT that are answered at once, one after the other and 32
 * at a time, with and without it: how long until the client has its first answer, and processor time of both nodes for
 * each 100,000.
 *
 * Usage: node scripts/bench/defer.ts [--quick] [--count N] [--json]
 */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { pause, until } from '../lab/command.ts';
import { enterOrExit } from '../lab/enter.ts';
import { Firewall } from '../lab/firewall.ts';
import { Lab } from '../lab/lab.ts';
import { FIREWALLS, SERVER_IP } from '../lab/plan.ts';
import { percentiles } from './lib/lag.ts';
import { option, quick, report } from './lib/output.ts';

await enterOrExit(import.meta.url);

const PORT = 4000;
const count = Number(option('--count') ?? (quick ? 500 : 3000));
const ECHO = `const s = require('dgram').createSocket('udp4');
  s.on('message', (m, r) => s.send(m, r.port, r.address)); s.bind(${PORT}, () => console.log('ready'));`;
const ASK = `const { createSocket } = require('dgram');
  (async () => {
    const times = [];
    let left = Number(process.argv[1]);
    const one = async () => { while (left-- > 0) times.push(await new Promise((resolve) => {
      const s = createSocket('udp4'); let begun = 0;
      s.on('message', () => { s.close(); resolve(performance.now() - begun); });
      s.bind(() => { begun = performance.now(); s.send('x', ${PORT}, '${SERVER_IP}'); });
    })); };
    await Promise.all(Array.from({ length: Number(process.argv[2]) }, one));
    console.log(JSON.stringify(times));
  })();`;

function cpu(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const ns = tasks.map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]));
  return ns.reduce((sum, n) => sum + n, 0) / 1e9;
}

interface Row {
  defer: boolean;
  /** At a time. */
  parallel: number;
  median: number;
  p95: number;
  worst: number;
  /** s for 100,000 connections, what the idle pair needs taken off. */
  masterCpu: number;
  backupCpu: number;
  late: number;
  load: number;
}

async function measure(defer: boolean, parallel: number): Promise<Row> {
  const lab = new Lab();
  await lab.up();
  try {
    const edit = (text: string): string => text.replace('[sync]\n', `[sync]\ndefer = ${defer}\n`);
    const pair = { 'fw-a': new Firewall(lab, 'fw-a', { edit }), 'fw-b': new Firewall(lab, 'fw-b', { edit }) };
    await Promise.all(FIREWALLS.map((node) => pair[node].start()));
    const good = async (): Promise<true | null> => {
      const [a, b] = [await pair['fw-a'].status(), await pair['fw-b'].status()];
      return a?.role === 'master' && b?.sync?.in_step === true ? true : null;
    };
    await until('the pair to be in step', good, { withinMs: 30_000 });
    const server = lab.spawn('server', [process.execPath, '-e', ECHO], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(server.stdout!, 'data');
    const used = (): number[] => FIREWALLS.map((node) => cpu(pair[node].pid ?? 0));
    const ask = async (n: number): Promise<number[]> =>
      JSON.parse(
        (await lab.exec('client', [process.execPath, '-e', ASK, String(n), String(parallel)], { timeoutMs: 120_000 }))
          .stdout,
      );
    await ask(100);
    const rest = used();
    await pause(3000);
    const idle = used().map((s, i) => (s - (rest[i] ?? 0)) / 3);
    const [before, begun] = [used(), performance.now()];
    const times = await ask(count);
    const seconds = (performance.now() - begun) / 1000;
    const [a, b] = used().map((s, i) => ((s - (before[i] ?? 0) - (idle[i] ?? 0) * seconds) / count) * 1e5);
    const at = percentiles(times);
    const late = (await pair['fw-a'].status())?.sync?.refused.defer_late ?? 0;
    const cpus = { masterCpu: a ?? Number.NaN, backupCpu: b ?? Number.NaN };
    const lags = { median: at[50] ?? Number.NaN, p95: at[95] ?? Number.NaN, worst: at[100] ?? Number.NaN };
    return { defer, parallel, ...lags, ...cpus, late, load: loadavg()[0] ?? Number.NaN };
  } finally {
    await lab.down();
  }
}

const rows: Row[] = [];
for (const parallel of [1, 32]) for (const defer of [false, true]) rows.push(await measure(defer, parallel));
const lines = rows.map(
  (row) =>
    `${String(row.parallel).padStart(2)} at a time, defer = ${String(row.defer).padEnd(5)}  first answer ${row.median.toFixed(2)} ms median, ${row.p95.toFixed(2)} p95, ${row.worst.toFixed(1)} worst; ` +
    `CPU s/100k: master ${row.masterCpu.toFixed(1)}, backup ${row.backupCpu.toFixed(1)}; ${row.late} late; load ${row.load.toFixed(1)}`,
);
report('defer', { count, rows }, [`${count} answered UDP connections`, ...lines].join('\n'));
process.exit(0);
