/** Recording: bounded, never waiting, and honest about what it lost. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Tap } from '../../../src/contract/tap.ts';
import { decodeValue, encodeValue } from '../../../src/contract/tap-values.ts';
import { createProbe, type ProbeEvent, type ProbeState, stepProbe } from '../../../src/liveness/probe/machine.ts';
import { Recorder } from '../../../src/recording/recorder.ts';
import { isSame, Replay } from '../../../src/recording/replay.ts';
import { WorkerTaps } from '../../../src/sync/worker/taps.ts';

const record = suite('record');
let folder = '';
record.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'carpio-record-'));
});
record.after.each(() => rmSync(folder, { recursive: true, force: true }));

/** The smallest production machine, with what a recording needs of it. */
class Probed {
  readonly state: ProbeState = createProbe();
  now = 1_000_000;
  tap: Tap | null = null;

  feed(event: ProbeEvent): void {
    this.now += 40_000;
    const input = this.tap?.before({ event, now: this.now });
    const actions = stepProbe(this.state, event, this.now);
    if (input !== undefined) this.tap?.after(input, actions);
  }

  run(steps: number): void {
    this.feed({ type: 'paths', usable: { wan: true, lan: true } });
    for (let i = 0; i < steps; i++) this.feed({ type: (['report', 'tick', 'tick'] as const)[i % 3]! });
  }
}

function replayed(text: string): Replay {
  const replay = new Replay();
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  for (const line of lines) replay.take(line);
  if (rest !== '') replay.take(rest, false);
  return replay;
}

record('values of every kind come back as they were', () => {
  const value = {
    text: 'x\n"',
    bytes: Buffer.from([0, 255]),
    big: 18446744073709551615n,
    words: Uint32Array.of(1, 4294967295),
    map: new Map<string, unknown>([['a', { since: Number.NEGATIVE_INFINITY }]]),
    list: [null, true, 1.5, Number.NaN],
  };
  const text = encodeValue(value);
  assert.not.match(text, '\n');
  assert.equal(decodeValue(text), value);
  assert.throws(() => decodeValue('{"$nothing":1}'));
  assert.throws(() => encodeValue(() => 1));
});

record('what was recorded replays to the same, and the file is nobody else’s to read', async () => {
  const path = join(folder, 'r.jsonl');
  const recorder = new Recorder(path, 'fw-a', { warn: () => {}, snapshots: () => {} });
  await recorder.start();
  const machine = new Probed();
  machine.tap = recorder.tap('probe', () => machine.state);
  machine.run(600);
  await recorder.close();
  const { report } = replayed(readFileSync(path, 'utf8'));
  assert.ok(isSame(report), JSON.stringify(report));
  assert.is(report.steps.probe, 601);
  assert.is(report.states, 3);
  assert.is(statSync(path).mode & 0o777, 0o600);
});

