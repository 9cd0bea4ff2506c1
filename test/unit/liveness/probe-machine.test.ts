/** Early take-over, decided on a hand-wound clock: when the peer is dead, when only the sync link is down. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { GATE, PAIRED } from '../../../src/contract/carp-timers.ts';
import { causeText } from '../../../src/contract/words.ts';
import type { ProbeAction, ProbeEvent } from '../../../src/liveness/probe/machine.ts';
import { createProbe, PROBE_TIMING, probeDeadline, stepProbe } from '../../../src/liveness/probe/machine.ts';

const test = suite('probe machine');
const MS = 1000;

/** A peer that answers on the paths in `answering` half a ms later, and reports every 100 ms while `sync`. */
class Box {
  readonly state = createProbe();
  now = 5_000_000;
  sync = true;
  readonly answering: Set<string>;
  readonly probed: string[] = [];
  readonly said: string[] = [];
  #reportAt = 0;
  #answers: { at: number; path: string }[] = [];

  constructor(paths = ['wan', 'lan'], answering = paths) {
    this.answering = new Set(answering);
    this.feed({ type: 'paths', usable: Object.fromEntries(paths.map((path) => [path, true])) });
    this.run(2000 * MS);
    this.probed.length = 0;
  }

  feed(event: ProbeEvent): void {
    for (const action of stepProbe(this.state, event, this.now)) this.#take(action);
  }

