/**
 * Answers to the peer's word are bounded: while neither node gives in, a state is said once in a round, and none is
 * lost.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { event, finish, listAll, makeEngine, syncOutput } from '../../../scripts/reference/harness.ts';
import { tcpState } from '../../../scripts/reference/state.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('asm: answers');
const ROUND_MS = 128;
const STATES = 20;

interface Pair {
  a: Engine;
  b: Engine;
  /** Updates that went over the link. */
  sent: number;
}

/** Both own the same states, each with its own version, and neither prefers the other. */
function contested(bounded = true): Pair {
  const pair: Pair = { a: makeEngine(), b: makeEngine(), sent: 0 };
  for (const [engine, mark] of [
    [pair.a, 1],
    [pair.b, 2],
  ] as const) {
    if (!bounded) bench(engine).boundAnswers(0);
    for (let i = 0; i < STATES; i++) event(engine, tcpState(i, { mark }));
  }
  return pair;
}

/** Each datagram arrives at once, `times` round trips long. */
function exchange(pair: Pair, times: number): void {
  for (let i = 0; i < times; i++) {
    for (const [from, to] of [
      [pair.a, pair.b],
      [pair.b, pair.a],
    ] as const) {
      const before = from.counter('tx_records');
      for (const datagram of syncOutput(from)) to.applyUpdates(datagram, false);
      pair.sent += Number(from.counter('tx_records') - before);
    }
  }
}

/** Time goes on for both, and what is owed is said. */
function nextRound(pair: Pair, round: number): void {
  for (const engine of [pair.a, pair.b]) {
    engine.setNow(round * ROUND_MS);
    engine.sweepBegin();
    finish((n) => engine.sweep(n));
  }
}

test('two that both keep their own say it once a round, however fast the cable is', () => {
  const pair = contested();
  exchange(pair, 100);
  // What each had to say by itself, and one answer.
  assert.ok(pair.sent <= 4 * STATES, `${pair.sent} updates for ${STATES} states`);
  assert.is(pair.a.owedAnswers() + pair.b.owedAnswers() > 0, true, 'somebody still has something to say');
  assert.is(pair.a.dirtyCount() + pair.b.dirtyCount(), 0);
});

test('negative control: without the bound they never stop', () => {
  const pair = contested(false);
  exchange(pair, 100);
  assert.ok(pair.sent > 100 * STATES);
});

test('as soon as one gives in both are equal, and nothing is owed', () => {
  const pair = contested();
  exchange(pair, 10);
  pair.b.setPreferPeer(true);
  for (let round = 1; round <= 3; round++) {
    nextRound(pair, round);
    exchange(pair, 10);
  }
  assert.equal(pair.a.digest('own'), pair.b.digest('mirrored'));
  assert.ok(listAll(pair.b).every(({ mark }) => mark === 1));
  assert.is(pair.a.owedAnswers() + pair.b.owedAnswers() + pair.a.dirtyCount() + pair.b.dirtyCount(), 0);
  assert.ok(pair.sent <= 8 * STATES, `${pair.sent} updates for ${STATES} states`);
});

test('an own change is sent at once, whatever was answered in this round', () => {
  const pair = contested();
  exchange(pair, 10);
  event(pair.a, tcpState(3, { mark: 77 }));
  assert.is(pair.a.dirtyCount(), 1);
});

test('a stamp of 15 rounds ago looks like one of today: the answer waits, and comes', () => {
  const pair = contested();
  exchange(pair, 10);
  nextRound(pair, 15);
  exchange(pair, 10);
  pair.a.setPreferPeer(true);
  for (const round of [16, 17, 18]) {
    nextRound(pair, round);
    exchange(pair, 10);
  }
  assert.equal(pair.b.digest('own'), pair.a.digest('mirrored'));
});

test('the record of a state that ends while its answer is owed is freed', () => {
  const pair = contested();
  exchange(pair, 10);
  nextRound(pair, 1);
  assert.is(bench(pair.a).selfCheck(), 0);
  assert.is(bench(pair.b).selfCheck(), 0);
});

test.run();
