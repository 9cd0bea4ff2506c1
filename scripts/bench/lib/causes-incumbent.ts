/**
 * The same causes for conntrackd (FT-FW, straight into the kernel): until the backup's kernel holds as many states as
 * the master's, which is all that can be asked of it. After a cut it sends what it has queued by itself; after a
 * restart somebody must ask for all (`conntrackd -n`, what its fail-over script does).
 */
import type { ChildProcess } from 'node:child_process';
import { pause, until } from '../../lab/command.ts';
import type { FirewallName } from '../../lab/plan.ts';
import { Load, WITHIN } from './causes-load.ts';
import { askConntrackd, conntrackdOn, conntrackdPair } from './path-stacks.ts';

type Tell = (cause: string, d: number, bytes: number | null, ms: number | null, note: string) => void;

/** Bytes; Carpio has as many in this case. */
const SMALL_BUFFER = 65_536;
/** A few flows of the lab's own come and go on one box only. */
const NEAR = 20;

class Incumbent extends Load {
  private daemons: Record<FirewallName, ChildProcess> | null = null;
  private readonly tell: Tell;

  constructor(rate: number, tell: Tell) {
    super(rate);
    this.tell = tell;
  }

  /** @param eventBuffer bytes; its usual ones when left out */
  async open(eventBuffer?: number): Promise<void> {
    await this.prepare();
    const buffer = eventBuffer === undefined ? undefined : { size: eventBuffer, most: eventBuffer };
    this.daemons = await conntrackdPair(this.lab, buffer);
  }

  /** Both kernels hold as many. `false`: not in this time. */
  async equal(withinMs: number): Promise<boolean> {
    const near = async (): Promise<true | null> =>
      Math.abs((await this.held('fw-a')) - (await this.held('fw-b'))) <= NEAR ? true : null;
    try {
      await until('both kernels to hold as many', near, { withinMs, everyMs: 10 });
      return true;
    } catch {
      return false;
    }
  }

  async recover(cause: string, d: number, begin: () => Promise<unknown>): Promise<void> {
    const bytes = await this.lab.syncBytes();
    const at = performance.now();
    await begin();
    const started = performance.now();
    const done = await this.equal(WITHIN);
    const ms = performance.now() - started;
    const spent = (await this.lab.syncBytes()) - bytes - this.idle * (performance.now() - at);
    this.tell(`${cause} *`, d, spent, done ? ms : null, done ? 'conntrackd' : 'conntrackd: the two never held as many');
  }

  async cable(d: number): Promise<void> {
    await this.lab.cut('fw-a', 'sync');
    await this.storm(d);
    await this.recover('cable', d, () => this.lab.heal('fw-a', 'sync'));
  }

  /**
   * @param cause `bulk`: the backup's kernel has lost its table as well; `stale`: half of the d are connections that
   *   have ended
   *   meanwhile and still stand there. `-n` brings all that live, and takes none away.
   */
  async restart(cause: 'restart' | 'stale' | 'bulk', d: number): Promise<void> {
    const daemon = this.daemons?.['fw-b'];
    const gone = new Promise((done) => daemon?.once('exit', done));
    daemon?.kill('SIGKILL');
    await gone;
    const half = cause === 'stale' ? Math.floor(d / 2) : 0;
    if (half > 0) await this.end(half);
    if (cause === 'bulk') await this.lab.exec('fw-b', ['conntrack', '-F']);
    else await this.storm(d - half);
    await this.recover(cause, cause === 'bulk' ? await this.held('fw-a') : d, async () => {
      const again = await conntrackdOn(this.lab, 'fw-b');
      if (this.daemons !== null) this.daemons['fw-b'] = again;
      await pause(200);
      await askConntrackd(this.lab, 'fw-b', '-n');
    });
  }
}

/** @param rate new flows a second with which the differences come into being */
export async function incumbentByCause(
  states: number,
  sizes: readonly number[],
  rate: number,
  tell: Tell,
): Promise<void> {
  const scene = new Incumbent(rate, tell);
  try {
    await scene.open();
    await scene.storm(states);
    if (!(await scene.equal(WITHIN))) tell('start *', states, null, null, 'conntrackd: the two never held as many');
    scene.idle = await scene.rateNow(2000);
    for (const d of sizes) {
      await scene.cable(d);
      await scene.restart('restart', d);
    }
    await scene.restart('bulk', states);
    // Last: what stays behind would count in all others.
    for (const d of sizes) await scene.restart('stale', d);
  } finally {
    await scene.lab.down();
  }
  await overrun(states, sizes.at(-1) ?? 1000, rate, tell);
}

/**
 * A burst that its buffer does not hold. It reads its kernel again some seconds later by itself (NetlinkOverrunResync).
 */
async function overrun(states: number, burst: number, rate: number, tell: Tell): Promise<void> {
  const scene = new Incumbent(rate, tell);
  try {
    await scene.open(SMALL_BUFFER);
    await scene.storm(states);
    if (!(await scene.equal(WITHIN))) {
      // What it lost while the table was filled: its kernel's table again, and all of it to the peer.
      await askConntrackd(scene.lab, 'fw-a', '-R');
      await pause(2000);
      await askConntrackd(scene.lab, 'fw-a', '-B');
      if (!(await scene.equal(WITHIN))) tell('start *', states, null, null, 'conntrackd, small buffer: never as many');
    }
    scene.idle = await scene.rateNow(2000);
    await scene.recover('overrun', burst, () => scene.storm(burst, 200_000));
  } finally {
    await scene.lab.down();
  }
}
