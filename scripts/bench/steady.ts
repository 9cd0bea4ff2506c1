/**
 * Steady load at the fast profile (advbase 0): new states without end, both cores busy, and nobody fails. What must not
 * happen is an election. Counts role changes, missed adverts and the longest silence on the wire, at both nodes.
 *
 * Usage: node scripts/bench/steady.ts [--quick] [--minutes N] [--rate N] [--hold N] [--nice N] [--json]
 * --minutes: 2 by default, 60 for the record; --rate: new states a second; --hold: seconds that a state lives;
 * --nice: of the programs that keep the cores busy, one for each. CARPIO_BINARY: another build.
 *
 * Beside the pair runs a program of real-time priority that only sleeps: when even that wakes late, the machine itself
 * stood still, and no program could have sent an advert. (All namespaces of a machine share one connection hash: a dump
 * in any of them, another test say, holds a core for as long as it takes to walk past everybody's entries.)
 */
import { mkdirSync, rmSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { advertIntervalUs, masterDownUs } from '../../src/contract/carp-timers.ts';
import { command, pause, until } from '../lab/command.ts';
import { enterOrExit } from '../lab/enter.ts';
import { Firewall } from '../lab/firewall.ts';
import { Lab } from '../lab/lab.ts';
import { bare, DEVICES, FIREWALLS, type FirewallName, PORTS, SERVER_IP } from '../lab/plan.ts';
import type { Heard } from '../lab/traffic/adverts.ts';
import { STORM_PORTS } from '../lab/traffic/storm.ts';
import { Traffic } from '../lab/traffic.ts';
import { option, quick, report } from './lib/output.ts';
import { Burners, eventsSince, MachineTime } from './lib/steady-watch.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../lab/traffic/storm.ts', import.meta.url));
const SKEW: Record<FirewallName, number> = { 'fw-a': 8, 'fw-b': 10 };
const CHUNK_S = 30;
const ROLES = ['lan', 'wan'] as const;

const minutes = Number(option('--minutes') ?? (quick ? 0.5 : 2));
const rate = Number(option('--rate') ?? 5000);
const nice = Number(option('--nice') ?? 0);
const hold = Number(option('--hold') ?? 10);
const seconds = Math.round(minutes * 60);
const client = bare(PORTS.client[0]?.addresses[0] ?? '');

const intervalUs = advertIntervalUs(0, SKEW['fw-a']);
const downUs = masterDownUs(0, SKEW['fw-b']);

interface Stills {
  longest_ms: number;
  over: number;
}

interface Sampled {
  samples: number;
  unanswered: number;
  notInStep: number;
  states: { most: number };
  roles: Record<FirewallName, string[]>;
}

/** Asks both nodes once a second, as a screen would. */
async function sample(pair: Record<FirewallName, Firewall>, into: Sampled): Promise<void> {
  const [a, b] = await Promise.all(FIREWALLS.map((name) => pair[name].status()));
  into.samples += 1;
  if (!a || !b) into.unanswered += 1;
  if (a?.sync?.in_step !== true || b?.sync?.in_step !== true) into.notInStep += 1;
  for (const [name, status] of [
    ['fw-a', a],
    ['fw-b', b],
  ] as const) {
    const role = status?.role ?? '?';
    if (into.roles[name].at(-1) !== role && role !== '?') into.roles[name].push(role);
  }
  const states = a?.sync?.states.total ?? 0;
  into.states.most = Math.max(into.states.most, states);
}

async function storm(lab: Lab): Promise<number> {
  let sent = 0;
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const left = Math.min(CHUNK_S, Math.max(1, Math.round((end - performance.now()) / 1000)));
    const argv = [process.execPath, STORM, client, SERVER_IP, String(rate), String(rate * left), String(sent)];
    const { stdout } = await lab.exec('client', argv, { timeoutMs: left * 4000 + 20_000 });
    sent += (JSON.parse(stdout) as { sent: number }).sent;
  }
  return sent;
}

async function listeners(lab: Lab): Promise<Record<string, Traffic>> {
  const all: Record<string, Traffic> = {};
  for (const node of FIREWALLS) {
    for (const role of ROLES) {
      const one = new Traffic(lab, node, 'adverts', [DEVICES[role], intervalUs, downUs, seconds + 300]);
      await one.told('ready', 20_000);
      all[`${node} ${role}`] = one;
    }
  }
  return all;
}

