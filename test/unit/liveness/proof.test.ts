import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Provable } from '../../../src/liveness/proof/counter.ts';
import { proofCounter, proofKey, provenSequence } from '../../../src/liveness/proof/counter.ts';
import type { ProofMemory, ProofState } from '../../../src/liveness/proof/machine.ts';
import {
  createProof,
  hearNote,
  judgeAdvert,
  proofMemory,
  proofNote,
  proveAdvert,
  reserveMore,
  setProofKeys,
} from '../../../src/liveness/proof/machine.ts';

const KEY = proofKey(Buffer.from('0123456789abcdef'));
const OTHER = proofKey(Buffer.from('fedcba9876543210'));
const SECOND = 1_000_000;
const hex = (): string => randomBytes(16).toString('hex');
const ADVERT: Provable = { vhid: 1, family: 4, source: '192.0.2.2', advbase: 1, advskew: 0, demote: 0 };

interface Pair {
  a: ProofState;
  b: ProofState;
  now: number;
  /** a's report reaches b, as it does ten times a second. */
  report(): void;
  send(advert?: Partial<Provable>): Provable & { counter: bigint };
  judge(advert: Provable & { counter: bigint }): string;
}

function pair(): Pair {
  const [a, b] = [createProof(null, hex()), createProof(null, hex())];
  for (const one of [a, b]) setProofKeys(one, [KEY], 0);
  const world: Pair = {
    a,
    b,
    now: 0,
    report: () => void hearNote(world.b, proofNote(world.a), hex(), world.now),
    send: (change = {}) => {
      const advert = { ...ADVERT, ...change };
      return { ...advert, counter: proveAdvert(world.a, advert) ?? 0n };
    },
    judge: (advert) => judgeAdvert(world.b, 'lan/1', advert, world.now),
  };
  world.report();
  return world;
}

const proof = suite('proof of advertisements');

proof('each advertisement counts once', () => {
  const { send, judge } = pair();
  const [first, second] = [send(), send()];
  assert.is(judge(first), 'proven');
  assert.is(judge(first), 'unproven', 'played again');
  assert.is(judge(second), 'proven');
  assert.is(judge(first), 'unproven', 'the window does not go back');
});

proof('everything that the election reads is covered', () => {
  const { send, judge } = pair();
  const sent = send();
  const changes: Partial<Provable>[] = [
    { vhid: 2 },
    { family: 6, source: '2001:db8::2' },
    { source: '192.0.2.9' },
    { advbase: 255, advskew: 255 },
    { advskew: 240 },
    { demote: 1 },
  ];
  for (const change of changes) assert.is(judge({ ...sent, ...change }), 'unproven', JSON.stringify(change));
  assert.is(judge({ ...sent, counter: sent.counter ^ 1n }), 'unproven');
  assert.is(judge(sent), 'proven', 'nothing of that has used it up');
});

proof('what was lost on the way is passed over: the window looks far ahead', () => {
  const { send, judge } = pair();
  for (let i = 0; i < 5000; i++) send();
  assert.is(judge(send()), 'proven');
  const far = (1 << 24) - 10;
  const sequence = provenSequence([KEY], 'e', 100, ADVERT, proofCounter(KEY, 'e', 100 + far, ADVERT));
  assert.is(sequence, 100 + far);
});

proof('families and vhids come in any order among each other', () => {
  const { send, b, judge } = pair();
  const [four, six] = [send(), send({ family: 6, source: '2001:db8::2' })];
  const two = send({ vhid: 2 });
  assert.is(judge(six), 'proven');
  assert.is(judgeAdvert(b, 'lan/2', two, 0), 'proven');
  assert.is(judge(four), 'proven');
});

proof('recorded, but never arrived: worth nothing four seconds later at the latest', () => {
  const world = pair();
  const kept = world.send();
  for (let i = 0; i < 42; i++) {
    world.now += SECOND / 10;
    world.report();
  }
  assert.is(world.judge(kept), 'unproven');
  assert.is(world.judge(world.send()), 'proven');
});

proof('the sync link is dead and both daemons start again: they go on where they were', () => {
  const world = pair();
  const recorded = [world.send(), world.send()];
  for (const advert of recorded) world.judge(advert);
  const restart = (state: ProofState): ProofState => {
    const memory = JSON.parse(JSON.stringify(proofMemory(state))) as ProofMemory;
    const next = createProof(memory, hex());
    setProofKeys(next, [KEY], world.now);
    return next;
  };
  world.a = restart(world.a);
  world.b = restart(world.b);
  assert.is(world.judge(recorded[1] ?? world.send()), 'unproven', 'played again after the restart');
  assert.is(world.judge(world.send()), 'proven');
});

proof('a crash passes over the numbers that were set aside, and never uses one twice', () => {
  const state = createProof(null, hex());
  setProofKeys(state, [KEY], 0);
  const kept = proofMemory(state);
  let written = 0;
  for (let i = 0; i < 10_000; i++) {
    proveAdvert(state, ADVERT);
    if (!reserveMore(state)) continue;
    written += 1;
    kept.own = proofMemory(state).own;
  }
  assert.ok(written > 2 && written < 6, `${written} writes for 10,000 adverts`);
  assert.ok(createProof(kept, hex()).own.sequence >= state.own.sequence);
});

proof('a node whose disk was put back to an earlier day begins a new epoch, and is believed', () => {
  const world = pair();
  const old = proofMemory(world.a);
  old.own.reserved = 0;
  for (let i = 0; i < 50; i++) world.judge(world.send());
  world.a = createProof(old, hex());
  setProofKeys(world.a, [KEY], 0);
  assert.is(world.judge(world.send()), 'unproven');
  const before = world.a.own.epoch;
  assert.ok(hearNote(world.a, proofNote(world.b), hex(), 0));
  assert.is.not(world.a.own.epoch, before);
  world.report();
  assert.is(world.judge(world.send()), 'proven');
});

proof('while the key is being changed both nodes understand each other at every step', () => {
  const world = pair();
  const steps: [Buffer[], Buffer[]][] = [
    [[OTHER, KEY], [KEY]],
    [
      [OTHER, KEY],
      [OTHER, KEY],
    ],
    [[OTHER], [OTHER, KEY]],
    [[OTHER], [OTHER]],
  ];
  for (const [ofA, ofB] of steps) {
    setProofKeys(world.a, ofA, world.now);
    setProofKeys(world.b, ofB, world.now);
    assert.is(world.judge(world.send()), 'proven');
    // And the other way round.
    hearNote(world.a, proofNote(world.b), hex(), world.now);
    const back = { ...ADVERT, source: '192.0.2.3' };
    const counter = proveAdvert(world.b, back) ?? 0n;
    assert.is(judgeAdvert(world.a, 'lan/1', { ...back, counter }, world.now), 'proven');
  }
  world.now += 700 * SECOND;
  setProofKeys(world.a, [KEY], world.now);
  assert.is(world.judge(world.send()), 'unproven', 'the old key is worth nothing ten minutes later');
});

proof('a peer of a version that proves nothing is asked for nothing', () => {
  const world = pair();
  hearNote(world.b, null, hex(), world.now);
  assert.is(world.judge({ ...ADVERT, counter: 7n }), 'unknown');
});

proof.run();
