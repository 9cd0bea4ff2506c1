/**
 * Under load the dataplane loop hands events on, and makes a whole pass now and then: two loops, one link, one clock.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kernelMessage, netlink } from '../../scripts/reference/ctmsg.ts';
import { wasm } from '../../scripts/reference/harness.ts';
import { randomSource, randomState } from '../../scripts/reference/state.ts';
import type { Conntrack } from '../../scripts/sim/cluster/conntrack.ts';
import { SimIo } from '../../scripts/sim/cluster/dataplane-host.ts';
import { inside } from '../../scripts/sim/cluster/inside.ts';
import { Dataplane } from '../../src/sync/worker/dataplane.ts';
import type { ToWorker, WorkerConfig } from '../../src/sync/worker/messages.ts';
import { STAT, STAT_COUNT } from '../../src/sync/worker/messages.ts';

const test = suite('dataplane: handing on');

/** An empty table, and whatever is put into it is taken. */
const KERNEL = {
  dump: (seq: number) => [netlink(3, { seq, flags: 2 }, [Buffer.alloc(4)])],
  change: () => [],
} as unknown as Conntrack;

class Node {
  readonly stats: Float64Array;
  readonly plane: Dataplane;
  io: SimIo | null = null;
  peer: Node | null = null;
  sent = 0;
  /** When the loop last made a whole pass: only these tell the control thread of the loop. */
  wholeAt = Number.NaN;
  private readonly now: () => number;

  constructor(name: string, now: () => number) {
    const counters = new SharedArrayBuffer(STAT_COUNT * 8);
    this.stats = new Float64Array(counters);
    const config: WorkerConfig = {
      ...{ name, secrets: [], device: 'sync', ifindex: 1, peer: '10.0.0.1', mtu: 1500, eventBuffer: 1 << 20 },
      ...{ syncWhen: 'all', ignore: [], local: [], maxStates: 10_000, timeouts: [] },
    };
    let drawn = 0;
    this.now = now;
    this.plane = new Dataplane({ wasm, config, counters }, () => {}, {
      random: (bytes) => Buffer.from(Array.from({ length: bytes }, () => name.charCodeAt(3) + ++drawn)),
      open: (_config, engine) => {
        this.io = new SimIo(engine, {
          kernel: KERNEL,
          ...{ nowMs: now, nowUs: () => now() * 1000, peer: '10.0.0.1', wake: () => {}, later: (_us, call) => call() },
          transmit: (datagram) => {
            this.sent += 1;
            this.peer?.io?.arrive(datagram);
          },
        });
        return this.io;
      },
    });
    const reporter = inside<{ report(...args: unknown[]): void }>(this.plane, 'reporter');
    const report = reporter.report.bind(reporter);
    reporter.report = (...args) => {
      this.wholeAt = this.now();
      report(...args);
    };
  }

  /** So many new connections in the kernel. */
  open(random: () => number, count: number): void {
    for (let i = 0; i < count; i++) {
      this.io?.events.push(kernelMessage({ ...randomState(random), status: 0xe }, {}));
    }
  }

  told(message: ToWorker): void {
    this.plane.command(message);
  }

  get states(): number {
    return (this.stats[STAT.own] ?? 0) + (this.stats[STAT.mirrored] ?? 0);
  }
}

/** Two nodes in step, the first one master; `turn` lets ms pass and both loops make a pass. */
function pair(): { a: Node; b: Node; turn(ms: number): number } {
  let now = 1000;
  const [a, b] = [new Node('fw-a', () => now), new Node('fw-b', () => now)];
  [a.peer, b.peer] = [b, a];
  const turn = (ms: number): number => {
    now += ms;
    a.plane.pass();
    b.plane.pass();
    return now;
  };
  for (const node of [a, b]) node.told({ type: 'role', masterAny: node === a, report: `{"master":${node === a}}` });
  for (let i = 0; i < 300; i++) turn(10);
  for (let i = 0; i < 20; i++) turn(1);
  assert.is(a.stats[STAT.alive], 1, 'they have met');
  return { a, b, turn };
}

test('events alone are handed on in short passes, a whole one follows after 10 ms at the latest', () => {
  const { a, b, turn } = pair();
  const random = randomSource(5);
  let [short, longest] = [0, 0];
  for (let i = 0; i < 500; i++) {
    a.open(random, 3);
    const sent = a.sent;
    const now = turn(2);
    assert.ok(a.sent > sent, 'what came is sent in the same pass');
    longest = Math.max(longest, now - a.wholeAt);
    if (a.wholeAt < now) short += 1;
  }
  assert.ok(short > 200, `${short} of 500 passes were short`);
  assert.ok(longest <= 10, `${longest} ms`);
  for (let i = 0; i < 50; i++) turn(10);
  assert.is(a.states, b.states, 'nothing was left behind');
  assert.ok(a.states > 1000);
});

test('a command, a datagram and an operation for the kernel are each worth a whole pass', () => {
  const { a, b, turn } = pair();
  const random = randomSource(6);
  const within = (act: () => void): boolean => {
    for (let now = turn(10); a.wholeAt !== now; now = turn(1));
    act();
    a.open(random, 1);
    return turn(1) === a.wholeAt;
  };
  assert.not.ok(
    within(() => {}),
    'negative control: without any of them it is a short one',
  );
  assert.ok(within(() => a.told({ type: 'local', addresses: ['10.1.1.1'] })));
  assert.ok(within(() => b.told({ type: 'verify', id: 1, deep: false })) || turn(1) === a.wholeAt, 'its question');
  assert.ok(
    within(() => {
      // A state of the peer's that ends in this kernel, though it lives there.
      const state = { ...randomState(random), status: 0xe };
      b.io?.events.push(kernelMessage(state, {}));
      for (let i = 0; i < 5; i++) turn(2);
      for (let now = turn(10); a.wholeAt !== now; now = turn(1));
      a.io?.events.push(kernelMessage(state, { message: 2 }));
    }),
  );
});

test.run();
