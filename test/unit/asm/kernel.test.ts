/**
 * The kernel's answers: what exists already, what is missing, what is refused; and that its table ends equal to ours.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { errorMessage, type Taken } from '../../../scripts/reference/ctmsg.ts';
import { FakeKernel, tupleText } from '../../../scripts/reference/fake-kernel.ts';
import {
  destroy,
  event,
  finish,
  kernelOutput,
  listAll,
  makeEngine,
  reply,
} from '../../../scripts/reference/harness.ts';
import {
  below,
  inverse,
  randomContent,
  randomSource,
  randomState,
  type State,
  TCP,
} from '../../../scripts/reference/state.ts';
import { encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('engine and kernel answers');

function make(port: number, change: Partial<State> = {}): State {
  const orig = { src: Uint8Array.of(10, 0, 0, 5), dst: Uint8Array.of(198, 51, 100, 80), sport: port, dport: 443 };
  const nat = { ...inverse({ family: 2, proto: TCP, orig }), dst: Uint8Array.of(203, 0, 113, 2), dport: port + 1000 };
  return {
    ...{ family: 2, proto: TCP, zone: 0, orig, reply: nat, status: 0xe, mark: 0, l4: 3 },
    ...{ wscale: [0, 0], flags: [0, 0], vtags: null, timeout: 100 },
    ...change,
  };
}

/** Writes to the kernel until nothing waits; returns all messages. */
function settle(engine: Engine, kernel: FakeKernel): Taken[] {
  const all: Taken[] = [];
  for (let round = 0; engine.kernelPending() > 0; round++) {
    assert.ok(round < 10, 'it never ends');
    const messages = kernelOutput(engine);
    all.push(...messages);
    reply(engine, kernel.handle(messages));
  }
  assert.is(bench(engine).selfCheck(), 0);
  return all;
}

function kinds(messages: Taken[]): string {
  return messages.map((m) => ((m.type & 0xff) === 2 ? 'delete' : m.flags & 0x400 ? 'create' : 'update')).join(' ');
}

test('an entry that exists gives way to the peer’s', () => {
  const engine = makeEngine();
  const kernel = new FakeKernel();
  kernel.put(make(1, { reply: inverse(make(1)) }));
  engine.applyUpdates(encodeUpdate(make(1)), false);
  assert.is(kinds(settle(engine, kernel)), 'create delete delete create');
  assert.is(kernel.get(make(1))?.reply, tupleText(make(1), make(1).reply));
  assert.is(engine.kernelMissing(), 0);
  assert.is(engine.counter('kernel_recreate'), 1);
});

test('an entry that holds the same translated port gives way too', () => {
  const engine = makeEngine();
  const kernel = new FakeKernel();
  const own = make(7, { orig: { ...make(7).orig, src: Uint8Array.of(203, 0, 113, 2), sport: 1001 } });
  kernel.put({ ...own, reply: inverse(own) });
  engine.applyUpdates(encodeUpdate(make(1)), false);
  settle(engine, kernel);
  assert.is(kernel.entries.size, 1);
  assert.is(engine.kernelMissing(), 0);
});

test('refused twice: counted, missing, tried again by the next sweep', () => {
  const engine = makeEngine();
  const kernel = new FakeKernel();
  kernel.failCreate = 12;
  engine.applyUpdates(encodeUpdate(make(1)), false);
  settle(engine, kernel);
  assert.is(engine.kernelMissing(), 1);
  assert.is(engine.counter('kernel_refused'), 1);
  assert.is(engine.counter('refused_enomem'), 1);
  engine.sweepBegin();
  finish((n) => engine.sweep(n));
  settle(engine, kernel);
  assert.is(engine.kernelMissing(), 0);
  assert.is(kernel.entries.size, 1);
});