  #take(action: ProbeAction): void {
    if (action.type !== 'probe') {
      this.said.push(`${action.type} ${causeText(action.cause)}`);
      return;
    }
    this.probed.push(action.path);
    if (this.answering.has(action.path)) this.#answers.push({ at: this.now + 500, path: action.path });
  }

  /** Lets time pass; `lateUs`: every look at the clock comes this late. */
  run(us: number, lateUs = 0): void {
    const end = this.now + us;
    for (;;) {
      const answer = this.#answers[0]?.at ?? Number.POSITIVE_INFINITY;
      const due = probeDeadline(this.state) ?? Number.POSITIVE_INFINITY;
      const report = this.sync ? this.#reportAt : Number.POSITIVE_INFINITY;
      const next = Math.min(answer, Math.max(this.now, due) + lateUs, report);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (next === answer) this.feed({ type: 'answer', path: this.#answers.shift()?.path ?? '', tripUs: 500 });
      else if (next === report) {
        this.#reportAt = this.now + 100 * MS;
        this.feed({ type: 'report' });
      } else this.feed({ type: 'tick' });
    }
    this.now = end;
  }

  /** Runs until something is said; ms it took. */
  until(within = 1000): number {
    const begun = this.now;
    while (this.said.length === 0 && this.now - begun < within * MS) this.run(MS);
    return (this.now - begun) / MS;
  }
}

test('in peace: one probe a second on each path, nothing said', () => {
  const box = new Box();
  box.run(10_000 * MS);
  assert.equal(box.said, []);
  assert.is(box.probed.filter((path) => path === 'wan').length, 10);
});

test('carrier lost and nobody answers: dead after five tries at the pace of the cable, 20 ms', () => {
  const box = new Box();
  box.sync = false;
  box.answering.clear();
  box.feed({ type: 'carrier', up: false });
  const ms = box.until();
  assert.ok(ms >= 20 && ms <= 22, `${ms} ms`);
  assert.match(box.said.join(), /^dead the sync link has lost its carrier, and no answer from the peer on wan, lan/);
  assert.is(box.probed.length, 10, 'five on each path, and no more');
  box.run(5000 * MS);
  assert.is(box.said.length, 1, 'said once');
});

test('silence only: dead 200 ms after the last report, when its kernel must have closed its gates, and not before', () => {
  const box = new Box();
  box.sync = false;
  box.answering.clear();
  const ms = box.until();
  // The last report came up to 100 ms before.
  assert.ok(ms > 100 && ms <= 220, `${ms} ms`);
  assert.ok(box.now - (box.state.lifeUs ?? 0) >= PAIRED.deadUs);
  assert.match(box.said.join(), /^dead no sign of the peer for 125 ms/);
});

test('the peer channel ends and nobody answers: dead when its kernel must have closed its gates, and not before', () => {
  const box = new Box();
  box.sync = false;
  box.answering.clear();
  box.feed({ type: 'report' });
  box.feed({ type: 'channelEnded' });
  const ms = box.until();
  assert.ok(ms >= GATE.closedUs / MS && ms <= GATE.closedUs / MS + 16, `${ms} ms`);
  assert.match(box.said.join(), /^dead the peer channel's connection has ended/);
});

test('the peer channel ends and the daemon lives: one answer, and nothing is said of the peer', () => {
  const box = new Box();
  box.feed({ type: 'channelEnded' });
  box.run(1000 * MS);
  assert.is(box.state.verdict, 'alive');
  assert.equal(
    box.said.filter((text) => text.startsWith('dead')),
    [],
  );
});

test('a slow path, or a busy peer, slows the probes down: twice the longest round trip, 15 ms at most', () => {
  for (const [tripUs, tryMs] of [
    [200, 4],
    [5_000, 10],
    [60_000, 15],
  ] as const) {
    const box = new Box();
    box.sync = false;
    box.answering.clear();
    box.feed({ type: 'answer', path: 'wan', tripUs });
    box.feed({ type: 'carrier', up: false });
    const ms = box.until();
    assert.ok(ms >= 5 * tryMs && ms <= 5 * tryMs + 6, `${tripUs} us: ${ms} ms`);
  }
});

for (const path of ['wan', 'lan']) {
  test(`an answer on ${path} alone: the peer lives, the sync link is down; said once`, () => {
    const box = new Box();
    box.sync = false;
    box.answering.clear();
    box.answering.add(path);
    box.feed({ type: 'carrier', up: false });
    box.run(20_000 * MS);
    assert.is(box.said.length, 1);
    assert.match(box.said.join(), new RegExp(`^alive the sync link has lost its carrier.*on ${path}$`));
    assert.is(box.state.verdict, 'alive');
  });
}

test('then the peer dies while the sync link is down: dead within 330 ms', () => {
  const box = new Box();
  box.sync = false;
  box.feed({ type: 'carrier', up: false });
  box.run(5000 * MS);
  assert.match(box.said.join(), /^alive/);
  box.said.length = 0;
  box.answering.clear();
  const ms = box.until();
  assert.ok(ms <= 330, `${ms} ms`);
  assert.match(box.said.join(), /^dead/);
});

test('a path that never answered is no witness; with no witness nobody is dead', () => {
  const box = new Box(['wan', 'lan'], []);
  box.sync = false;
  box.feed({ type: 'carrier', up: false });
  box.run(5000 * MS);
  assert.is(box.said.length, 1);
  assert.match(box.said.join(), /^undecided/);
});

test('one proven path is witness enough, an unproven one is not waited for', () => {
  const box = new Box(['wan', 'lan'], ['lan']);
  box.sync = false;
  box.answering.clear();
  box.feed({ type: 'carrier', up: false });
  box.until();
  assert.match(box.said.join(), /on lan for/);
});

test('own cables: a path that goes down during the question is no witness', () => {
  const box = new Box();
  box.sync = false;
  box.answering.clear();
  box.feed({ type: 'carrier', up: false });
  box.run(10 * MS);
  box.feed({ type: 'paths', usable: { wan: false, lan: false } });
  box.run(1000 * MS);
  assert.is(
    box.said.some((text) => text.startsWith('dead')),
    false,
    box.said.join(),
  );
});

test('an advertisement of the peer is a sign of life', () => {
  const box = new Box();
  box.sync = false;
  box.answering.clear();
  box.feed({ type: 'carrier', up: false });
  box.run(10 * MS);
  box.feed({ type: 'advert', path: 'wan' });
  assert.match(box.said.join(), /^alive .*it advertises on wan/);
});

test('a node that did not run itself asks again before it decides', () => {
  const box = new Box();
  box.sync = false;
  box.feed({ type: 'carrier', up: false });
  // The answers wait in the sockets while the loop stands still for 2 s.
  box.now += 2000 * MS;
  box.feed({ type: 'tick' });
  assert.equal(box.said, [], 'not dead because of the own sleep');
  box.run(100 * MS);
  assert.match(box.said.join(), /^alive/);
});

test('a loop that is always late decides late, not wrongly', () => {
  const box = new Box();
  box.sync = false;
  box.feed({ type: 'carrier', up: false });
  box.run(3000 * MS, PROBE_TIMING.lateUs / 2);
  assert.is(
    box.said.some((text) => text.startsWith('dead')),
    false,
  );
});

test('a peer that stops is not declared dead; one that comes back is known again', () => {
  const box = new Box();
  box.sync = false;
  box.answering.clear();
  box.feed({ type: 'leaving' });
  box.run(5000 * MS);
  assert.equal(box.said, []);
  box.sync = true;
  box.answering.add('wan');
  box.run(3000 * MS);
  box.sync = false;
  box.answering.clear();
  box.until();
  assert.match(box.said.join(), /^dead/);
});

test('a peer that was dead and is back dies again within the second: its paths are proven anew at once', () => {
  const box = new Box();
  box.sync = false;
  box.answering.clear();
  box.until();
  box.run(10_000 * MS);
  box.said.length = 0;
  box.sync = true;
  box.answering.add('wan');
  box.run(150 * MS);
  box.sync = false;
  box.answering.clear();
  box.until();
  assert.match(box.said.join(), /^dead/);
});

test.run();
