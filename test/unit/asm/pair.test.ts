/**
 * Two engines, two kernels, a link that delays: traffic, hand-overs in the middle of it, late events, lost entries.
 * When everything has arrived both tables and both kernels are equal, and each state has one owner.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
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
  coarse,
  inverse,
  keyOf,
  randomContent,
  randomSource,
  randomState,
  type State,
} from '../../../scripts/reference/state.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('engine pair');

interface Datagram {
  records: Buffer | null;
  /** How many adoptions of the receiver the sender had applied. */
  seen: number;
}

class Node {
  readonly engine: Engine = makeEngine();
  readonly kernel = new FakeKernel();
  readonly inbox: Datagram[] = [];
  adoptions = 0;
  seen = 0;

  flushKernel(): void {
    for (let i = 0; this.engine.kernelPending() > 0; i++) {
      assert.ok(i < 20);
      reply(this.engine, this.kernel.handle(kernelOutput(this.engine)));
    }
  }

  send(peer: Node, room: number): void {
    for (let r = this.engine.takeUpdates(room); r !== null; r = this.engine.takeUpdates(room)) {
      peer.inbox.push({ records: Buffer.from(r), seen: this.seen });
    }
  }

  receive(): void {
    const next = this.inbox.shift();
    if (next === undefined) return;
    if (next.records === null) {
      this.seen++;
      this.engine.yieldOwn();
    } else {
      assert.ok(this.engine.applyUpdates(next.records, next.seen !== this.adoptions) >= 0);
    }
    this.flushKernel();
  }

  adopt(peer: Node): void {
    this.send(peer, 1400);
    this.engine.adoptPeer();
    this.adoptions++;
    peer.inbox.push({ records: null, seen: this.seen });
  }

  /** Traffic on this node changes its kernel, which says so. */
  traffic(state: State): void {
    this.kernel.drop(state);
    this.kernel.put(state);
    event(this.engine, state);
  }

  end(state: State): void {
    this.kernel.drop(state);
    destroy(this.engine, state);
    this.flushKernel();
  }
}

/** A translated address of its own for every state, so that no two want the same in a kernel. */
function natted(random: () => number, state: State): State {
  const plain = inverse(state);
  if (state.family === 2 && random() < 0.6) plain.dst = Uint8Array.of(203, ...plain.dst.subarray(1));
  return { ...state, reply: plain };
}

function inKernel(node: Node): string[] {
  return [...node.kernel.entries.values()].map((e) => `${e.orig} ${e.reply} ${e.status & 6}`).sort();
}

function inTable(node: Node): string[] {
  return listAll(node.engine)
    .map((s) => `${tupleText(s, s.orig)} ${tupleText(s, s.reply)} ${s.status & 6}`)
    .sort();
}

function owned(node: Node, owner: 'own' | 'mirrored'): string[] {
  return listAll(node.engine)
    .filter((s) => s.owner === owner)
    .map((s) => `${tupleText(s, s.orig)} ${tupleText(s, s.reply)} ${s.status & 6} ${s.mark} ${coarse(s)}`)
    .sort();
}

function digest(node: Node, owner: 'own' | 'mirrored'): string {
  const { count, sum } = node.engine.digest(owner);
  return `${count} ${sum.toString('hex')}`;
}

function run(seed: number, steps: number, check = true): { a: Node; b: Node; peak: number } {
  const random = randomSource(seed);
  const a = new Node();
  const b = new Node();
  let master = a;
  let backup = b;
  let peak = 0;
  const known = new Map<string, State>();
  b.engine.setPreferPeer(true);
  for (let i = 0; i < steps; i++) {
    const states = [...known.values()];
    const old = states[below(random, states.length)];
    const what = random();
    // now and then a packet still goes to the node that was master
    const at = random() < 0.002 ? backup : master;
    if (what < 0.35 || old === undefined) {
      const state = natted(random, randomState(random, 40));
      if (!known.has(keyOf(state))) {
        known.set(keyOf(state), state);
        at.traffic(state);
      }
    } else if (what < 0.55) {
      const state = { ...randomContent(random, old), reply: old.reply, status: old.status | (random() < 0.3 ? 4 : 0) };
      known.set(keyOf(state), state);
      at.traffic(state);
    } else if (what < 0.68) {
      known.delete(keyOf(old));
      master.end(old);
    } else if (what < 0.69) {
      backup.end(old); // by hand, on the backup: it must come back
    } else if (what < 0.75) {
      master.send(backup, 100 + below(random, 1300));
      backup.send(master, 100 + below(random, 1300));
    } else if (what < 0.98) {
      (random() < 0.6 ? backup : master).receive();
    } else if (what < 0.985) {
      master.engine.sweep(below(random, 300));
      backup.engine.sweep(below(random, 300));
    } else if (what < 0.987 && a.seen === b.adoptions && b.seen === a.adoptions) {
      // the session takes over only after the last change of ownership has been seen by both
      [master, backup] = [backup, master];
      master.engine.setPreferPeer(false);
      backup.engine.setPreferPeer(true);
      master.adopt(backup);
      peak = Math.max(peak, bench(master.engine).liveCount());
    }
    if (check && i % 1000 === 0) assert.is(bench(a.engine).selfCheck() + bench(b.engine).selfCheck(), 0);
  }
  settle(a, b);
  return { a, b, peak };
}