record('files are bounded in size and number, and each of them can be replayed', async () => {
  const path = join(folder, 'r.jsonl');
  const limits = { file: 20_000, files: 3 };
  const recorder = new Recorder(path, 'fw-a', { warn: () => {}, snapshots: () => {} }, limits);
  await recorder.start();
  const machine = new Probed();
  machine.tap = recorder.tap('probe', () => machine.state);
  for (let i = 0; i < 60; i++) {
    machine.run(30);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await recorder.close();
  assert.ok(existsSync(`${path}.2`), 'older files are kept');
  assert.not.ok(existsSync(`${path}.3`), 'but no more than three');
  for (const file of [path, `${path}.1`, `${path}.2`]) {
    assert.ok(statSync(file).size < 60_000, `${statSync(file).size} bytes`);
    const { report } = replayed(readFileSync(file, 'utf8'));
    assert.ok(isSame(report), JSON.stringify(report));
  }
});

record('an older recording is kept, not overwritten', async () => {
  const path = join(folder, 'r.jsonl');
  for (const name of ['first', 'second']) {
    const recorder = new Recorder(path, name, { warn: () => {}, snapshots: () => {} });
    await recorder.start();
    await recorder.close();
  }
  assert.match(readFileSync(`${path}.1`, 'utf8'), /"first"/);
  assert.match(readFileSync(path, 'utf8'), /"second"/);
});

record('a disk that is too slow costs lines, not memory; the replay says so and goes on behind the gap', async () => {
  const path = join(folder, 'r.jsonl');
  const said: string[] = [];
  let asked = 0;
  const ports = { warn: (text: string) => void said.push(text), snapshots: () => void asked++ };
  const recorder = new Recorder(path, 'fw-a', ports, { buffer: 20_000 });
  await recorder.start();
  const machine = new Probed();
  machine.tap = recorder.tap('probe', () => machine.state);
  // The event loop does not turn meanwhile: nothing can be written.
  machine.run(1000);
  assert.ok(recorder.lost > 0);
  assert.is(said.length, 1, 'said once');
  await new Promise((resolve) => setTimeout(resolve, 50));
  machine.run(50);
  await recorder.close();
  assert.ok(asked > 0, 'the other thread was asked for its state');
  const { report } = replayed(readFileSync(path, 'utf8'));
  assert.ok(report.missing > 0);
  assert.not.ok(isSame(report));
  assert.is(report.difference, null);
  assert.ok(report.steps.probe > 60, 'what came behind the gap was replayed too');
});

record('a file that cannot be made is an error at the start', async () => {
  const recorder = new Recorder(join(folder, 'no', 'r.jsonl'), 'fw-a', { warn: () => {}, snapshots: () => {} });
  let message = '';
  await recorder.start().catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, /ENOENT/);
});

record('the worker sends in batches, no faster than it is taken from it', () => {
  let taken = 0;
  const batches: string[][] = [];
  const taps = new WorkerTaps({ post: (lines) => void batches.push(lines), taken: () => taken });
  const machine = new Probed();
  machine.tap = taps.tap('probe', () => machine.state);
  machine.run(10);
  taps.flush();
  taps.flush();
  assert.is(batches.length, 1, 'one message, and none for nothing');
  for (let i = 0; i < 80; i++) {
    machine.run(1000);
    taps.flush();
  }
  const underway = batches.flat().reduce((sum, line) => sum + line.length, 0);
  assert.ok(underway <= 4 * 1024 * 1024, `${underway} bytes`);
  assert.ok(machine.tap.lost > 0);
  taken = underway;
  machine.run(10);
  taps.flush();
  const { report } = replayed(['{"carpio":"0","record":1,"node":"x","at":0}', ...batches.flat(), ''].join('\n'));
  assert.ok(report.missing > 0);
  assert.is(report.difference, null);
});

record('a secret counter is not in the recording, equal ones stay equal', async () => {
  const path = join(folder, 'r.jsonl');
  const recorder = new Recorder(path, 'fw-a', { warn: () => {}, snapshots: () => {} });
  await recorder.start();
  const secret = 0x1234_5678_9abc_def0n;
  const tap = recorder.tap('mask', () => ({ lastWords: secret }));
  tap.after(tap.before({ counter: secret }), [{ counter: secret }]);
  await recorder.close();
  const text = readFileSync(path, 'utf8');
  assert.not.ok(text.includes(String(secret)) || text.includes(secret.toString(16)));
  const seen = new Set([...text.matchAll(/"\$big":"(\d+)"/g)].map(([, number]) => number));
  assert.is(seen.size, 1);
});

record('a file that is cut off, damaged or no recording is told apart', () => {
  const head = '{"carpio":"0","record":1,"node":"x","at":0}';
  const sink: string[] = [];
  const machine = new Probed();
  machine.tap = new Tap(
    'probe',
    (line) => sink.push(line) > 0,
    () => machine.state,
  );
  machine.run(20);
  const whole = [head, ...sink].join('\n');
  const cut = replayed(whole.slice(0, -20)).report;
  assert.ok(cut.cut && isSame(cut), 'what is there is the same');
  const damaged = replayed(`${[head, ...sink.slice(0, 5), '{"m":"probe"', ...sink.slice(5)].join('\n')}\n`).report;
  assert.is(damaged.damaged[0]?.line, 7);
  assert.not.ok(isSame(damaged));
  assert.not.ok(isSame(replayed('hello\nworld\n').report));
  assert.not.ok(isSame(replayed('').report), 'nothing proves nothing');
});

record.run();
