/**
 * What the pair has to do on two real kernels, by cause: N states are in step, d of them come to differ, and the bytes
 * on the sync link (frames included, heartbeats taken off) and the time until both nodes are in step again are told.
 *
 *   cable     the sync cable is cut while d connections begin
 *   restart   the backup's daemon is killed meanwhile; its kernel keeps what it had
 *   stale     the same, and half of the d have ended meanwhile: it starts with a table that knows too much as well
 *   overrun   the master's event buffer is too small for d connections at once (d is then what the kernel lost)
 *   bulk      the backup comes with an empty kernel
 *   take-over the master's power goes: how many of N stand in the new master's kernel at that moment
 *   killed    the power goes in the middle of 20,000 new connections a second: how old is the oldest that is missing
 *
 * conntrackd has the first four and `bulk` beside it, marked with a star (lib/causes-incumbent.ts).
 *
 * Also: memory of both processes with N states, and the longest slices of background work on the real worker.
 *
 * Usage: node scripts/bench/causes.ts [--quick] [--states N] [--sizes D,D...] [--rate N] [--only CAUSE,CAUSE...]
 * [--json]
 */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { NodeStatus } from '../../src/contract/status.ts';
import { command, pause, until } from '../lab/command.ts';
import type { ConfigOptions } from '../lab/config.ts';
import { enterOrExit } from '../lab/enter.ts';
import { Firewall } from '../lab/firewall.ts';
import { FIREWALLS } from '../lab/plan.ts';
import type { Pair } from '../lab/watch.ts';
import { incumbentByCause } from './lib/causes-incumbent.ts';
import { Load, stormOf, WITHIN } from './lib/causes-load.ts';
import { readCurve } from './lib/lag.ts';
import { option, quick, report } from './lib/output.ts';
import { PATH_STACKS } from './lib/path-stacks.ts';

await enterOrExit(import.meta.url);

const states = Number(option('--states') ?? (quick ? 20_000 : 100_000));
const sizes = (option('--sizes') ?? (quick ? '100,1000' : '100,1000,10000')).split(',').map(Number);
const rate = Number(option('--rate') ?? 20_000);
const only = option('--only')?.split(',') ?? null;
const wanted = (...causes: string[]): boolean => only === null || causes.some((cause) => only.includes(cause));
interface Row {
  cause: string;
  d: number;
  bytes: number | null;
  seconds: number | null;
  note: string;
  load: number;
}

const rows: Row[] = [];
function tell(cause: string, d: number, bytes: number | null, ms: number | null, note = ''): void {
  const seconds = ms === null ? null : ms / 1000;
  rows.push({ cause, d, bytes: bytes === null ? null : Math.round(bytes), seconds, note, load: loadavg()[0] ?? 0 });
  console.error(line(rows.at(-1) as Row));
}

function line({ cause, d, bytes, seconds, note, load }: Row): string {
  const columns = [String(d).padStart(7), String(bytes ?? '-').padStart(9), (seconds?.toFixed(2) ?? '-').padStart(7)];
  return `${cause.padEnd(10)} ${columns.join(' ')}  load ${load.toFixed(1)}  ${note}`;
}

class Scene extends Load {
  pair!: Pair;

  async open(config: ConfigOptions = {}): Promise<void> {
    await this.prepare();
    const make = (name: 'fw-a' | 'fw-b'): Firewall => new Firewall(this.lab, name, { syncWhen: 'all', ...config });
    this.pair = { 'fw-a': make('fw-a'), 'fw-b': make('fw-b') };
    await Promise.all(FIREWALLS.map((node) => this.pair[node].start()));
    await this.inStep();
  }

  async looks(): Promise<[NodeStatus | null, NodeStatus | null]> {
    return [await this.pair['fw-a'].status(), await this.pair['fw-b'].status()];
  }

