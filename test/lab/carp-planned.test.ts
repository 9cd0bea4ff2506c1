/**
 * Planned moves of the lead lose nothing: maintenance and demotion, on and off again, and SIGTERM, with probes every 2
 * ms from the client to the server.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import type { ProbeReport } from '../../scripts/lab/traffic.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const planned = suite('planned moves');
let stage: Stage;
prepare(planned, async () => {
  stage = await setUpStage({ probeMs: 2, connections: 20 });
});
leaveWhenDone(planned);
const promise = onStage(planned, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
const MOVES = Number(process.env.CARPIO_RUNS ?? 2);
/** A window holds the move and what may go wrong late: the second announcements, a switch that learned wrongly. */
const WINDOW_MS = 700;

interface Seen {
  lost: number;
  gap_ms: number;
  late_ms: number;
}

async function windowOf({ traffic }: Stage, act: () => Promise<unknown>): Promise<Seen> {
  await traffic.probe.ask('mark');
  await act();
  await pause(WINDOW_MS);
  const { lost, gap_ms, late_ms } = await traffic.probe.ask<ProbeReport>('report');
  return { lost, gap_ms, late_ms };
}

/** A program that itself did not run for that long (a busy test machine) cannot tell whose loss it sees. */
const JUDGED_MS = 100;
const judged = (one: Seen): boolean => one.late_ms < JUDGED_MS;
const lost = (all: readonly Seen[]): number => all.filter(judged).reduce((total, one) => total + one.lost, 0);
const line = (all: readonly Seen[]): string =>
  all
    .map(
      (one) =>
        `${one.lost} (${one.gap_ms} ms${judged(one) ? '' : `, not judged: the probe was late by ${one.late_ms} ms`})`,
    )
    .join(', ');

const MEANS = {
  maintenance: (on: boolean) => ({ cmd: 'maintenance', args: { on } }),
  demotion: (on: boolean) =>
    on ? { cmd: 'demote', args: { weight: 240, reason: 'test' } } : { cmd: 'undemote', args: { reason: 'test' } },
};

for (const [means, ask] of Object.entries(MEANS))
  promise(
    `${means}: ${2 * MOVES} moves, back and forth: not one probe more is lost than in as many windows without a move`,
    async (on) => {
      const { pair, watch } = on;
      const moved: Seen[] = [];
      const calm: Seen[] = [];
      for (let move = 0; move < 2 * MOVES; move++) {
        const away = move % 2 === 0;
        calm.push(await windowOf(on, () => pause(100)));
        moved.push(
          await windowOf(on, async () => {
            const { cmd, args } = ask(away);
            const answer = await pair['fw-a'].ask(cmd, args);
            assert.ok(answer.ok, JSON.stringify(answer));
            await watch.until('the move', away ? isMaster('fw-b') : isMaster('fw-a'), 10_000);
          }),
        );
        const there = (s: Sample): boolean => isMaster('fw-b')(s) && isBackup('fw-a')(s) && inStep(s);
        await watch.until('a pair in order', away ? there : settled, 20_000);
      }
      process.stdout.write(
        `${means}: lost in moves (longest silence): ${line(moved)}\nwithout a move: ${line(calm)}\n`,
      );
      assert.ok(lost(moved) <= lost(calm), `${lost(moved)} probes lost by moves, ${lost(calm)} without`);
      assert.equal(watch.violations, []);
    },
  );

promise('SIGTERM: not one probe more is lost than in a window without it', async (on) => {
  const calm = [await windowOf(on, () => pause(100))];
  const moved = [await windowOf(on, async () => assert.is(await on.pair['fw-a'].stop(), 0))];
  process.stdout.write(`SIGTERM: lost (longest silence): ${line(moved)}\nwithout: ${line(calm)}\n`);
  await on.watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  assert.ok(lost(moved) <= lost(calm), `${lost(moved)} probes lost, ${lost(calm)} without`);
  assert.equal(on.watch.violations, []);
});

planned.run();
