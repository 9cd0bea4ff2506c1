/**
 * The same causes for conntrackd (FT-FW, straight into the kernel): until the backup's kernel holds as many states as the
 * master's, which is all that can be asked of it. After a cut it sends what it has queued by itself; after a restart
 * somebody must ask for all (`conntrackd -n`, what its fail-over script does).
 */
import type { ChildProcess } from 'node:child_process';
import { pause, until } from '../../lab/command.ts';
import type { FirewallName } from '../../lab/plan.ts';
import { Load, WITHIN } from './causes-load.ts';
import { askConntrackd, conntrackdOn, conntrackdPair } from './path-stacks.ts';

export type Tell = (cause: string, d: number, bytes: number | null, ms: number | null, note: string) => void;

/** A few flows of the lab's own come and go on one box only. */
const NEAR = 20;

class Incumbent extends Load {
  private daemons: Record<FirewallName, ChildProcess> | null = null;
  private readonly tell: Tell;

  constructor(rate: number, tell: Tell) {
    super(rate);
    this.tell = tell;
  }

  async open(): Promise<void> {
    await this.prepare();
    this.daemons = await conntrackdPair(this.lab);
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

  /** @param empty the backup's kernel has lost its table as well */
  async restart(cause: string, d: number, empty: boolean): Promise<void> {
    const daemon = this.daemons?.['fw-b'];
    const ended = new Promise((done) => daemon?.once('exit', done));
    daemon?.kill('SIGKILL');
    await ended;
    if (empty) await this.lab.exec('fw-b', ['conntrack', '-F']);
    else await this.storm(d);
    const all = empty ? await this.held('fw-a') : d;
    await this.recover(cause, all, async () => {
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
      await scene.restart('restart', d, false);
    }
    await scene.restart('bulk', states, true);
  } finally {
    await scene.lab.down();
  }
}
