/**
 * The soak itself: fault after fault from one seed, and the same checks after each. Runs inside the lab's namespaces.
 */
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { pause } from '../lab/command.ts';
import { FIREWALLS } from '../lab/plan.ts';
import { seeded } from '../lib/random.ts';
import { Checks, type Figures } from './checks.ts';
import { FAULTS, type Fault } from './faults.ts';
import { replayAll } from './recordings.ts';
import { makeScene, type Scene } from './scene.ts';
import { TimeLine } from './time-line.ts';

interface SoakOptions {
  seed: number;
  minutes: number;
  connections?: number;
  /** At most that many rounds. */
  rounds?: number;
  /** Only faults with these names. */
  only?: readonly string[];
  say: (text: string) => void;
  /** Where logs and time line go when something is violated. */
  keep: string;
}

export interface SoakReport {
  seed: number;
  seconds: number;
  rounds: number;
  faults: Record<string, number>;
  violations: string[];
  figures: Figures;
  /** Steps of the state machines that were recorded last and run again at the end. */
  replayed: number;
  /** As it is at the end, everything still running. */
  scene: Scene;
}

/** Two at once in every third round: most of what breaks clusters is a second fault before the first has healed. */
const TOGETHER = 0.35;
/** A tool that goes on after that many violations only fills the disk. */
const MOST_VIOLATIONS = 5;

/** @throws Error when the scene cannot be set; a violated promise is in the report */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { seed, say } = options;
  const random = seeded(seed);
  const line = new TimeLine(say);
  const lifetimeS = Math.ceil(options.minutes * 60) + 900;
  const scene = await makeScene({ connections: options.connections ?? 200, lifetimeS, say }, random, line);
  const checks = new Checks(scene);
  const { figures } = checks;
  const report: SoakReport = { seed, seconds: 0, rounds: 0, faults: {}, violations: [], figures, replayed: 0, scene };
  const faults = FAULTS.filter(({ name }) => options.only === undefined || options.only.includes(name));
  // The scene as it was set must pass, or the first fault would be blamed.
  await judge(scene, checks, report, options, 'nothing');
  while (line.seconds < options.minutes * 60 && report.rounds < (options.rounds ?? Number.POSITIVE_INFINITY)) {
    const chosen = choose(scene, faults);
    for (const { name } of chosen) report.faults[name] = (report.faults[name] ?? 0) + 1;
    report.rounds++;
    const what = chosen.map(({ name }) => name).join(' with ');
    line.note(`round ${report.rounds}: ${what}`, true);
    try {
      await play(scene, chosen);
    } catch (error) {
      violated(scene, report, options, `round ${report.rounds} (${what}): ${(error as Error).message}`);
    }
    await judge(scene, checks, report, options, `round ${report.rounds} (${what})`);
    if (report.violations.length >= MOST_VIOLATIONS) break;
  }
  const recorded = await replayAll();
  report.replayed = recorded.steps;
  for (const problem of recorded.problems) violated(scene, report, options, problem);
  report.seconds = line.seconds;
  return report;
}

function choose({ random }: Scene, faults: readonly Fault[]): Fault[] {
  const first = random.weighted(faults);
  const others = faults.filter((fault) => fault.mild === true && fault !== first);
  if (first.mild !== true || others.length === 0 || !random.chance(TOGETHER)) return [first];
  return [first, random.weighted(others)];
}

async function play(scene: Scene, chosen: readonly Fault[]): Promise<void> {
  const delays = chosen.map((_fault, i) => (i === 0 ? 0 : scene.random.int(0, 3000)));
  const outcomes = await Promise.allSettled(chosen.map((fault, i) => pause(delays[i]!).then(() => fault.act(scene))));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

async function judge(scene: Scene, checks: Checks, report: SoakReport, options: SoakOptions, after: string) {
  const from = scene.line.seconds;
  let problems: string[];
  try {
    problems = await checks.all();
  } catch (error) {
    problems = [(error as Error).message];
  }
  scene.line.note(`checked for ${(scene.line.seconds - from).toFixed(1)} s: ${problems.length} violations`);
  for (const problem of problems) violated(scene, report, options, `after ${after}: ${problem}`);
  if (problems.length > 0) await checks.revive().catch((error: Error) => scene.line.note(error.message, true));
}

/** Told with the seed and the time line; the daemons' logs are copied out of the lab, which vanishes. */
function violated({ line, stage }: Scene, report: SoakReport, options: SoakOptions, text: string): void {
  const n = report.violations.push(text);
  line.note(`VIOLATION: ${text}`);
  mkdirSync(options.keep, { recursive: true });
  const told = line.tell(stage.pair, 90);
  writeFileSync(`${options.keep}/violation-${n}.txt`, `seed ${options.seed}: ${text}\n\n${told}\n`);
  for (const name of FIREWALLS) {
    const { log } = stage.pair[name].paths;
    if (existsSync(log)) copyFileSync(log, `${options.keep}/${name}.log`);
  }
  options.say(`VIOLATION (seed ${options.seed}): ${text}`);
  options.say(`time line of the last 90 s, logs in ${options.keep}:\n${told.split('\n').slice(-80).join('\n')}`);
}
