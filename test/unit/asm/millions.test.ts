/**
 * Two million random operations on the module and on the plain TypeScript table (reference/table.ts). The states of a
 * round and their messages are made before, so that an operation costs a few microseconds; digests are compared each
 * 5,000 operations, the whole table each 100,000.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { kernelMessage } from '../../../scripts/reference/ctmsg.ts';
import { FP_KEY, feed, listAll, makeEngine } from '../../../scripts/reference/harness.ts';
import {
  below,
  fingerprint,
  hashed,
  keyOf,
  randomContent,
  randomSource,
  randomState,
  type State,
} from '../../../scripts/reference/state.ts';
import { ReferenceTable, type Ways } from '../../../scripts/reference/table.ts';
import { encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import type { Engine, Owner } from '../../../src/sync/table/engine.ts';

const test = suite('engine: millions of operations');

const OPERATIONS = 2_000_000;
const ROUND = 100_000;
const DIGEST_EVERY = 5000;
const OWNERS: Owner[] = ['unclaimed', 'own', 'mirrored'];

/** A state with all that may be said of it, ready made. */
interface Ready {
  state: State;
  created: Uint8Array;
  ended: Uint8Array;
  update: Uint8Array;
  remove: Uint8Array;
}

function ready(state: State): Ready {
  return {
    state,
    created: kernelMessage(state, {}),
    ended: kernelMessage(state, { message: 2 }),
    update: encodeUpdate(state, false),
    remove: encodeDelete(state, false),
  };
}

/** About 600 keys, each in up to four versions. */
function pool(random: () => number): Ready[] {
  return Array.from({ length: 600 }, () => randomState(random, 60)).flatMap((state) =>
    Array.from({ length: 4 }, (_, version) => ready(version === 0 ? state : randomContent(random, state))),
  );
}

/** Each distinct content is hashed by the reference once (BigInt: 30 us), each ready made state named once. */
function remembered(): Ways {
  const keys = new WeakMap<State, string>();
  const prints = new Map<string, bigint>();
  return {
    keyOf(state) {
      const key = keys.get(state) ?? keyOf(state);
      keys.set(state, key);
      return key;
    },
    fingerprint(state) {
      const text = hashed(state, true).toString('latin1');
      const print = prints.get(text) ?? fingerprint(state, FP_KEY);
      prints.set(text, print);
      return print;
    },
  };
}

class Both {
  readonly engine: Engine = makeEngine();
  readonly model = new ReferenceTable(FP_KEY, remembered());

  constructor() {
    bench(this.engine).boundAnswers(0);
  }

  event(one: Ready): void {
    feed(this.engine, one.created);
    this.model.event(one.state);
  }

  destroy(one: Ready): void {
    feed(this.engine, one.ended);
    this.model.destroy(one.state);
  }

  update(one: Ready, late: boolean): void {
    assert.is(this.engine.applyUpdates(one.update, late), 1);
    this.model.update(one.state, late, false);
  }

  remove(one: Ready, late: boolean): void {
    assert.is(this.engine.applyUpdates(one.remove, late), 1);
    this.model.delete(one.state, late);
  }

  /** A rare change of all owners, and what waits for kernel and peer is taken away. */
  turn(random: () => number): void {
    const { engine, model } = this;
    const which = below(random, 4);
    if (which === 0) {
      engine.adoptPeer();
      model.adoptPeer();
    } else if (which === 1) {
      engine.yieldOwn();
      model.yieldOwn();
    }
    model.preferPeer = random() < 0.5;
    engine.setPreferPeer(model.preferPeer);
    while (engine.sweep(1000) !== 0);
    this.empty();
  }

  empty(): void {
    const { engine, model } = this;
    while (engine.kernelPending() > 0 && engine.fillKernel() > 0);
    assert.is(engine.dirtyCount(), model.dirty.size);
    while (engine.takeUpdates(1400) !== null);
    model.dirty.clear();
  }

  compareDigests(note: string): void {
    for (const owner of OWNERS) {
      const { count, sum } = this.engine.digest(owner);
      const expected = this.model.digest(owner);
      assert.is(count, BigInt(expected.count), `${note}: count of ${owner}`);
      assert.is(BigInt(`0x${sum.toString('hex')}`), expected.sum, `${note}: digest of ${owner}`);
    }
  }

  compareTables(note: string): void {
    const listed = listAll(this.engine);
    assert.is(listed.length, this.model.entries.size, note);
    for (const one of listed) {
      const expected = this.model.entries.get(keyOf(one));
      assert.is(one.owner, expected?.owner, note);
      assert.is(one.fingerprint, expected?.fingerprint, note);
    }
    assert.is(bench(this.engine).selfCheck(), 0, note);
  }
}

function operate(both: Both, list: readonly Ready[], random: () => number): void {
  const one = list[below(random, list.length)];
  if (one === undefined) return;
  const dice = random();
  const late = random() < 0.2;
  if (dice < 0.35) both.event(one);
  else if (dice < 0.5) both.destroy(one);
  else if (dice < 0.85) both.update(one, late);
  else if (dice < 0.9995) both.remove(one, late);
  else both.turn(random);
}

test('2,000,000 operations: the same digests and tables all the way', () => {
  const random = randomSource(20_261_122);
  const both = new Both();
  let list: Ready[] = [];
  for (let i = 0; i < OPERATIONS; i++) {
    if (i % ROUND === 0) list = pool(random);
    operate(both, list, random);
    if (i % DIGEST_EVERY === 0) {
      both.empty();
      both.compareDigests(`operation ${i}`);
    }
    if (i % ROUND === ROUND - 1) both.compareTables(`operation ${i}`);
  }
  both.compareDigests('end');
  assert.is(both.engine.counter('conflicts'), both.model.conflicts);
  assert.is(both.engine.counter('claims'), both.model.claims);
  assert.ok(both.model.conflicts > 10_000 && both.model.claims > 10_000 && both.model.entries.size > 300);
});

test('negative control: one lost operation in a hundred thousand is noticed', () => {
  const random = randomSource(7);
  const both = new Both();
  const list = pool(random);
  for (let i = 0; i < 20_000; i++) operate(both, list, random);
  const fresh = ready(randomState(random, 250));
  feed(both.engine, fresh.created);
  const { count, sum } = both.engine.digest('own');
  assert.is.not(count, BigInt(both.model.digest('own').count));
  assert.is.not(BigInt(`0x${sum.toString('hex')}`), both.model.digest('own').sum);
});

test.run();
