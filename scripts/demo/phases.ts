/** The scripted sequence: what is done to the pair, what must come of it, and what is measured meanwhile. */
import { pause } from '../lab/command.ts';
import type { Lab } from '../lab/lab.ts';
import { bare, type FirewallName, otherOf, VIPS } from '../lab/plan.ts';
import type { Stage } from '../lab/stage.ts';
import type { ChurnReport, ProbeReport } from '../lab/traffic.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../lab/watch.ts';

export interface PhaseResult {
  phase: string;
  seconds: number;
  gap_ms: number;
  lost: number;
  sent: number;
  alive: number;
  count: number;
  /** Until every living connection had worked again. */
  worked_ms: number | null;
  /** From the event that ends the difference until both nodes said "in step"; null: not asked in this phase. */
  in_step_ms: number | null;
  sync_bytes: number;
  notes: string[];
  problems: string[];
}

/** What a phase does: returns when it is over; calls `happened` when the event is complete. */
interface Outcome {
  in_step_ms: number | null;
  /** Short connections that came and went meanwhile. */
  opened?: number;
  notes?: string[];
  problems?: string[];
}
type Act = (stage: Stage, happened: () => Promise<void>) => Promise<Outcome>;

const STEADY_MS = 5000;
const CUT_MS = 5000;
/** So that some connections are old and some new when the cable goes. */
const CHURN_AHEAD_MS = 1000;
/** A phase is watched at least that long, so that a late effect still falls into it. */
const WATCH_MS = 3000;
/**
 * What a phase may cost on the sync cable: heartbeats and comparisons of both nodes, and each connection, those that
 * came and went included, a few times (an update of one takes 20 to 60 bytes with its share of the headers, its repair
 * more).
 */
const SYNC_BYTES_EACH_S = 30_000;
const SYNC_BYTES_EACH = 500;
const ROLE_MS = 15_000;
const STEP_MS = 30_000;

const both =
  (...conditions: ((sample: Sample) => boolean)[]) =>
  (sample: Sample): boolean =>
    conditions.every((holds) => holds(sample));

interface Moved {
  done: boolean;
  reason: string;
}

/** `maintenance`: what went wrong with it, if anything. */
async function maintenance({ pair }: Stage, on: boolean): Promise<string[]> {
  const answer = await pair['fw-a'].ask<Moved>('maintenance', { on }, ROLE_MS);
  const word = `maintenance ${on ? 'on' : 'off'}`;
  if (!answer.ok) return [`${word}: ${answer.error}`];
  return answer.result.done ? [] : [`${word}: ${answer.result.reason}`];
}

interface Proof {
  in_step: boolean | null;
  reason: string | null;
  corrections: { here: number; peer: number | null } | null;
}

/** `verify --deep`: both nodes read their kernels again and compare. */
async function verify({ pair }: Stage): Promise<{ problems: string[]; notes: string[] }> {
  const answer = await pair['fw-a'].ask<Proof>('verify', { deep: true }, STEP_MS);
  if (!answer.ok) return { problems: [`verify --deep: ${answer.error}`], notes: [] };
  const { in_step, reason, corrections } = answer.result;
  if (in_step !== true) return { problems: [`verify --deep: not in step (${reason ?? 'no reason given'})`], notes: [] };
  const mended = corrections ? `, mended here ${corrections.here}, at the peer ${corrections.peer ?? '-'}` : '';
  return { problems: [], notes: [`verify --deep: in step${mended}`] };
}

const steady: Act = async (_stage, happened) => {
  await happened();
  await pause(STEADY_MS);
  return { in_step_ms: null };
};

const powerOff: Act = async ({ pair, watch }, happened) => {
  await pair['fw-a'].powerOff();
  await happened();
  await watch.until('fw-b to become master', isMaster('fw-b'), ROLE_MS);
  return { in_step_ms: null };
};

const comesBack: Act = async (stage, happened) => {
  const { pair, watch } = stage;
  let learned = false;
  const look = (sample: Sample): void => {
    learned ||= isLearning('fw-a')(sample);
  };
  watch.on('sample', look);
  try {
    look({ ...watch.latest, 'fw-a': await pair['fw-a'].powerOn() });
    await happened();
    const in_step_ms = await watch.until('both nodes to be in step', inStep, STEP_MS);
    const preempted = both(isMaster('fw-a'), isBackup('fw-b'), inStep);
    await watch.until('fw-a to take mastership back', preempted, ROLE_MS);
    const proof = await verify(stage);
    const told = learned ? 'fw-a showed demotion "sync" while it learned' : 'fw-a was in step before it could be asked';
    return { in_step_ms, problems: proof.problems, notes: [told, ...proof.notes] };
  } finally {
    watch.off('sample', look);
  }
};

const handOver: Act = async (stage, happened) => {
  const { watch } = stage;
  const begun = performance.now();
  const problems = await maintenance(stage, true);
  const took = Math.round(performance.now() - begun);
  await happened();
  const over = both(isMaster('fw-b'), isBackup('fw-a'));
  // The command's promise: when it returns, the peer is master.
  await watch.until('fw-b to be master after the hand-over', over, 2000);
  const in_step_ms = await watch.until('both nodes to be in step', inStep, STEP_MS);
  return { in_step_ms, problems, notes: [`the command returned after ${took} ms`] };
};