  /** fw-a is master, both say to be in step, and what it owns is mirrored. */
  async inStep(): Promise<number> {
    const good = async (): Promise<true | null> => {
      const [a, b] = await this.looks();
      const known = a?.role === 'master' && a.sync?.in_step === true && b?.sync?.in_step === true;
      return known && a.sync?.states.own === b.sync?.states.mirrored ? true : null;
    };
    const begun = performance.now();
    await until('the pair to be in step', good, { withinMs: WITHIN, everyMs: 10 });
    return performance.now() - begun;
  }

  /**
   * From `begin`'s end until in step. Heartbeats are taken off: before as many as there were just now, then those of a
   * pair.
   */
  async recover(cause: string, d: number, begin: () => Promise<unknown>): Promise<void> {
    const lone = await this.rateNow(500);
    const [at, bytes] = [performance.now(), await this.lab.syncBytes()];
    await begin();
    const started = performance.now();
    await this.inStep();
    const all = (await this.lab.syncBytes()) - bytes;
    const spent = all - lone * (started - at) - this.idle * (performance.now() - started);
    const { repairs, repair_bytes } = (await this.pair['fw-b'].status())?.sync ?? {};
    const note = `${all} bytes with heartbeats; fw-b: ${repairs} repairs, ${repair_bytes} bytes of repair`;
    tell(cause, d, spent, performance.now() - started, note);
  }

  /** Nobody hears anybody: what is said to be in step must have been compared after this. */
  async silent(): Promise<void> {
    const gone = async (): Promise<true | null> => {
      const alive = (await this.looks()).filter((one) => one !== null && one.sync?.peer.alive !== false);
      return alive.length === 0 ? true : null;
    };
    await until('the peer to be missed', gone, { withinMs: 10_000 });
  }
}

function rss(pid: number | null): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
}

async function cable(scene: Scene, d: number): Promise<void> {
  await scene.lab.cut('fw-a', 'sync');
  await scene.silent();
  await scene.storm(d);
  await scene.recover('cable', d, () => scene.lab.heal('fw-a', 'sync'));
}

async function restart(scene: Scene, d: number): Promise<void> {
  await scene.pair['fw-b'].kill();
  await scene.silent();
  await scene.storm(d);
  await scene.recover('restart', d, () => scene.pair['fw-b'].start());
}

/** As many have ended as have begun. */
async function stale(scene: Scene, d: number): Promise<void> {
  await scene.pair['fw-b'].kill();
  await scene.silent();
  const half = Math.floor(d / 2);
  await scene.end(half);
  await scene.storm(d - half);
  await scene.recover('stale', d, () => scene.pair['fw-b'].start());
}

async function bulk(scene: Scene): Promise<void> {
  await scene.pair['fw-b'].kill();
  await scene.silent();
  await scene.lab.exec('fw-b', ['conntrack', '-F']);
  const all = await scene.held('fw-a');
  await scene.recover('bulk', all, () => scene.pair['fw-b'].start());
}

async function takeOver(scene: Scene): Promise<void> {
  const all = (await scene.pair['fw-b'].status())?.sync?.states.mirrored ?? 0;
  const before = await scene.held('fw-b');
  const begun = performance.now();
  await scene.pair['fw-a'].powerOff();
  const master = async (): Promise<true | null> =>
    (await scene.pair['fw-b'].status())?.role === 'master' ? true : null;
  await until('fw-b to be master', master, { withinMs: 20_000, everyMs: 5 });
  const ms = performance.now() - begun;
  const after = await scene.held('fw-b');
  tell(
    'take-over',
    all,
    null,
    ms,
    `${before} in its kernel before, ${after} when it is master (the lab's own time to switch off included): nothing left to do`,
  );
}

