/** What the worker reports of itself to the control thread: figures in the shared array, changes as messages. */
import type { SyncDriver } from '../dialect/carpio/runner.ts';
import { stepReason } from '../session/words.ts';
import type { Engine } from '../table/engine.ts';
import type { FromWorker } from './messages.ts';
import { STAT } from './messages.ts';

/** Reported at most this often. */
const EVERY_MS = 10;

/** Figures that only the loop counts. */
export interface LoopFigures {
  overruns: number;
  /** Kernel events taken. */
  events: number;
  /** States that began here; mirrored ones are not counted. */
  created: number;
}

export class FigureReporter {
  private readonly driver: SyncDriver;
  private readonly engine: Engine;
  private readonly stats: Float64Array;
  private readonly post: (message: FromWorker) => void;
  private reportedAt = 0;
  private lastStep: string | undefined;
  private lastRefused = 0;
  /** The comparisons that were reported last; a new one is reported even when nothing else turns the loop. */
  private reported: { own: object | null; mirrored: object | null } = { own: null, mirrored: null };

  constructor(driver: SyncDriver, engine: Engine, stats: Float64Array, post: (message: FromWorker) => void) {
    this.driver = driver;
    this.engine = engine;
    this.stats = stats;
    this.post = post;
  }

  report(now: number, figures: LoopFigures): void {
    if (now - this.reportedAt < EVERY_MS && now >= this.reportedAt) return;
    this.reportedAt = now;
    const { ownCompared, mirroredCompared } = this.driver.state;
    this.reported = { own: ownCompared, mirrored: mirroredCompared };
    this.write(now, figures);
    this.reportStep(now);
    const keptOut = this.engine.counter('kept_out');
    const counters = { ...this.driver.refused, ...(keptOut > 0 && { state_kept_out: keptOut }) };
    const refused = Object.values(counters).reduce((sum, n) => sum + n, 0);
    if (refused !== this.lastRefused) {
      this.lastRefused = refused;
      this.post({ type: 'refused', counters });
    }
  }

  private reportStep(now: number): void {
    const { inStep, cause } = this.driver.inStep(now);
    // A silence that goes on is the same news; another count of states is not.
    const step = inStep === null ? cause?.type : JSON.stringify(cause);
    if (step === this.lastStep) return;
    this.lastStep = step;
    this.post({ type: 'step', inStep, reason: cause === null ? null : stepReason(cause) });
  }

  /** When there is something to report that could not be reported yet, ms. */
  deadline(): number {
    const { ownCompared, mirroredCompared } = this.driver.state;
    const news = ownCompared !== this.reported.own || mirroredCompared !== this.reported.mirrored;
    return news ? this.reportedAt + EVERY_MS : Number.POSITIVE_INFINITY;
  }

  private write(now: number, figures: LoopFigures): void {
    const { driver, stats, engine } = this;
    const counts = driver.counts();
    const { ownCompared, mirroredCompared } = driver.state;
    stats[STAT.own] = counts.own;
    stats[STAT.mirrored] = counts.mirrored;
    stats[STAT.unclaimed] = counts.unclaimed;
    stats[STAT.dirty] = counts.dirty;
    stats[STAT.kernelMissing] = counts.missing;
    stats[STAT.checkedAt] =
      ownCompared === null || mirroredCompared === null ? Number.NaN : Math.min(ownCompared.at, mirroredCompared.at);
    stats[STAT.lag] = driver.outbox.lag ?? Number.NaN;
    stats[STAT.sent] = driver.outbox.sent;
    stats[STAT.sentBytes] = driver.outbox.sentBytes;
    stats[STAT.received] = driver.received.datagrams;
    stats[STAT.receivedBytes] = driver.received.bytes;
    stats[STAT.repairs] = driver.state.repairs;
    stats[STAT.repairBytes] = driver.repairBytes;
    stats[STAT.overruns] = figures.overruns;
    stats[STAT.events] = figures.events;
    stats[STAT.inserted] = figures.created;
    stats[STAT.heardAt] = driver.state.heardAt ?? Number.NaN;
    stats[STAT.alive] = driver.state.alive ? 1 : 0;
    stats[STAT.open] = driver.state.open ? 1 : 0;
    stats[STAT.memory] = engine.x.memoryUsed();
    stats[STAT.passAt] = now;
    const digest = engine.digest('own').sum;
    stats[STAT.digestHigh] = digest.readUIntBE(0, 6);
    stats[STAT.digestLow] = digest.readUIntBE(6, 6);
  }
}
