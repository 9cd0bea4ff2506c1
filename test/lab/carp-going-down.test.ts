/**
 * A node that can no longer do its work says so at once, on every path it has left, and the peer takes over at once.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const going = suite('going down');
let stage: Stage;
prepare(going, async () => {
  stage = await setUpStage({ probeMs: 2 });
});
leaveWhenDone(going);
const promise = onStage(going, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
/** Without a word the backup would wait for 3 x advbase + advskew/256 s. */
const PROTOCOL_MS = 3390;

const CASES: { what: string; break: string[]; mend: string[] | null }[] = [
  { what: 'IPv4 address removed', break: ['addr', 'del', '10.77.1.1/24', 'dev', 'carp2-lan'], mend: null },
  { what: 'IPv6 address removed', break: ['addr', 'del', 'fd77:1::1/64', 'dev', 'carp2-lan'], mend: null },
  { what: 'virtual device set down', break: ['link', 'set', 'carp1-wan', 'down'], mend: null },
  { what: 'virtual device deleted', break: ['link', 'del', 'carp1-wan'], mend: null },
  { what: 'NIC set down', break: ['link', 'set', 'eth1', 'down'], mend: ['link', 'set', 'eth1', 'up'] },
];

for (const { what, break: act, mend } of CASES) {
  promise(`${what}: the peer is master of everything at once; mended, all goes back`, async (on) => {
    const { lab, traffic, watch } = on;
    await traffic.mark();
    await lab.exec('fw-a', ['ip', ...act]);
    const ms = await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
    await traffic.arm();
    assert.is((await traffic.worked()).alive, 200);
    const { gap_ms } = await traffic.probe.ask<{ gap_ms: number }>('report');
    process.stdout.write(`${what}: fw-b seen as master after ${ms.toFixed(0)} ms, gap ${gap_ms.toFixed(0)} ms\n`);
    assert.ok(gap_ms < PROTOCOL_MS / 4, `${gap_ms} ms`);
    if (mend !== null) {
      await lab.exec('fw-a', ['ip', ...mend]);
      // The kernel forgets IPv6 addresses of a NIC that goes down.
      await lab.exec('fw-a', ['ip', 'addr', 'add', 'fd77:1::2/64', 'dev', 'eth1', 'nodad'], { check: false });
    }
    await watch.until('fw-a to be master again, in step', settled, 100_000);
    assert.equal(watch.violations, []);
  });
}

promise('SIGTERM: handed over without a lost probe', async (on) => {
  const { pair, traffic, watch } = on;
  await traffic.mark();
  const code = await pair['fw-a'].stop();
  assert.is(code, 0);
  await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  const { lost, gap_ms } = await traffic.probe.ask<{ lost: number; gap_ms: number }>('report');
  process.stdout.write(`SIGTERM: ${lost} probes lost, gap ${gap_ms.toFixed(0)} ms\n`);
  assert.ok(gap_ms < PROTOCOL_MS / 4);
});

going.run();