async function differences(): Promise<void> {
  const scene = new Scene(rate);
  try {
    await scene.open();
    await scene.storm(states);
    await scene.inStep();
    scene.idle = await scene.rateNow(2000);
    const bySize = [cable, restart, stale].filter(({ name }) => wanted(name));
    for (const d of sizes) for (const one of bySize) await one(scene, d);
    const [a, b] = FIREWALLS.map((node) => rss(scene.pair[node].pid));
    tell('memory', states, null, null, `RSS of the process: fw-a ${a?.toFixed(0)} MB, fw-b ${b?.toFixed(0)} MB`);
    if (wanted('bulk')) await bulk(scene);
    for (const [i, status] of (await scene.looks()).entries()) {
      const { bounds_ms, counts } = status?.sync?.slices ?? { bounds_ms: [], counts: [] };
      const text = counts.map((n, at) => `${n} up to ${bounds_ms[at] ?? 'beyond'}`).join(', ');
      tell(
        `slices ${FIREWALLS[i]}`,
        counts.reduce((sum, n) => sum + n, 0),
        null,
        null,
        `ms: ${text}`,
      );
    }
    if (wanted('take-over')) await takeOver(scene);
  } finally {
    await scene.lab.down();
  }
}

async function overrun(): Promise<void> {
  const scene = new Scene(rate);
  try {
    await scene.open({ eventBuffer: 65_536 });
    await scene.storm(states);
    await scene.inStep();
    scene.idle = await scene.rateNow(2000);
    const before = (await scene.pair['fw-a'].status())?.sync?.overruns ?? 0;
    const most = sizes.at(-1) ?? 1000;
    await scene.recover('overrun', most, () => scene.storm(most, 200_000));
    const lost = ((await scene.pair['fw-a'].status())?.sync?.overruns ?? 0) - before;
    tell(
      'overrun',
      most,
      null,
      null,
      `${lost} overruns among these ${most}; the bytes above are all of them, told at last`,
    );
  } finally {
    await scene.lab.down();
  }
}

/** Client and master go in the same moment, so that the new master opens none by itself. */
async function killed(): Promise<void> {
  const scene = new Scene(rate);
  try {
    await scene.open();
    const base = await scene.held('fw-b');
    const seconds = quick ? 2 : 4;
    const argv = [...stormOf(rate, rate * seconds), '0', 'curve'];
    const sending = scene.lab.exec('client', argv, { timeoutMs: WITHIN });
    await pause((seconds * 1000) / 2);
    // The daemon stands still from here on; the rest of the power's end takes its time.
    for (const pid of scene.lab.pids('fw-a')) process.kill(pid, 'SIGSTOP');
    const died = process.hrtime.bigint();
    await Promise.all([command(['ip', '-n', 'client', 'link', 'set', 'eth0', 'down']), scene.pair['fw-a'].powerOff()]);
    const { stdout } = await sending;
    const reached = (await scene.held('fw-b')) - base;
    const curve = readCurve(stdout);
    const at = curve.find(([, count]) => count >= reached)?.[0];
    const sent = curve.findLast(([ns]) => ns <= Number(died))?.[1] ?? 0;
    const ms = at === undefined ? null : (Number(died) - at) / 1e6;
    tell(
      'killed',
      sent,
      null,
      ms === null ? null : ms,
      `${reached} of ${sent} there; none older than ${ms?.toFixed(1)} ms is missing`,
    );
  } finally {
    await scene.lab.down();
  }
}

if (wanted('cable', 'restart', 'stale', 'bulk', 'take-over')) await differences();
if (wanted('overrun')) await overrun();
if (wanted('killed')) await killed();
const incumbent = PATH_STACKS.find(({ name }) => name === 'conntrackd');
if (!wanted('conntrackd')) console.error('conntrackd: not asked for');
else if (incumbent === undefined || incumbent.missing !== null)
  console.error(`conntrackd: not measured, ${incumbent?.missing}`);
else await incumbentByCause(states, sizes, rate, tell);
const head = `${states} states, two real kernels\ncause            d     bytes seconds`;
report('causes', { states, rows }, [head, ...rows.map(line)].join('\n'));
process.exit(0);