async function measure() {
  rmSync('/run/lab', { recursive: true, force: true });
  mkdirSync('/run/lab', { recursive: true });
  const lab = new Lab();
  await lab.up();
  const rules = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${STORM_PORTS.low}-${STORM_PORTS.high} drop; }; }`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', rules]);
  for (const node of FIREWALLS)
    await lab.exec(node, ['sh', '-c', `echo ${hold} >/proc/sys/net/netfilter/nf_conntrack_udp_timeout`]);
  const options = { advbase: 0, advskew: SKEW, syncWhen: 'all' as const };
  const pair = { 'fw-a': new Firewall(lab, 'fw-a', options), 'fw-b': new Firewall(lab, 'fw-b', options) };
  const burners = new Burners(cpus().length, nice);
  try {
    await Promise.all(FIREWALLS.map((name) => pair[name].start()));
    const settled = async () =>
      ((await pair['fw-a'].status())?.role === 'master' && (await pair['fw-b'].status())?.sync?.in_step) || null;
    await until('the pair to be in step', settled, { withinMs: 30_000 });
    const ears = await listeners(lab);
    const still = new Traffic(lab, 'client', 'still', [masterDownUs(0, SKEW['fw-a']), seconds + 300]);
    await still.told('ready', 20_000);
    burners.start();
    await pause(3000);
    const since = new Date().toISOString();
    const time = new MachineTime();
    for (const ear of Object.values(ears)) await ear.ask('mark');
    const counters = async () =>
      Object.fromEntries(
        await Promise.all(FIREWALLS.map(async (n) => [n, (await pair[n].status(5000))?.carp.counters ?? {}] as const)),
      );
    await still.ask('mark');
    const before = await counters();
    const seen: Sampled = {
      samples: 0,
      unanswered: 0,
      notInStep: 0,
      states: { most: 0 },
      roles: { 'fw-a': [], 'fw-b': [] },
    };
    const loads: number[] = [];
    const begun = performance.now();
    let over = false;
    const flows = storm(lab).finally(() => {
      over = true;
    });
    for (let n = 1; !over; n++) {
      await sample(pair, seen);
      if (n % 60 === 0) {
        loads.push(loadavg()[0] ?? 0);
        process.stderr.write(
          `${Math.round((performance.now() - begun) / 1000)} s of ${seconds}: ${JSON.stringify(seen.roles)} ${seen.states.most} states, load ${loadavg()[0]?.toFixed(1)}\n`,
        );
      }
      await pause(1000);
    }
    const sent = await flows;
    const took = (performance.now() - begun) / 1000;
    const after = await counters();
    const heard: Record<string, Record<string, Heard>> = {};
    for (const [name, ear] of Object.entries(ears))
      heard[name] = (await ear.ask<{ sources: Record<string, Heard> }>('report')).sources;
    const events = Object.fromEntries(FIREWALLS.map((name) => [name, eventsSince(pair[name].log(), since)]));
    const difference = (name: FirewallName, counter: string): number =>
      (after[name]?.[counter] ?? 0) - (before[name]?.[counter] ?? 0);
    return {
      seconds: Math.round(took),
      flows: sent,
      rate: Math.round(sent / took),
      busy: time.busy(),
      load: {
        median: loads.toSorted((x, y) => x - y)[Math.floor(loads.length / 2)] ?? loadavg()[0] ?? 0,
        most: Math.max(0, ...loads),
      },
      machine: await still.ask<Stills>('report'),
      ...seen,
      heard,
      events,
      adverts: {
        sent: difference('fw-a', 'opackets') + difference('fw-a', 'opackets6'),
        received: difference('fw-b', 'ipackets') + difference('fw-b', 'ipackets6'),
        sentByBackup: difference('fw-b', 'opackets') + difference('fw-b', 'opackets6'),
      },
    };
  } finally {
    burners.stop();
    await lab.down();
  }
}

const result = await measure();
const changes = FIREWALLS.map((name) => result.events[name]?.['carp.state'] ?? 0);
const lines = [
  `${result.rate} new states a second for ${result.seconds} s (${result.flows} in all), up to ${result.states.most} states held`,
  `advbase 0, advskew ${SKEW['fw-a']} and ${SKEW['fw-b']}: an advert every ${(intervalUs / 1000).toFixed(1)} ms, master-down time ${(downUs / 1000).toFixed(1)} ms`,
  `the machine's cores were busy ${(result.busy * 100).toFixed(0)} % of the time (two programs at nice ${nice}), load average ${result.load.median.toFixed(1)}, at most ${result.load.most.toFixed(1)}`,
  `the machine stood still for ${result.machine.longest_ms} ms at most, longer than the master's own limit (${(masterDownUs(0, SKEW['fw-a']) / 1000).toFixed(1)} ms) ${result.machine.over} times`,
  `role changes: fw-a ${changes[0]}, fw-b ${changes[1]}`,
  `adverts: ${result.adverts.sent} sent by fw-a, ${result.adverts.received} received by fw-b, ${result.adverts.sentByBackup} sent by fw-b`,
  ...Object.entries(result.heard).flatMap(([at, sources]) =>
    Object.entries(sources).map(
      ([from, one]) =>
        `  at ${at}, from ${from}: ${one.count} adverts, ${one.missed} intervals without one, longest gap ${one.longest_ms} ms, longer than the master-down time ${one.over_down} times`,
    ),
  ),
  `in step in ${result.samples - result.notInStep} of ${result.samples} samples`,
  ...FIREWALLS.map((name) => `events of ${name}: ${JSON.stringify(result.events[name])}`),
];
report('steady', { minutes, nice, hold, intervalUs, downUs, ...result }, lines.join('\n'));
process.exit(0);
