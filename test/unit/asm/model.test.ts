/** 100,000 random operations on the module and on a plain TypeScript table: same states, same owners, same digests. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { kernelMessage } from '../../../scripts/reference/ctmsg.ts';
import {
  destroy,
  event,
  FP_KEY,
  feed,
  finish,
  kernelOutput,
  listAll,
  makeEngine,
  syncOutput,
} from '../../../scripts/reference/harness.ts';
import {
  below,
  clone,
  keyOf,
  randomContent,
  randomSource,
  randomState,
  type State,
  TCP,
} from '../../../scripts/reference/state.ts';
import { ReferenceTable } from '../../../scripts/reference/table.ts';
import { decodeRecords, encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import type { Engine, Owner } from '../../../src/sync/table/engine.ts';

const test = suite('engine against the reference table');

const OPERATIONS = 100_000;
const OWNERS: Owner[] = ['unclaimed', 'own', 'mirrored'];

/** Contents as text without what is not synced. */
function content(state: State): string {
  const { reply, status, mark, l4, vtags } = state;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const { labels, helper, seq, zone } = state.extra ?? {};
  const rare = [hex(labels ?? new Uint8Array()), helper, seq, zone?.direction, zone?.zone];
  return [hex(reply.src), hex(reply.dst), reply.sport, reply.dport, status & 6, mark, l4, vtags, ...rare].join(' ');
}

function compareAll(engine: Engine, model: ReferenceTable, note: string): void {
  const listed = listAll(engine);
  assert.is(listed.length, model.entries.size, note);
  for (const one of listed) {
    const expected = model.entries.get(keyOf(one));
    assert.ok(expected, `${note}: ${keyOf(one)} is not in the reference`);
    assert.is(one.owner, expected.owner, `${note}: owner of ${keyOf(one)}`);
    assert.is(content(one), content(expected.state), `${note}: content of ${keyOf(one)}`);
  }
  for (const owner of OWNERS) {
    const { count, sum } = engine.digest(owner);
    const expected = model.digest(owner);
    assert.is(count, BigInt(expected.count), `${note}: count of ${owner}`);
    assert.is(BigInt(`0x${sum.toString('hex')}`), expected.sum, `${note}: digest of ${owner}`);
  }
  assert.is(engine.dirtyCount(), model.dirty.size, `${note}: dirty`);
  assert.is(bench(engine).selfCheck(), 0, note);
}

/** What is sent must be the present truth about every dirty key, and nothing else. */
function compareSent(engine: Engine, model: ReferenceTable): void {
  const sent = new Set<string>();
  for (const datagram of syncOutput(engine, 160 + (model.entries.size % 1200))) {
    for (const record of decodeRecords(datagram)) {
      const key = keyOf(record.state);
      sent.add(key);
      const entry = model.entries.get(key);
      assert.is(record.delete, entry === undefined);
      if (entry === undefined) continue;
      assert.is(record.yours, entry.owner === 'mirrored');
      assert.is(content(record.state), content(entry.state));
    }
  }
  assert.equal([...sent].sort(), [...model.dirty].sort());
  model.dirty.clear();
}

