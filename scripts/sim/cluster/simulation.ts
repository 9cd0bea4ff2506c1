/** One run: a cluster from its first boot through an hour of episodes, each with faults, a healing and a settling. */

import { causeText } from '../../../src/contract/words.ts';
import { bench } from '../../reference/bench-exports.ts';
import { seeded } from './calendar.ts';
import type { Fault, Kind } from './faults.ts';
import { begin, drawFaults } from './faults.ts';
import type { Plan } from './plan.ts';
import { drawPlan } from './plan.ts';
import { differs } from './watch.ts';
import type { Bug, Line } from './world.ts';
import { World } from './world.ts';

export interface RunOptions {
  seed: number;
  /** Virtual hours. */
  hours: number;
  /** Boxes; pairs sync their states, larger clusters elect only. */
  boxes: number;
  /** Episodes in an hour. */
  episodes: number;
  bug: Bug | null;
  /** In place of those that the seed draws. */
  faults: readonly Fault[] | null;
  only: readonly Kind[] | null;
  /** Compute quiet time too, instead of letting it pass. */
  noLapse: boolean;
}

export interface RunResult {
  seed: number;
  plan: Plan;
  faults: readonly Fault[];
  /** The first violation; null: none. */
  problem: string | null;
  lines: readonly Line[];
  /** Microseconds that were computed, and that were let pass because nothing was going on. */
  computedUs: number;
  lapsedUs: number;
  steps: number;
  begun: Partial<Record<Kind, number>>;
  traffic: World['traffic']['totals'];
  checks: World['watch']['checks'];
}

const HOUR = 3_600_000_000;
/** After the last fault has ended, everything must be as it should within this, us. */
const SETTLE_US = 100_000_000;
/** It must stay so. */
const STILL_US = 1_500_000;
const LOOK_US = 100_000;
/** Steps in a second of virtual time over a whole run; 300 are usual. Far more: somebody never rests. */
const MOST_STEPS = 3000;
/** Clients go on for this long after the last fault. */
const TAIL_US = 400_000;

export function optionsOf(seed: number, more: Partial<RunOptions> = {}): RunOptions {
  return { seed, hours: 1, boxes: 2, episodes: 8, bug: null, faults: null, only: null, noLapse: false, ...more };
}

export function simulate(options: RunOptions): RunResult {
  const random = seeded(options.seed);
  const plan = drawPlan(options.seed, random, options.boxes);
  const drawn = structuredClone(plan);
  const episodes = Math.max(1, Math.round(options.episodes * options.hours));
  const faults = options.faults ?? drawFaults(plan, random, episodes, options.only);
  const world = new World(plan, options.bug);
  const run = new Run(world, faults, options, episodes);
  run.all();
  return {
    ...{ seed: options.seed, plan: drawn, faults, problem: world.problems[0] ?? null, lines: world.lines },
    ...{ computedUs: world.calendar.now, lapsedUs: run.lapsedUs, steps: world.calendar.steps, begun: run.begun },
    ...{ traffic: world.traffic.totals, checks: world.watch.checks },
  };
}

class Run {
  lapsedUs = 0;
  readonly begun: Partial<Record<Kind, number>> = {};
  private readonly world: World;
  private readonly faults: readonly Fault[];
  private readonly options: RunOptions;
  private readonly episodes: number;
  private readonly live = new Set<() => void>();

  constructor(world: World, faults: readonly Fault[], options: RunOptions, episodes: number) {
    this.world = world;
    this.faults = faults;
    this.options = options;
    this.episodes = episodes;
  }

  all(): void {
    const { world } = this;
    world.boxes.forEach((box, i) => {
      world.calendar.at(1000 + i * world.random() * 4_000_000, () => box.boot());
    });
    this.advance(4_100_000);
    this.settle('after the first boot');
    const each = (this.options.hours * HOUR) / this.episodes;
    for (let i = 0; i < this.episodes && this.good; i++) {
      this.episode(this.faults.filter((fault) => fault.episode === i));
      this.settle(`after episode ${i}`);
      if (this.good) this.pass((i + 1) * each);
    }
    if (this.good) this.selfCheck();
  }

  private get good(): boolean {
    return this.world.problems.length === 0;
  }

  private advance(us: number): void {
    const { calendar } = this.world;
    const until = calendar.now + us;
    while (this.good && calendar.step(until));
  }

  private rests(): void {
    const { now, steps } = this.world.calendar;
    if (now < 20_000_000 || steps / (now / 1e6) < MOST_STEPS) return;
    this.world.problem(`the loops never rest: ${steps} steps in ${(now / 1e6).toFixed(0)} s`);
  }