const handBack: Act = async (stage, happened) => {
  const problems = await maintenance(stage, false);
  await happened();
  await stage.watch.until('fw-a to be master again', both(isMaster('fw-a'), isBackup('fw-b')), ROLE_MS);
  const in_step_ms = await stage.watch.until('both nodes to be in step', inStep, STEP_MS);
  return { in_step_ms, problems };
};

const connectionsComeAndGo = async ({ traffic }: Stage): Promise<void> => {
  await traffic.churn.ask('start');
  await pause(CHURN_AHEAD_MS);
};

const cableCut: Act = async ({ lab, watch }, happened) => {
  await lab.cut('fw-a', 'sync');
  await happened();
  await pause(CUT_MS);
  const claims = (['fw-a', 'fw-b'] as const).filter((name) => watch.latest[name]?.sync?.in_step === true);
  const master = isMaster('fw-a')(watch.latest) && isBackup('fw-b')(watch.latest);
  const problems = claims.map((name) => `${name} says "in step" with the cable cut and connections coming and going`);
  if (!master) problems.push('the sync cable alone changed the roles');
  return { in_step_ms: null, problems };
};

const cableBack: Act = async (stage, happened) => {
  const { lab, watch, traffic } = stage;
  await lab.heal('fw-a', 'sync');
  await happened();
  const in_step_ms = await watch.until('both nodes to be in step', inStep, STEP_MS);
  const churn = await traffic.churn.ask<ChurnReport>('stop');
  const proof = await verify(stage);
  const failed = churn.failed > 0 ? [`${churn.failed} of ${churn.opened} short connections failed`] : [];
  const notes = [`${churn.opened} short connections came and went`, ...proof.notes];
  return { in_step_ms, opened: churn.opened, problems: [...failed, ...proof.problems], notes };
};

export interface Phase {
  name: string;
  act: Act;
  /** Who must hold every virtual address when it is over. */
  master: FirewallName;
  /** Not measured. */
  before?: (stage: Stage) => Promise<void>;
}

export const PHASES: readonly Phase[] = [
  { name: 'steady', act: steady, master: 'fw-a' },
  { name: 'power off the master', act: powerOff, master: 'fw-b' },
  { name: 'it comes back', act: comesBack, master: 'fw-a' },
  { name: 'planned hand-over', act: handOver, master: 'fw-b' },
  { name: 'handed back', act: handBack, master: 'fw-a' },
  { name: 'sync cable cut for 5 s', act: cableCut, master: 'fw-a', before: connectionsComeAndGo },
  { name: 'cable back', act: cableBack, master: 'fw-a' },
];

/** Plays one phase and measures it. */
export async function play(stage: Stage, phase: Phase): Promise<PhaseResult> {
  const { lab, traffic } = stage;
  const problems: string[] = [];
  await phase.before?.(stage);
  const bytesBefore = await lab.syncBytes();
  await traffic.mark();
  const begun = performance.now();
  let outcome: Outcome = { in_step_ms: null };
  try {
    outcome = await phase.act(stage, () => traffic.arm());
  } catch (error) {
    problems.push((error as Error).message);
    await traffic.arm();
  }
  await pause(Math.max(0, WATCH_MS - (performance.now() - begun)));
  const connections = await traffic.worked();
  const probe = await traffic.probe.ask<ProbeReport>('report');
  problems.push(...(outcome.problems ?? []), ...(await kernelTruth(lab, phase.master)));
  if (connections.alive !== connections.count) {
    const why = Object.entries(connections.reasons).map(([reason, n]) => `${n} ${reason}`);
    problems.push(`${connections.alive} of ${connections.count} connections alive (${why.join(', ')})`);
  } else if (connections.worked_after_ms === null) {
    problems.push(`${connections.silent} of ${connections.count} connections are silent`);
  }
  if (!probe.answering) problems.push('probes are not answered');
  const seconds = (performance.now() - begun) / 1000;
  const sync_bytes = (await lab.syncBytes()) - bytesBefore;
  const bound = Math.round(SYNC_BYTES_EACH_S * seconds + SYNC_BYTES_EACH * (connections.count + (outcome.opened ?? 0)));
  if (sync_bytes > bound) problems.push(`${sync_bytes} bytes on the sync cable, ${bound} are the bound of this phase`);
  return {
    phase: phase.name,
    seconds,
    gap_ms: probe.gap_ms,
    lost: probe.lost,
    sent: probe.sent,
    alive: connections.alive,
    count: connections.count,
    worked_ms: connections.worked_after_ms,
    in_step_ms: outcome.in_step_ms === null ? null : Math.round(outcome.in_step_ms),
    sync_bytes,
    notes: [
      ...(outcome.notes ?? []),
      ...(probe.late_ms > 20 ? [`the probe itself was up to ${probe.late_ms} ms late`] : []),
    ],
    problems,
  };
}

/** Not what the daemons say, but what the kernels hold: each virtual address up on the master, and only there. */
async function kernelTruth(lab: Lab, master: FirewallName): Promise<string[]> {
  const problems: string[] = [];
  for (const address of Object.values(VIPS).flatMap((vip) => vip.addresses)) {
    const holders = await lab.holders(address);
    if (holders.length === 1 && holders[0] === master) continue;
    const found = holders.length === 0 ? 'nobody' : holders.join(' and ');
    problems.push(`${bare(address)} is held by ${found} in the kernel, expected ${master} (not ${otherOf(master)})`);
  }
  return problems;
}
