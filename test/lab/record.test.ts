/**
 * What two daemons decided in a fail-over, run again from their recordings: step by step the same
 * actions. The daemons are real, the recordings come from `carpio run --record`, the answer from `carpio replay`.
 */
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { BINARY } from '../../scripts/lab/firewall.ts';
import { FIREWALLS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

/**
 * Set to a folder: the way back is played too, and the recordings are put there (the golden ones in test/vectors/data).
 */
const KEEP = process.env.CARPIO_KEEP_RECORDINGS;

const record = suite('record and replay');
let stage: Stage;
prepare(record, async () => {
  stage = await setUpStage({ connections: 20, config: { record: true } });
});
leaveWhenDone(record);
const promise = onStage(record, () => stage);

interface Answer {
  same: boolean;
  node: string;
  steps: Record<string, number>;
  missing: number;
  difference: object | null;
}

async function replay(file: string): Promise<{ code: number; answer: Answer }> {
  const { code, stdout } = await command([BINARY, 'replay', '--json', file], { check: false, timeoutMs: 60_000 });
  return { code, answer: JSON.parse(stdout) as Answer };
}

promise(
  'power-off of the master, the other one takes over and stops: both recordings replay to the same actions',
  async (on) => {
    const { pair, watch } = on;
    await pair['fw-a'].powerOff();
    await watch.until('fw-b to become master', isMaster('fw-b'), 15_000);
    if (KEEP !== undefined) {
      await pair['fw-a'].powerOn(30_000);
      const back = (sample: Sample): boolean => isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample);
      await watch.until('fw-a to be master again, in step', back, 45_000);
    }
    watch.stop();
    for (const name of FIREWALLS) if (pair[name].running) assert.is(await pair[name].stop(), 0);
    for (const name of FIREWALLS) {
      const { code, answer } = await replay(pair[name].paths.record);
      if (KEEP !== undefined) copyFileSync(pair[name].paths.record, `${KEEP}/failover-${name}.jsonl`);
      process.stdout.write(`${name}: ${JSON.stringify(answer.steps)}\n`);
      assert.is(code, 0, JSON.stringify(answer.difference));
      assert.is(answer.node, name);
      assert.is(answer.missing, 0);
      for (const machine of ['group', 'sync', 'probe', 'mask']) {
        assert.ok((answer.steps[machine] ?? 0) > 3, `${machine} took part`);
      }
    }
  },
);

promise('no pass phrase and no key is in a recording, and only its owner can read it', async ({ pair }) => {
  const key = readFileSync('/run/lab/pair.key', 'utf8').trim();
  const phrase = 'lab pass phrase';
  for (const name of FIREWALLS) {
    const { record: file } = pair[name].paths;
    assert.is(statSync(file).mode & 0o777, 0o600);
    const text = readFileSync(file, 'utf8');
    for (const secret of [key, phrase, Buffer.from(phrase).toString('hex')]) {
      assert.not.ok(text.includes(secret), `${name} keeps its secrets`);
    }
  }
});

record.run();