  private episode(faults: readonly Fault[]): void {
    const { world } = this;
    const { calendar } = world;
    world.traffic.start();
    this.advance(700_000);
    let last = 0;
    for (const fault of faults) {
      last = Math.max(last, fault.afterUs + fault.forUs);
      calendar.after(fault.afterUs, () => this.begin(fault));
    }
    this.advance(last + 1);
    for (const end of [...this.live]) end();
    this.advance(TAIL_US);
    world.traffic.stop();
  }

  private begin(fault: Fault): void {
    this.begun[fault.kind] = (this.begun[fault.kind] ?? 0) + 1;
    const heal = begin(this.world, fault);
    const end = (): void => {
      if (this.live.delete(end)) heal();
    };
    this.live.add(end);
    this.world.calendar.after(fault.forUs, end);
  }

  /** Heals what is left and waits until everything is as it should, and stays so. */
  private settle(when: string): void {
    const { world } = this;
    const { calendar } = world;
    for (const box of world.boxes) if (!box.powered) box.boot();
    const until = calendar.now + SETTLE_US;
    let since: number | null = null;
    let why: string | null = '';
    while (this.good && calendar.now < until) {
      this.advance(LOOK_US);
      this.rests();
      why = this.unsettled();
      if (why !== null) since = null;
      else since ??= calendar.now;
      if (since !== null && calendar.now - since >= STILL_US) break;
    }
    if (!this.good) return;
    if (why !== null || since === null) {
      world.problem(`${when}, everything healed ${SETTLE_US / 1e6} s ago: ${why}`);
      return;
    }
    world.traffic.speakAll();
  }

  /** What is not as it should be yet; null: nothing. */
  private unsettled(): string | null {
    const { world } = this;
    for (const box of world.boxes) {
      if (box.daemon === null) {
        box.launch();
        return `${box.name} has no daemon`;
      }
      if (!box.runs) return `${box.name} stands`;
      for (const [key, v] of Object.entries(box.daemon.election.state.vhids)) {
        if (v.state === 'INIT') return `${key} is INIT on ${box.name}: ${causeText(v.cause)}`;
      }
    }
    return this.masters() ?? (world.plan.sync ? this.tables() : null);
  }

  private masters(): string | null {
    for (const { lan, wan } of this.world.plan.couples) {
      for (const key of [lan, wan]) {
        const holders = this.world.holders(key);
        const masters = this.world.boxes.filter((box) => box.daemon?.roles.get(key) === 'MASTER');
        if (holders.length === 1 && masters.length === 1 && holders[0] === masters[0]) continue;
        const list = (boxes: typeof holders): string => boxes.map((box) => box.name).join(', ') || 'nobody';
        return `${key}: MASTER ${list(masters)}, address on ${list(holders)}`;
      }
    }
    return null;
  }

  private tables(): string | null {
    const [a, b] = this.world.boxes;
    if (a === undefined || b === undefined) return null;
    for (const box of [a, b]) {
      if (box.daemon?.inStep !== true) return `${box.name} is not in step: ${box.daemon?.reason}`;
      const unclaimed = box.daemon.driver?.counts().unclaimed ?? 0;
      if (unclaimed > 0) return `${box.name}: ${unclaimed} states belong to nobody`;
      if ((box.daemon.driver?.counts().dirty ?? 0) > 0) return `${box.name} has still something to send`;
    }
    const wrong =
      differs(this.world, a, b, this.world.calendar.now) ?? differs(this.world, b, a, this.world.calendar.now);
    if (wrong !== null) return `the kernels differ by ${wrong.orig}`;
    const owned = (a.daemon?.driver?.counts().own ?? 0) + (b.daemon?.driver?.counts().own ?? 0);
    const mirrored = (a.daemon?.driver?.counts().mirrored ?? 0) + (b.daemon?.driver?.counts().mirrored ?? 0);
    return owned === mirrored ? null : `${owned} states owned, ${mirrored} mirrored`;
  }

  /**
   * The quiet rest of the time until the next episode. With perfect links, no client and no fault nothing is left but
   * heartbeats; what has shown the same picture for `STILL_US` would show it for the rest. Stamps that only serve as
   * ages are moved back, so that what grows old in an hour has grown old.
   */
  private pass(untilUs: number): void {
    const left = untilUs - this.world.calendar.now - this.lapsedUs;
    if (left <= 0) return;
    if (this.options.noLapse) {
      this.advance(left);
      return;
    }
    this.lapsedUs += left;
    for (const box of this.world.boxes) {
      for (const link of Object.values(box.daemon?.election.state.links ?? {})) link.changedUs -= left;
    }
  }

  private selfCheck(): void {
    for (const box of this.world.boxes) {
      const engine = box.daemon?.io?.engine;
      const found = engine === undefined ? 0 : bench(engine).selfCheck();
      if (found !== 0) this.world.problem(`${box.name}: the table's self check says ${found}`);
    }
  }
}