test('each cause of refusal has its counter', () => {
  for (const [errno, name] of [
    [22, 'refused_einval'],
    [1, 'refused_other'],
    [12, 'refused_enomem'],
  ] as const) {
    const engine = makeEngine();
    const kernel = new FakeKernel();
    kernel.failCreate = errno;
    engine.applyUpdates(encodeUpdate(make(1)), false);
    settle(engine, kernel);
    assert.is(engine.counter(name), 1);
  }
});

test('a mirrored entry that is missing at an update is made', () => {
  const engine = makeEngine();
  const kernel = new FakeKernel();
  engine.applyUpdates(encodeUpdate(make(1)), false);
  settle(engine, kernel);
  kernel.drop(make(1));
  engine.applyUpdates(encodeUpdate(make(1, { l4: 4 })), false);
  assert.is(kinds(settle(engine, kernel)), 'update create');
  assert.is(kernel.get(make(1))?.l4, 4);
});

test('an update that the kernel can’t do becomes a new entry', () => {
  for (const errno of [16, 95]) {
    const engine = makeEngine();
    const kernel = new FakeKernel();
    engine.applyUpdates(encodeUpdate(make(1)), false);
    settle(engine, kernel);
    kernel.failUpdate = errno;
    engine.applyUpdates(encodeUpdate(make(1, { mark: 4 })), false);
    assert.is(kinds(settle(engine, kernel)), 'update delete delete create');
    assert.is(kernel.get(make(1))?.mark, 4);
  }
});

/** Two mirrored entries leave the kernel, then both are adopted: the updates of the take-over find nothing. */
function adoptedGone(): { engine: Engine; kernel: FakeKernel } {
  const engine = makeEngine();
  const kernel = new FakeKernel();
  engine.applyUpdates(encodeUpdate(make(1)), false);
  engine.applyUpdates(encodeUpdate(make(2)), false);
  settle(engine, kernel);
  engine.adoptPeer();
  finish((n) => engine.sweep(n));
  kernel.drop(make(1));
  kernel.drop(make(2));
  const updates = kernelOutput(engine);
  assert.is(kinds(updates), 'update update');
  event(engine, make(1, { l4: 4 }));
  reply(engine, kernel.handle(updates));
  assert.is(kinds(settle(engine, kernel)), '', 'their events come first: made now, they would be taken for ended');
  assert.is(engine.kernelMissing('own'), 1, 'and it is told as missing');
  return { engine, kernel };
}

test('an adopted entry that traffic has ended is not made again, one that had gone before is', () => {
  const { engine, kernel } = adoptedGone();
  destroy(engine, make(1));
  destroy(engine, make(2));
  assert.is(
    kinds(settle(engine, kernel)),
    'create',
    'the untouched one is the peer’s word, the touched one the kernel’s',
  );
  assert.ok(kernel.get(make(2)));
  assert.is(engine.kernelMissing('own'), 0);
  assert.is(listAll(engine).length, 1);
});

test('an adopted entry whose end nobody tells is made again with the next sweep', () => {
  const { engine, kernel } = adoptedGone();
  engine.sweepBegin();
  finish((n) => engine.sweep(n));
  assert.is(kinds(settle(engine, kernel)), 'create');
  assert.ok(kernel.get(make(2)));
  destroy(engine, make(2));
  assert.is(listAll(engine).length, 1, 'then its end is its end');
});

test('answers to nothing we know are counted, acknowledgements are not', () => {
  const engine = makeEngine();
  assert.is(reply(engine, errorMessage(99, 17)), 1);
  assert.is(engine.counter('unknown_reply'), 1);
  reply(engine, errorMessage(99, 0));
  assert.is(engine.counter('unknown_reply'), 1);
  assert.is(reply(engine, errorMessage(1, 2).subarray(0, 30)), -1);
  assert.is(engine.counter('bad_netlink'), 1);
});

