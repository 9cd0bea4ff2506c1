/**
 * A backup whose kernel is full: mirrored entries that are not assured push each other out. Each one that is put back
 * costs another one, so this must not go on as fast as the loop turns; and nothing of it may be lost.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { feed, finish, makeEngine, reply } from '../../../scripts/reference/harness.ts';
import { inverse, type State } from '../../../scripts/reference/state.ts';
import { encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import { Conntrack } from '../../../scripts/sim/cluster/conntrack.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite('a full kernel');

const PORT = 4711;
const PASS_MS = 2;

function udp(n: number): State {
  const orig = {
    src: Uint8Array.of(10, 0, n >> 8, n & 255),
    dst: Uint8Array.of(198, 51, 100, 8),
    sport: 4000,
    dport: 53,
  };
  const reply = inverse({ family: 2, proto: 17, orig });
  return {
    ...{ family: 2, proto: 17, zone: 0, orig, reply, status: 0xa, mark: 0, l4: 0 },
    ...{ wscale: [0, 0], flags: [0, 0], vtags: null, timeout: 3600 },
  };
}

class World {
  evictions = 0;
  ms = 0;
  readonly engine: Engine = makeEngine({ syncWhen: 'all' });
  private readonly events: Buffer[] = [];
  readonly kernel = new Conntrack({
    most: 1e6,
    event: (bytes) => this.events.push(bytes),
    evicted: () => this.evictions++,
  });

  constructor() {
    this.engine.setOwnPort(PORT);
  }

  /** As one pass of the loop; `sweep`: as every second while something is missing. */
  pass(): void {
    const { engine, kernel } = this;
    this.ms += PASS_MS;
    engine.setNow(this.ms);
    for (const bytes of this.events.splice(0)) feed(engine, bytes);
    if (this.ms % 1000 === 0 && engine.kernelMissing() > 0) {
      engine.sweepBegin();
      finish((n) => engine.sweep(n));
    }
    while (engine.kernelPending() > 0) {
      const length = engine.fillKernel();
      if (length === 0) break;
      const { offset } = engine.areas.kernel;
      const refusals = kernel.change(Buffer.from(engine.view().slice(offset, offset + length)), PORT, this.ms * 1000);
      for (const refusal of refusals) reply(engine, refusal);
    }
  }

  run(seconds: number): void {
    for (let i = 0; i < (seconds * 1000) / PASS_MS; i++) this.pass();
    assert.is(bench(this.engine).selfCheck(), 0);
  }

  mirror(from: number, n: number): void {
    for (let i = from; i < from + n; i++) this.engine.applyUpdates(encodeUpdate(udp(i)), false);
  }
}

test('entries do not push each other out for ever, and all are there when there is room', () => {
  const world = new World();
  world.mirror(0, 300);
  world.run(0.1);
  assert.is(world.kernel.entries.size, 300);
  world.kernel.most = 280;
  world.mirror(300, 50);
  world.run(4);
  world.evictions = 0;
  world.run(20);
  // As fast as the loop turns that would be 25,000 a second. What is left are the sweeps, here one a second.
  assert.ok(world.evictions < 5000, `${world.evictions} evictions in 20 s`);
  assert.ok(world.engine.kernelMissing() >= 50, `${world.engine.kernelMissing()} told as missing`);
  world.kernel.most = 1e6;
  world.run(4);
  assert.is(world.kernel.entries.size, 350);
  assert.is(world.engine.kernelMissing(), 0);
});

test('what somebody deletes by hand on a backup is put back at once, a thousand entries or one', () => {
  for (const n of [1, 900]) {
    const world = new World();
    world.mirror(0, 1000);
    world.run(0.1);
    for (const entry of [...world.kernel.entries.values()].slice(0, n)) world.kernel.drop(entry, world.ms * 1000);
    world.run(0.02);
    assert.is(world.kernel.entries.size, 1000);
  }
});

test('and a whole table a second later', () => {
  const world = new World();
  world.mirror(0, 5000);
  world.run(0.1);
  for (const entry of [...world.kernel.entries.values()]) world.kernel.drop(entry, world.ms * 1000);
  world.run(2.5);
  assert.is(world.kernel.entries.size, 5000);
  assert.is(world.engine.kernelMissing(), 0);
});

test.run();
