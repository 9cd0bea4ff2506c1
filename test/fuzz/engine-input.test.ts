/**
 * 200,000 damaged inputs: netlink events, dumps, the kernel's answers and sync records, mutated from good ones with a
 * seed. No trap, and a consistent table all the time.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../scripts/reference/bench-exports.ts';
import { errorMessage, kernelMessage, takeMessages } from '../../scripts/reference/ctmsg.ts';
import { feed, kernelOutput, makeEngine, reply } from '../../scripts/reference/harness.ts';
import { below, randomSource, randomState, type State } from '../../scripts/reference/state.ts';
import { decodeRecords, encodeDelete, encodeUpdate } from '../../scripts/reference/wirecodec.ts';
import type { Engine } from '../../src/sync/table/engine.ts';

const test = suite('engine fuzz');

const INPUTS = 200_000;
const SEED = Number(process.env.FUZZ_SEED ?? 4711);

/** Values that lengths and types break on. */
const EDGES = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 20, 0x7f, 0x80, 0xff];

function mutate(random: () => number, bytes: Buffer): Buffer {
  let out = Buffer.from(bytes);
  for (let n = below(random, 4); n >= 0; n--) {
    const at = below(random, out.length);
    switch (below(random, 6)) {
      case 0:
        out[at] = (out[at] ?? 0) ^ (1 << below(random, 8));
        break;
      case 1:
        out[at] = EDGES[below(random, EDGES.length)] ?? 0;
        break;
      case 2:
        out = Buffer.from(out.subarray(0, at + 1));
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(below(random, out.length))]).subarray(0, 4000);
        break;
      case 4:
        out[at] = below(random, 256);
        break;
      default:
        if (at + 4 <= out.length) out.writeUInt32LE(below(random, 2) ? 0xffffffff : below(random, 300), at);
    }
    if (out.length === 0) return Buffer.from([0]);
  }
  return out;
}

function netlinkInput(random: () => number, state: () => State): Buffer {
  const parts = Array.from({ length: 1 + below(random, 3) }, () => {
    const message = random() < 0.3 ? 2 : 0;
    return kernelMessage(state(), { message, flags: below(random, 32), withoutInfo: random() < 0.2 });
  });
  return Buffer.concat(parts);
}

function syncInput(random: () => number, state: () => State): Buffer {
  const parts = Array.from({ length: 1 + below(random, 4) }, () =>
    random() < 0.3 ? encodeDelete(state(), random() < 0.2) : encodeUpdate(state(), random() < 0.2),
  );
  return Buffer.concat(parts);
}

/** Now and then what a host would do in between. */
function between(random: () => number, engine: Engine): void {
  switch (below(random, 14)) {
    case 0:
      engine.adoptPeer();
      break;
    case 1:
      engine.yieldOwn();
      break;
    case 2:
      engine.adoptUnclaimed();
      break;
    case 3:
      engine.dumpBegin(random() < 0.5);
      break;
    case 4:
      engine.dumpEnd(below(random, 5000));
      break;
    case 5:
      engine.peerBulkBegin();
      break;
    case 6:
      engine.peerBulkEnd(below(random, 5000));
      break;
    case 7:
      engine.unclaimedDrop(below(random, 5000));
      break;
    case 8:
      engine.sweepBegin();
      break;
    case 9:
      engine.sweep(below(random, 5000));
      break;
    case 10:
      engine.setPreferPeer(random() < 0.5);
      break;
    case 11:
      engine.bulkBegin();
      break;
    default:
      engine.x.setClaimEvents(below(random, 2));
  }
}

/** What the module writes must be well formed whatever it was given. */
function drain(random: () => number, engine: Engine): void {
  const messages = kernelOutput(engine);
  for (let i = 0; i < 5 && messages.length > 0; i++) {
    const { seq } = messages[below(random, messages.length)]!;
    reply(engine, mutate(random, errorMessage(seq, [2, 12, 16, 17, 22, 95, 1][below(random, 7)] ?? 0)));
    reply(engine, errorMessage(seq, [2, 16, 17, 95][below(random, 4)] ?? 0));
  }
  for (let n = 0; n < 50; n++) {
    const records = engine.takeUpdates(90 + below(random, 1300));
    if (records === null) break;
    decodeRecords(Buffer.from(records));
  }
}

test(`${INPUTS} damaged inputs, seed ${SEED}`, () => {
  const random = randomSource(SEED);
  const engine = makeEngine({ maxStates: 3000, syncWhen: 'all', ignore: ['10.2.0.0/20'] });
  const state = (): State => randomState(random, 300);
  for (let i = 0; i < INPUTS; i++) {
    const what = random();
    if (what < 0.5) {
      const bytes = mutate(random, netlinkInput(random, state));
      feed(engine, bytes, random() < 0.8 ? 'events' : 'dump');
    } else {
      const bytes = mutate(random, syncInput(random, state));
      engine.applyUpdates(bytes, random() < 0.3);
    }
    if (i % 50 === 0) drain(random, engine);
    if (i % 200 === 0) between(random, engine);
    if (i % 5000 === 0) assert.is(bench(engine).selfCheck(), 0, `input ${i}`);
  }
  drain(random, engine);
  assert.is(bench(engine).selfCheck(), 0);
  const { bad_netlink, bad_record, inserts, deletes, table_full } = engine.counters();
  assert.ok(bad_netlink > INPUTS / 20 && bad_record > INPUTS / 20, 'damage was met');
  assert.ok(inserts > 10_000 && deletes > 10_000 && table_full > 0, 'and so was the table');
});

test('pure noise', () => {
  const random = randomSource(SEED + 1);
  const engine = makeEngine();
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.from(Array.from({ length: 1 + below(random, 200) }, () => below(random, 256)));
    feed(engine, bytes, 'events');
    engine.applyUpdates(bytes, false);
    reply(engine, bytes);
  }
  assert.is(bench(engine).selfCheck(), 0);
});

test('lengths and offsets beyond the memory are refused', () => {
  const engine = makeEngine();
  const end = engine.memory.buffer.byteLength;
  for (const [offset, length] of [
    [end, 1],
    [end - 4, 8],
    [0xffffffff, 0xffffffff],
    [0, 0xffffffff],
  ] as const) {
    assert.is(engine.x.ctInput(offset, length, 0), -1);
    assert.is(engine.x.rxApply(offset, length, 0), -1);
    assert.is(engine.x.nlReply(offset, length), -1);
    assert.is(engine.x.txFill(offset, length), 0);
    assert.is(engine.x.nlFill(offset, length), 0);
  }
});

test('negative control: selfCheck sees a damaged record', () => {
  const engine = makeEngine();
  feed(engine, kernelMessage(randomState(randomSource(1))));
  assert.is(bench(engine).selfCheck(), 0);
  const at = engine.next(0);
  for (const field of [16, 12, 84, 93, 96]) {
    const view = engine.view();
    const old = view[at + field] ?? 0;
    view[at + field] = old ^ 1;
    assert.is.not(bench(engine).selfCheck(), 0, `field ${field}`);
    view[at + field] = old;
  }
  assert.is(bench(engine).selfCheck(), 0);
  assert.is(takeMessages(Buffer.alloc(0)).length, 0);
});

test.run();