test('an answer for a state that is gone, whose slot holds another by now, does no harm', () => {
  const engine = makeEngine();
  engine.applyUpdates(encodeUpdate(make(1)), false);
  const [create] = kernelOutput(engine);
  engine.applyUpdates(encodeDelete(make(1)), false);
  kernelOutput(engine);
  assert.is(bench(engine).liveCount() + bench(engine).tombCount(), 0);
  engine.applyUpdates(encodeUpdate(make(2)), false);
  kernelOutput(engine);
  reply(engine, errorMessage(create!.seq, 17));
  assert.is(engine.kernelPending(), 0);
  assert.is(engine.kernelMissing(), 0);
});

test('modes: mirrored is liberal with a long timeout, adopted gets the normal one, given the long one', () => {
  const engine = makeEngine();
  const kernel = new FakeKernel();
  const own = make(2, { l4: 3 });
  kernel.put(own);
  event(engine, own);
  engine.applyUpdates(encodeUpdate(make(1)), false);
  settle(engine, kernel);
  assert.equal([kernel.get(make(1))?.timeout, kernel.get(make(1))?.liberal], [86400, true]);
  engine.adoptPeer();
  finish((n) => engine.sweep(n));
  settle(engine, kernel);
  assert.equal([kernel.get(make(1))?.timeout, kernel.get(own)?.timeout], [432000, 100]);
  engine.yieldOwn();
  finish((n) => engine.sweep(n));
  settle(engine, kernel);
  assert.equal([kernel.get(own)?.timeout, kernel.get(own)?.liberal, kernel.get(own)?.l4], [86400, true, 3]);
});

/** What the kernel must hold for a mirrored record. */
function expected(state: State): string {
  const l4 = state.proto !== TCP ? 0 : state.l4 === 9 ? 2 : state.l4 < 2 ? 3 : state.l4;
  return [tupleText(state, state.reply), (state.status & 6) | 8, state.mark, l4].join('|');
}

test('random records, refusals and losses: the kernel’s table ends equal to the peer’s', () => {
  const random = randomSource(77);
  const engine = makeEngine();
  const kernel = new FakeKernel();
  const known: State[] = [];
  // two states with one translated tuple can't both live in a kernel: the translated address tells the real one
  const unique = (state: State): State => {
    const plain = inverse(state);
    if (state.family === 2 && state.mark !== 1 && random() < 0.5)
      plain.dst = Uint8Array.of(203, ...plain.dst.subarray(1));
    return { ...state, reply: plain };
  };
  for (let i = 0; i < 20_000; i++) {
    const what = random();
    const old = known[below(random, known.length)];
    if (what < 0.5 || old === undefined) {
      const state = unique(randomState(random, 30));
      known.push(state);
      engine.applyUpdates(encodeUpdate(state), false);
    } else if (what < 0.7) {
      engine.applyUpdates(encodeUpdate(unique(randomContent(random, old))), false);
    } else if (what < 0.85) {
      engine.applyUpdates(encodeDelete(old), false);
    } else if (what < 0.9) {
      kernel.drop(old);
      destroy(engine, old);
    } else if (what < 0.95) {
      if (random() < 0.5) kernel.failUpdate = 16;
      else kernel.failCreate = 17;
    } else {
      reply(engine, kernel.handle(kernelOutput(engine)));
    }
  }
  kernel.failCreate = 0;
  kernel.failUpdate = 0;
  settle(engine, kernel);
  engine.sweepBegin();
  finish((n) => engine.sweep(n));
  settle(engine, kernel);
  const mine = listAll(engine).map((s) => `${tupleText(s, s.orig)}|${expected(s)}`);
  const theirs = [...kernel.entries.values()].map((e) => {
    const l4 = e.orig.split(' ')[1] === '6' ? e.l4 : 0;
    return [e.orig, e.reply, e.status, e.mark, l4].join('|');
  });
  assert.ok(mine.length > 500, `${mine.length}`);
  assert.equal(theirs.sort(), mine.sort());
  assert.is(engine.kernelMissing(), 0);
});

test.run();
