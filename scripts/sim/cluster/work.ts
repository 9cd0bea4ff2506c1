/**
 * Invariant 4: the work of a take-over does not grow with the states. While the loop is told of a role it walks over no
 * record and writes nothing to the kernel; what is left to do afterwards is done in slices of bounded size. A change of
 * ownership that had to walk the whole table inside the module is counted there (`sweep_forced`).
 */
import type { Engine } from '../../../src/sync/table/engine.ts';
import type { EngineExports } from '../../../src/sync/table/engine-exports.ts';

/**
 * Records that one slice may look at: the larger of the loop's own slices (audit.ts, src/sync/dialect/carpio/runner.ts)
 * is 4000.
 */
const MOST_SLICE = 4000;

/**
 * Walks, and which of their arguments is the number of records. (The new key of a new session is brought in at once,
 * about 0.1 s for a million states: that is not a take-over, and events only wait meanwhile.)
 */
const WALKS = {
  ...{ dumpEnd: 0, sweep: 0, peerBulkEnd: 0, unclaimedDrop: 0 },
  ...{ homesClaim: 1, idsCopy: 1, pickSend: 1, pickApply: 1 },
} as const satisfies Partial<Record<keyof EngineExports, number>>;

export class Work {
  private readonly engine: Engine;
  private readonly written: () => number;
  private readonly problem: (text: string) => void;
  private walked: string[] | null = null;

  /** @param written bytes given to the kernel so far */
  constructor(engine: Engine, written: () => number, problem: (text: string) => void) {
    this.engine = engine;
    this.written = written;
    this.problem = problem;
    const x: Record<string, unknown> = { ...engine.x };
    for (const [name, at] of Object.entries(WALKS)) {
      const walk = x[name] as (...all: number[]) => number;
      x[name] = (...all: number[]): number => {
        this.onWalk(name, all[at] ?? 0);
        return walk(...all);
      };
    }
    Object.assign(engine, { x });
  }

  /** The loop is told of a role. */
  role(tell: () => void): void {
    const before = this.written();
    this.walked = [];
    tell();
    const { walked } = this;
    this.walked = null;
    const written = this.written() - before;
    if (walked.length > 0) this.problem(`a change of role walks over the table (${walked.join(', ')})`);
    if (written > 0) this.problem(`a change of role waits for ${written} bytes to the kernel`);
    const forced = this.engine.counter('sweep_forced');
    if (forced > 0) this.problem(`${forced} changes of ownership had to walk the whole table at once`);
  }

  private onWalk(name: string, records: number): void {
    this.walked?.push(name);
    if (records > MOST_SLICE) this.problem(`${name} looks at up to ${records} records without a pause`);
  }
}