test('random operations', () => {
  const random = randomSource(20_260_101);
  const engine = makeEngine();
  bench(engine).boundAnswers(0);
  const model = new ReferenceTable(FP_KEY);
  let last = randomState(random);
  let ms = 0;
  /** Often a state that is known already, so that the rules for present records are met. */
  const next = (): State => {
    if (random() < 0.3) return randomContent(random, last);
    last = randomState(random, 8);
    return last;
  };
  const unanswered = (state: State): State => {
    const out = clone(state);
    if (out.proto === TCP && random() < 0.5) out.l4 = 1;
    else out.status = 8;
    // Labels wait for the answer in a place that others may take: extra.test.ts.
    delete out.extra;
    return out;
  };
  const rx = (state: State, late: boolean, remove: boolean): void => {
    const yours = late && random() < 0.5;
    const bytes = remove ? encodeDelete(state, yours) : encodeUpdate(state, yours);
    assert.is(engine.applyUpdates(bytes, late && !yours), 1);
    if (remove) model.delete(state, late);
    else model.update(state, late, yours);
  };
  const operations: [number, () => void][] = [
    [
      30,
      () =>
        both(
          (s) => event(engine, s),
          (s) => model.event(s),
        ),
    ],
    [
      4,
      () =>
        both(
          (s) => event(engine, s, { withoutInfo: true }),
          (s) => model.event(s, true),
        ),
    ],
    [
      3,
      () =>
        both(
          (s) => event(engine, s),
          (s) => model.event(s),
          unanswered(next()),
        ),
    ],
    [
      14,
      () =>
        both(
          (s) => {
            // Time goes on, or no more would be put back at once (asm/state/putback.ts).
            ms += 100;
            engine.setNow(ms);
            destroy(engine, s);
          },
          (s) => model.destroy(s),
        ),
    ],
    [30, () => rx(next(), random() < 0.3, false)],
    [12, () => rx(next(), random() < 0.3, true)],
    [4, () => compareSent(engine, model)],
    [3, () => void kernelOutput(engine)],
    [2, () => void engine.sweep(below(random, 200))],
    [
      0.3,
      () =>
        change(
          () => engine.adoptPeer(),
          () => model.adoptPeer(),
        ),
    ],
    [
      0.3,
      () =>
        change(
          () => engine.yieldOwn(),
          () => model.yieldOwn(),
        ),
    ],
    [
      0.1,
      () =>
        change(
          () => engine.adoptUnclaimed(),
          () => model.adoptUnclaimed(),
        ),
    ],
    [0.01, dump],
    [0.3, prefer],
  ];
  const total = operations.reduce((sum, [weight]) => sum + weight, 0);

  function both(here: (s: State) => void, there: (s: State) => void, state = next()): void {
    here(state);
    there(state);
  }
  function change(here: () => void, there: () => void): void {
    here();
    there();
  }
  function prefer(): void {
    model.preferPeer = random() < 0.5;
    engine.setPreferPeer(model.preferPeer);
  }
  // Most of what is known is in the dump, some of it changed; some is new.
  function dump(): void {
    const mine = random() < 0.5;
    const lines: State[] = [];
    for (const { state } of model.entries.values()) {
      if (random() < 0.97) lines.push(random() < 0.97 ? state : randomContent(random, state));
    }
    for (let i = 0; i < 5; i++) {
      const state = randomState(random, 8);
      if (!lines.some((line) => keyOf(line) === keyOf(state))) lines.push(state);
    }
    kernelOutput(engine);
    engine.dumpBegin(!mine);
    for (const state of lines) feed(engine, kernelMessage(state, { pid: 7 }), 'dump');
    finish((n) => engine.dumpEnd(n), 100);
    model.dump(lines, mine);
  }

  for (let i = 0; i < OPERATIONS; i++) {
    let at = random() * total;
    for (const [weight, run] of operations) {
      at -= weight;
      if (at >= 0) continue;
      run();
      break;
    }
    if (i % 5000 === 0) compareAll(engine, model, `operation ${i}`);
  }
  compareSent(engine, model);
  kernelOutput(engine);
  while (engine.sweep(1000) !== 0);
  compareAll(engine, model, 'end');
  assert.is(engine.counter('conflicts'), model.conflicts);
  assert.is(engine.counter('claims'), model.claims);
  assert.ok(model.conflicts > 1000 && model.claims > 1000 && model.entries.size > 100, 'the operations met the rules');
});

test('negative control: one lost operation is noticed', () => {
  const random = randomSource(5);
  const engine = makeEngine();
  const model = new ReferenceTable(FP_KEY);
  for (let i = 0; i < 200; i++) {
    const state = randomState(random);
    if (i !== 100) event(engine, state);
    model.event(state);
  }
  assert.is.not(engine.digest('own').count, BigInt(model.digest('own').count));
  assert.is.not(BigInt(`0x${engine.digest('own').sum.toString('hex')}`), model.digest('own').sum);
});

test.run();
