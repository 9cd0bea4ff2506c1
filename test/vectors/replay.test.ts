/**
 * Golden recordings: a fail-over and the way back, recorded on both nodes of the lab, must be decided today as it was
 * then. After a machine was changed on purpose: node scripts/renew-recordings.ts (or new ones from the lab:
 * CARPIO_KEEP_RECORDINGS=FOLDER node test/run.ts lab/record, then gzip -9n into test/vectors/data).
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MACHINES } from '../../src/recording/machines.ts';
import { isSame, Replay, type ReplayReport } from '../../src/recording/replay.ts';

const golden = suite('golden recordings');

function linesOf(node: string): string[] {
  const file = new URL(`data/failover-${node}.jsonl.gz`, import.meta.url);
  return gunzipSync(readFileSync(file)).toString('utf8').trimEnd().split('\n');
}

function replay(lines: readonly string[]): ReplayReport {
  const run = new Replay();
  for (const line of lines) run.take(line);
  return run.report;
}

for (const node of ['fw-a', 'fw-b']) {
  const lines = linesOf(node);

  golden(`${node}: the same actions, step by step, and the same states`, () => {
    const report = replay(lines);
    const hint = 'changed on purpose? node scripts/renew-recordings.ts';
    assert.is(report.difference, null, `${JSON.stringify(report.difference)}\n${hint}`);
    assert.ok(isSame(report));
    assert.is(report.node, node);
    assert.ok(report.states > 0, 'whole states were compared');
    for (const machine of MACHINES) assert.ok(report.steps[machine] > 0, `${machine} took part`);
  });

  // Each altered word must change a decision: an event that may be anything would prove nothing.
  const altered: [machine: string, from: RegExp, to: string][] = [
    ['group', /"advskew":\d+,"demote"/, '"advskew":254,"demote"'],
    ['sync', /"equal":true/, '"equal":false'],
    ['sync', /"echo":"[0-9a-f]{8}/, '"echo":"00000000'],
    ['probe', /"type":"answer","path":"wan"/, '"type":"answer","path":"lan"'],
    ['mask', /"demotion":\d+/, '"demotion":99'],
  ];
  for (const [machine, from, to] of altered) {
    golden(`${node}: negative control: an altered event of ${machine} (${to}) is found`, () => {
      const input = new RegExp(`^\\{"m":"${machine}",[^\\n]*?"in":.*?${from.source}`);
      const found = lines.map((line, i) => (input.test(line) ? i : -1)).filter((i) => i >= 0);
      assert.ok(found.length > 0, 'such an event was recorded');
      // The last ones first: the states at the end of the recording tell of them in any case.
      const differs = (i: number): boolean =>
        replay(lines.with(i, lines[i]!.replace(from, to))).difference?.machine === machine;
      assert.ok(found.reverse().some(differs), 'one of them leads to another decision');
    });
  }

  golden(`${node}: negative control: an altered action is found, with its line`, () => {
    const at = lines.findIndex((line) => line.includes('"type":"role"'));
    const report = replay(lines.map((line, i) => (i === at ? line.replace('"to":"', '"to":"X') : line)));
    assert.is(report.difference?.line, at + 1);
    assert.is(report.difference?.what, 'actions');
  });

  golden(`${node}: a step that is missing is not passed over in silence`, () => {
    const at = lines.findIndex((line, i) => i > lines.length / 2 && line.includes('"in":'));
    const report = replay(lines.filter((_line, i) => i !== at));
    assert.ok(report.missing > 0);
    assert.not.ok(isSame(report));
  });
}

golden.run();
