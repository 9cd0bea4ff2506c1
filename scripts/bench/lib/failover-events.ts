/** What the failover bench does to a pair, and what it sees of it: one event is one window of the probe. */
import { pause, until } from '../../lab/command.ts';
import type { Lab } from '../../lab/lab.ts';
import type { FirewallName } from '../../lab/plan.ts';
import type { ProbeGlance, ProbeReport, Traffic } from '../../lab/traffic.ts';
import type { Cluster } from './failover-cluster.ts';
import type { Holders } from './failover-holders.ts';

export interface Bench {
  lab: Lab;
  cluster: Cluster;
  holders: Holders;
  probe: Traffic;
}

export interface Outcome {
  event: string;
  gap_ms: number;
  lost: number;
  sent: number;
  /** The probe's own worst delay: this machine's stalls, not the path's. */
  late_ms: number;
  /** False: until the window was closed nothing was answered again, and the gap is only how long it was open. */
  answered: boolean;
  /** From the event until the node that should lead held both addresses, ms; null: never. */
  led_ms: number | null;
  /** Longest time an address was in both kernels; `both_open`: it still was at the end. */
  both_ms: number;
  both_open: boolean;
  /**
   * Wall clock of the event, ms since 1970, and of the last answer before the longest silence: to be laid beside logs.
   */
  at: number;
  silent_from: number;
}

interface Event {
  name: string;
  title: string;
  /** Who holds the addresses when it is over. */
  master: FirewallName;
  act(bench: Bench): Promise<void>;
  /** The old master cannot let go: only who took over is awaited. */
  twoMayHold?: boolean;
}

/** Longer than any stack's time at these timers; one that has not moved by then does not move. */
const TAKE_MS = 7000;
/** Booting, listening, learning, and a hold-down after a cable that came back. */
const RETURN_MS = 60_000;
const NOISE_MS = 3000;
/** How long a late effect of an event still counts. */
const AFTER_MS = 500;
/** Probes go every 2 ms: one that had no answer for that long is not answered now. */
const SILENT_MS = 40;
/** A second holder that nobody takes away is watched that long. */
const HELD_MS = 2000;
const SETTLE_MS = 20_000;

const a: FirewallName = 'fw-a';
const b: FirewallName = 'fw-b';

const EVENTS: Readonly<Record<string, readonly Event[]>> = {
  noise: [{ name: 'noise', title: 'no event', master: a, act: () => pause(NOISE_MS) }],
  power: [
    {
      name: 'power-off',
      title: 'power-off of the master',
      master: b,
      act: ({ cluster }) => cluster.powerOff(a),
    },
    {
      name: 'return',
      title: 'it returns and takes the lead back',
      master: a,
      act: ({ cluster }) => cluster.powerOn(a),
    },
  ],
  cable: [
    { name: 'cable-cut', title: "the master's LAN cable is cut", master: b, act: ({ lab }) => lab.cut(a, 'lan') },
    { name: 'cable-back', title: 'LAN cable back', master: a, act: ({ lab }) => lab.heal(a, 'lan') },
  ],
  planned: [
    { name: 'hand-over', title: 'planned hand-over', master: b, act: ({ cluster }) => cluster.handOver() },
    { name: 'hand-back', title: 'handed back', master: a, act: ({ cluster }) => cluster.handBack() },
  ],
  hang: [
    { name: 'hang', title: 'the master hangs, its ports stay up', master: b, act: ({ lab }) => lab.hang(a) },
    { name: 'wake', title: 'it wakes', master: a, act: ({ lab }) => lab.unhang(a) },
  ],
  kill: [
    {
      name: 'kill',
      title: 'daemon killed -9, its kernel goes on',
      master: b,
      act: async ({ cluster }) => cluster.kill(a),
      twoMayHold: true,
    },
  ],
  'kill-all': [
    {
      name: 'kill-all',
      title: 'all its processes killed -9',
      master: b,
      act: async ({ lab }) => {
        for (const pid of lab.pids(a)) process.kill(pid, 'SIGKILL');
      },
      twoMayHold: true,
    },
  ],
};

export const SCENES = Object.keys(EVENTS);

export const titles = (scenes: readonly string[]): { name: string; title: string }[] =>
  scenes.flatMap((scene) => (EVENTS[scene] ?? []).map(({ name, title }) => ({ name, title })));

/** fw-a leads, and nothing of what happened before is still going on. */
export async function settle(bench: Bench, master: FirewallName = a): Promise<void> {
  const calm = async (): Promise<boolean> => bench.holders.leads(master) && (await bench.cluster.ready(master));
  await until(`${master} to lead, in order`, calm, { withinMs: RETURN_MS, everyMs: 50 });
  // The adverts' phase must be another one in each run, or the least and the worst case are never seen.
  await pause(300 + Math.random() * 1000);
}

/** Plays scenes in their order; each event is a window of its own. */
export async function play(bench: Bench, scenes: readonly string[], seen: (outcome: Outcome) => void): Promise<void> {
  const events = scenes.flatMap((scene) => EVENTS[scene] ?? []);
  for (const event of events) {
    try {
      seen(await measure(bench, event));
      if (event !== events.at(-1)) await recover(bench, event);
    } catch (error) {
      throw new Error(`${event.name}: ${(error as Error).message}`);
    }
  }
}

async function measure(bench: Bench, event: Event): Promise<Outcome> {
  const { holders, probe } = bench;
  await probe.ask('mark');
  holders.mark();
  const at = Date.now();
  const led = until(
    'the take-over',
    () => (event.twoMayHold ? holders.has(event.master) : holders.leads(event.master)),
    { withinMs: event.master === a ? RETURN_MS : TAKE_MS, everyMs: 4 },
  ).then(
    ({ ms }) => ms,
    () => null,
  );
  await event.act(bench);
  const led_ms = await led;
  const again = await answeredAgain(probe);
  await pause(event.twoMayHold ? HELD_MS : AFTER_MS);
  // What went well at first may go wrong late, and then its end is to be seen too.
  if (again) await answeredAgain(probe);
  const both = holders.both();
  const report = await probe.ask<ProbeReport>('report');
  return {
    event: event.name,
    // A silence that began before the event counts from the event on.
    gap_ms: report.gap_at_ms < -SILENT_MS ? report.gap_ms + report.gap_at_ms : report.gap_ms,
    lost: report.lost,
    sent: report.sent,
    late_ms: report.late_ms,
    answered: report.answering,
    led_ms: led_ms === null ? null : Math.round(led_ms),
    both_ms: Math.round(both.ms),
    both_open: both.open,
    at,
    silent_from: Math.round(at + report.gap_at_ms),
  };
}

/** Who holds the addresses is one thing, where the switch sends the frames another. */
async function answeredAgain(probe: Traffic): Promise<boolean> {
  const answers = async (): Promise<boolean> => (await probe.ask<ProbeGlance>('glance')).silent_ms < SILENT_MS;
  return until('an answer', answers, { withinMs: TAKE_MS }).then(
    () => true,
    () => false,
  );
}

/** The next event needs a pair in order; what was killed is switched off and on. */
async function recover(bench: Bench, event: Event): Promise<void> {
  const { cluster } = bench;
  if (event.twoMayHold) {
    await cluster.powerOff(a);
    await until('fw-b to lead', () => bench.holders.leads(b), { withinMs: SETTLE_MS, everyMs: 20 });
    await cluster.powerOn(a);
    return settle(bench);
  }
  if (event.master === a) return settle(bench);
  // What has not moved is moved by the event that ends the failure.
  if (bench.holders.leads(b)) await settle(bench, b);
}