function settle(a: Node, b: Node): void {
  for (let i = 0; i < 50; i++) {
    a.send(b, 1400);
    b.send(a, 1400);
    while (a.inbox.length + b.inbox.length > 0) {
      a.receive();
      b.receive();
    }
    for (const node of [a, b]) {
      node.engine.setNow(200 * i);
      node.engine.sweepBegin();
      finish((n) => node.engine.sweep(n), 1000);
      node.flushKernel();
    }
    const waiting = [a, b].map(({ engine }) => engine.dirtyCount() + engine.owedAnswers());
    if (waiting.every((count) => count === 0)) return;
  }
  assert.unreachable('the two never come to rest');
}

for (let seed = 1; seed <= 12; seed++) {
  test(`seed ${seed}: hand-overs in the middle of traffic`, () => {
    const { a, b, peak } = run(seed, 4000);
    assert.ok(peak > 100, `${peak}`);
    assert.equal(owned(a, 'own'), owned(b, 'mirrored'), 'what a owns');
    assert.equal(owned(b, 'own'), owned(a, 'mirrored'), 'what b owns');
    assert.is(digest(a, 'own'), digest(b, 'mirrored'));
    assert.is(digest(b, 'own'), digest(a, 'mirrored'));
    for (const node of [a, b]) {
      assert.is(bench(node.engine).selfCheck(), 0);
      assert.is(node.engine.kernelMissing(), 0);
      assert.is(node.engine.counter('bad_record'), 0);
    }
    assert.ok(a.engine.counter('adoptions') + b.engine.counter('adoptions') > 2);
  });
}

test('without late events: the kernels are equal to the tables too', () => {
  const random = randomSource(4);
  const a = new Node();
  const b = new Node();
  const states = Array.from({ length: 300 }, () => natted(random, randomState(random, 400)));
  const unique = [...new Map(states.map((s) => [keyOf(s), s])).values()];
  for (const state of unique) a.traffic(state);
  settle(a, b);
  for (const state of unique.slice(0, 50)) a.end(state);
  b.adopt(a);
  for (const state of unique.slice(50, 90)) b.end(state);
  for (const state of unique.slice(0, 10)) b.traffic(state);
  settle(a, b);
  assert.equal(inTable(a), inTable(b));
  assert.equal(inKernel(b), inTable(b));
  assert.equal(inKernel(a), inTable(a));
  assert.is(b.engine.countOf('own'), unique.length - 80);
});

test('negative control: a lost datagram is seen in the digests', () => {
  const a = makeEngine();
  const b = makeEngine();
  const random = randomSource(3);
  for (let i = 0; i < 100; i++) event(a, randomState(random, 5000));
  for (let i = 0; ; i++) {
    const records = a.takeUpdates(200);
    if (records === null) break;
    if (i !== 3) b.applyUpdates(records, false);
  }
  assert.is.not(a.digest('own').sum.toString('hex'), b.digest('mirrored').sum.toString('hex'));
});

test('taking over and giving away do not touch one record', () => {
  const engine = makeEngine();
  const random = randomSource(8);
  for (let i = 0; i < 3000; i++) event(engine, randomState(random, 60_000));
  const before = engine.view().slice();
  const digest = engine.digest('own');
  engine.yieldOwn();
  assert.equal(engine.digest('mirrored'), digest);
  engine.adoptPeer();
  assert.equal(engine.digest('own'), digest);
  const after = engine.view();
  for (let at = engine.next(0); at !== 0; at = engine.next(at)) {
    for (let i = 0; i < 144; i++) if (before[at + i] !== after[at + i]) assert.unreachable('a record was written');
  }
  assert.is(engine.counter('sweep_forced'), 0);
});

test('any number of changes of owner without a sweep in between', () => {
  const engine = makeEngine();
  const other = makeEngine();
  const random = randomSource(8);
  for (let i = 0; i < 60; i++) {
    event(engine, randomState(random, 60_000));
    event(other, randomState(random, 60_000));
    for (let r = other.takeUpdates(1000); r !== null; r = other.takeUpdates(1000)) engine.applyUpdates(r, false);
    if (i % 3 === 0) engine.yieldOwn();
    else engine.adoptPeer();
    assert.is(engine.countOf('own') + engine.countOf('mirrored'), bench(engine).liveCount());
    assert.is(bench(engine).selfCheck(), 0);
  }
  assert.ok(engine.counter('sweep_forced') > 0);
});

test.run();
