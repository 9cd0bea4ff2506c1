/**
 * Batches (asm/state/ahead.ts) make the same tables as one message at a time: datagrams and dump buffers of many states
 * with the same key more than once, ends and new beginnings of the same key, refused records, and the index split
 * within a batch.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { kernelMessage } from '../../../scripts/reference/ctmsg.ts';
import { feed, finish, kernelOutput, listAll, makeEngine, syncOutput } from '../../../scripts/reference/harness.ts';
import {
  below,
  keyOf,
  randomContent,
  randomSource,
  randomState,
  type State,
} from '../../../scripts/reference/state.ts';
import { encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import type { Engine, Owner } from '../../../src/sync/table/engine.ts';

const test = suite('engine, batches');

const OWNERS: Owner[] = ['unclaimed', 'own', 'mirrored'];

/** Everything that can be seen of an engine, as text. */
function all(engine: Engine): string {
  const listed = listAll(engine).map((one) => `${keyOf(one)} ${one.owner} ${one.inKernel} ${one.fingerprint}`);
  const digests = OWNERS.map((owner) => {
    const { count, sum } = engine.digest(owner);
    return `${owner} ${count} ${sum.toString('hex')}`;
  });
  const x = bench(engine);
  const sizes = [x.liveCount(), x.tombCount(), x.bucketCount(), x.longestChain()];
  const numbers = [...sizes, engine.x.dirtyCount(), engine.x.kernelPending()];
  return [...listed, ...digests, numbers.join(' '), JSON.stringify(engine.counters(), (_, v) => `${v}`)].join('\n');
}

/** What goes out afterwards, to the peer and to the kernel, in its order. */
function sent(engine: Engine): string {
  const peer = syncOutput(engine).map((bytes) => bytes.toString('hex'));
  return [...peer, JSON.stringify(kernelOutput(engine), (_, v) => `${v}`)].join('\n');
}

/** Few keys, so that most come more than once in a batch. */
function mixed(random: () => number, keys: State[]): State {
  const known = keys[below(random, keys.length)];
  if (known !== undefined && random() < 0.7) return randomContent(random, known);
  const fresh = randomState(random);
  keys[below(random, 40)] = fresh;
  return fresh;
}

test('a datagram of many records is as many datagrams of one', () => {
  const random = randomSource(77);
  const [batch, single] = [makeEngine(), makeEngine()];
  const keys: State[] = [randomState(random)];
  for (let round = 0; round < 400; round++) {
    const records = Array.from({ length: 1 + below(random, 60) }, () => {
      const state = mixed(random, keys);
      const yours = random() < 0.1;
      return random() < 0.3 ? encodeDelete(state, yours) : encodeUpdate(state, yours);
    });
    const stale = random() < 0.2;
    assert.is(batch.applyUpdates(Buffer.concat(records), stale), records.length);
    for (const record of records) assert.is(single.applyUpdates(record, stale), 1);
    assert.is(all(batch), all(single), `round ${round}`);
    if (round % 7 === 0) assert.is(sent(batch), sent(single), `sent after round ${round}`);
  }
  assert.is(bench(batch).selfCheck(), 0);
});

test('a record that is not understood ends the datagram, what came before it is applied', () => {
  const random = randomSource(78);
  for (const before of [0, 1, 15, 16, 17, 33]) {
    const engine = makeEngine();
    const good = Array.from({ length: before }, () => encodeUpdate(randomState(random), false));
    const cut = encodeUpdate(randomState(random), false).subarray(0, 5);
    assert.is(engine.applyUpdates(Buffer.concat([...good, cut]), false), -1 - before);
    assert.is(bench(engine).liveCount(), before);
    assert.is(engine.counters().bad_record, 1);
  }
});

test('a buffer of many kernel messages is as many buffers of one', () => {
  const random = randomSource(79);
  const [batch, single] = [makeEngine(), makeEngine()];
  const keys: State[] = [randomState(random)];
  for (let round = 0; round < 400; round++) {
    const source = round % 5 === 4 ? 'dump' : 'events';
    if (source === 'dump') for (const engine of [batch, single]) engine.x.dumpBegin(round % 2);
    const messages = Array.from({ length: 1 + below(random, 20) }, () => {
      const state = mixed(random, keys);
      if (source === 'dump' || random() < 0.7) return kernelMessage(state, { withoutInfo: random() < 0.1 });
      return kernelMessage(state, { message: 2 });
    });
    feed(batch, Buffer.concat(messages), source);
    for (const message of messages) feed(single, message, source);
    for (const engine of [batch, single]) finish((n) => engine.x.dumpEnd(n));
    assert.is(all(batch), all(single), `round ${round}`);
    if (round % 7 === 0) assert.is(sent(batch), sent(single), `sent after round ${round}`);
  }
  assert.is(bench(batch).selfCheck(), 0);
});

test('negative control: another order of the same records makes another table', () => {
  const random = randomSource(80);
  const state = randomState(random);
  const records = [encodeUpdate(state, false), encodeDelete(state, false)];
  const [one, other] = [makeEngine(), makeEngine()];
  one.applyUpdates(Buffer.concat(records), false);
  other.applyUpdates(Buffer.concat(records.toReversed()), false);
  assert.is.not(all(one), all(other));
});

test('the index splits in the middle of batches', () => {
  const [batch, single] = [makeEngine(), makeEngine()];
  const random = randomSource(81);
  const states = Array.from({ length: 20_000 }, () => randomState(random));
  for (let from = 0; from < states.length; from += 50) {
    const records = states.slice(from, from + 50).map((state) => encodeUpdate(state, false));
    batch.applyUpdates(Buffer.concat(records), false);
    for (const record of records) single.applyUpdates(record, false);
  }
  assert.ok(bench(batch).bucketCount() > 16_384, 'it has split');
  assert.is(all(batch), all(single));
  assert.is(bench(batch).selfCheck(), 0);
});

test.run();
