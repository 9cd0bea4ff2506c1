/**
 * A short soak (npm run soak): random faults from a fixed seed against the real kernel and the real binary, the same
 * checks after each. And the negative control: checks that look at a scene that is not sound must say so.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, VIPS } from '../../scripts/lab/plan.ts';
import { inStep } from '../../scripts/lab/watch.ts';
import { Checks } from '../../scripts/soak/checks.ts';
import { type SoakReport, soak } from '../../scripts/soak/soak.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const SEED = 7;
const ROUNDS = 3;

const chaos = suite('chaos');
let report: SoakReport;
const keep = mkdtempSync(join(tmpdir(), 'carpio-chaos-'));
prepare(chaos, async () => {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  report = await soak({ seed: SEED, minutes: 1, rounds: ROUNDS, connections: 100, say, keep });
});
chaos.after(() => rmSync(keep, { recursive: true, force: true }));
leaveWhenDone(chaos);

chaos(`${ROUNDS} rounds of seed ${SEED}: every promise held`, () => {
  assert.equal(report.violations, []);
  assert.ok(report.rounds > 0, 'at least one round was played');
  assert.ok(report.replayed > 1000, `${report.replayed} recorded steps were run again`);
});

chaos('SIGHUP while the daemon starts does not end it', async () => {
  const { stage } = report.scene;
  const firewall = stage.pair['fw-b'];
  await firewall.stop();
  const starting = firewall.start(30_000);
  // The control socket is taken first; it answers when the start is over.
  const path = firewall.paths.control;
  await until('the control socket to be there', () => existsSync(path), { withinMs: 20_000, everyMs: 2 });
  process.kill(firewall.pid!, 'SIGHUP');
  assert.is((await starting).node, 'fw-b');
  await stage.watch.until('both to be in step', inStep, 30_000);
});

chaos('negative control: a stray process and an address held twice are found', async () => {
  const { scene } = report;
  const address = bare(VIPS.wan.addresses[0]);
  const stray = scene.stage.lab.spawn('fw-b', ['sleep', '60'], { stdio: 'ignore' });
  await command(['ip', '-n', 'fw-b', 'addr', 'add', `${address}/32`, 'dev', 'lo']);
  const problems = await new Checks(scene).all();
  await command(['ip', '-n', 'fw-b', 'addr', 'del', `${address}/32`, 'dev', 'lo']);
  stray.kill('SIGKILL');
  assert.ok(
    problems.some((text) => text.includes('processes on fw-b')),
    problems.join('; '),
  );
  assert.ok(
    problems.some((text) => text.includes(`${address} is held by fw-a and fw-b`)),
    problems.join('; '),
  );
});

chaos('negative control: connections that have died are found', async () => {
  const { scene } = report;
  scene.stage.traffic.echo.stop();
  const problems = await new Checks(scene).all();
  assert.ok(
    problems.some((text) => /^0 of 100 connections are alive/.test(text)),
    problems.join('; '),
  );
});

chaos.run();
