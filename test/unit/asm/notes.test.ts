/** `verify --deep` names each state that reading the kernel again had to mend. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { kernelMessage } from '../../../scripts/reference/ctmsg.ts';
import { event, feed, makeEngine } from '../../../scripts/reference/harness.ts';
import { randomSource, randomState, type State, TCP } from '../../../scripts/reference/state.ts';
import { auditLines, packLines, unpackLines } from '../../../src/sync/table/audit-lines.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('engine notes');

function tcpStates(seed: number, n: number): State[] {
  const random = randomSource(seed);
  const out: State[] = [];
  while (out.length < n) {
    const state = randomState(random, 60_000);
    if (state.proto === TCP && state.status & 2) out.push({ ...state, l4: 3, mark: 0 });
  }
  return out;
}

/** A dump that shows exactly these states; `late` events come in while it is open. */
function audit(engine: Engine, states: readonly State[], late: readonly State[] = []): void {
  engine.clearNotes();
  engine.dumpBegin(false);
  for (const state of states) feed(engine, kernelMessage(state), 'dump');
  for (const state of late) event(engine, state);
  while (engine.dumpEnd(1000) !== 0);
}

test('what was missing, changed and gone is named; what was right is not', () => {
  const engine = makeEngine();
  const [same, gone, changed, fresh] = tcpStates(1, 4) as [State, State, State, State];
  for (const state of [same, gone, changed]) event(engine, state);
  audit(engine, [same, { ...changed, mark: 77 }, fresh]);
  const lines = auditLines(engine);
  assert.is(lines.length, 3);
  assert.is(lines.filter((line) => line.startsWith('in the kernel, not in the table: ')).length, 1);
  assert.is(lines.filter((line) => line.startsWith('in the table, not in the kernel: ')).length, 1);
  assert.ok(lines.some((line) => line.startsWith('the kernel had other content') && line.includes('mark=77')));
  assert.is(engine.counter('corrections'), 3);
  audit(engine, [same, { ...changed, mark: 77 }, fresh]);
  assert.equal(auditLines(engine), [], 'mended');
});

test('a difference whose event was only late is no difference', () => {
  const engine = makeEngine();
  const [fresh] = tcpStates(2, 1) as [State];
  audit(engine, [fresh], [fresh]);
  assert.equal(auditLines(engine), []);
});

test('the first hundred, however many there are', () => {
  const engine = makeEngine();
  audit(engine, tcpStates(3, 400));
  assert.is(auditLines(engine).length, 100);
  assert.is(bench(engine).selfCheck(), 0);
});

test('lines for the other node: as many as fit in a datagram', () => {
  const lines = Array.from({ length: 100 }, (_, i) => `state ${i} ä`);
  const packed = packLines(lines, 300);
  assert.ok(packed.length <= 300 && packed.length > 280);
  const back = unpackLines(packed);
  assert.equal(back, lines.slice(0, back.length));
  assert.equal(unpackLines(packLines([], 300)), []);
  assert.not.throws(() => unpackLines(Buffer.from([0xff, 0x0a, 0x80])));
});

test.run();
