/** Long random lives of a pair: traffic, loss, cuts, hand-overs and damage; and single wrong bits that must be seen. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../scripts/reference/bench-exports.ts';
import {
  damage,
  feed,
  flowOf,
  lastRepair,
  recordOf,
  settles,
  steadyPair,
} from '../../scripts/sim/worlds/repair-world.ts';
import type { SyncWorld } from '../../scripts/sim/worlds/sync-world.ts';

const life = suite('sync repair life');

/** A pair with its truth: which flows live, in which version, and who is master. */
class Life {
  readonly world: SyncWorld;
  readonly living = new Map<number, number>();
  readonly log: string[] = [];
  master: 0 | 1 = 0;
  private next = 10_000;

  constructor(seed: number) {
    this.world = steadyPair(seed, 0, 600);
    for (let n = 0; n < 600; n++) this.living.set(n, 0);
  }

  get other(): 0 | 1 {
    return this.master === 0 ? 1 : 0;
  }

  private any(): [number, number] {
    const keys = [...this.living.keys()];
    const n = keys[Math.floor(this.world.chance() * keys.length)] ?? 0;
    return [n, this.living.get(n) ?? 0];
  }

  private fresh(): void {
    this.living.set(this.next, 0);
    feed(this.world, this.master, [flowOf(this.next++)]);
  }

  event(): void {
    const kind = this.world.chance();
    const [n, version] = this.any();
    if (kind < 0.4) this.fresh();
    else if (kind < 0.7) {
      this.living.delete(n);
      feed(this.world, this.master, [flowOf(n, version)], 'destroy');
    } else {
      this.living.set(n, version + 1);
      feed(this.world, this.master, [flowOf(n, version + 1)]);
    }
  }

  damage(): void {
    const mirror = this.world.nodes[this.other];
    if (mirror.engine.countOf('own') > 0) return;
    const { chance } = this.world;
    const records: Buffer[] = [];
    for (let i = 0; i < 5 + chance() * 60; i++) {
      const [n, version] = this.any();
      const kind = chance();
      if (kind < 0.4) records.push(recordOf(flowOf(n, version), true));
      else if (kind < 0.7) records.push(recordOf(flowOf(n, version + 5)));
      else records.push(recordOf(flowOf(900_000 + Math.floor(chance() * 1000))));
    }
    damage(mirror, records);
  }

  /** Only when what was damaged behind everybody's back has been seen: "in step" has an age. */
  handOver(): void {
    const { world } = this;
    assert.ok(settles(world, 60_000), this.log.join(' '));
    const old = this.master;
    this.master = this.other;
    world.role(this.master, true);
    for (let i = 0; i < 5; i++) this.fresh();
    world.run(world.chance() * 5);
    world.role(old, false);
    world.until(() => world.nodes[old].engine.countOf('own') === 0, 20_000);
  }

  step(): void {
    const { world } = this;
    const kind = world.chance();
    const name =
      kind < 0.35 ? 'traffic' : kind < 0.6 ? 'damage' : kind < 0.75 ? 'hand-over' : kind < 0.87 ? 'cut' : 'loss';
    this.log.push(name);
    if (name === 'traffic') {
      for (let i = 0; i < 30; i++) {
        this.event();
        if (world.chance() < 0.3) world.run(world.chance() * 3);
      }
    } else if (name === 'damage') this.damage();
    else if (name === 'hand-over') this.handOver();
    else if (name === 'cut') {
      world.link.up = false;
      for (let i = 0; i < 5; i++) {
        this.event();
        world.run(world.chance() * 100);
      }
      world.link.up = true;
    } else
      Object.assign(world.link, { loss: world.chance() * 0.3, delay: world.chance() * 6, jitter: world.chance() * 6 });
    world.run(world.chance() * 400);
  }
}

// What is damaged while a repair runs makes that repair fail, and two such repairs in a row are followed by the list:
// three of 200 lives.
life('25 random lives end with equal tables that hold exactly what lives, and hardly a list was sent in full', () => {
  let lists = 0;
  for (let seed = 1; seed <= 25; seed++) {
    const one = new Life(seed);
    const { world } = one;
    for (let i = 0; i < 25; i++) one.step();
    Object.assign(world.link, { loss: 0, delay: 0.2, jitter: 0 });
    const label = `seed ${seed}: ${one.log.join(' ')}`;
    assert.ok(settles(world, 60_000), `${label}: in step`);
    assert.ok(world.equal(), `${label}: equal`);
    assert.is(world.nodes[one.master].engine.countOf('own'), one.living.size, `${label}: what lives`);
    assert.is(world.nodes[one.other].engine.countOf('mirrored'), one.living.size, `${label}: mirrored`);
    for (const node of world.nodes) {
      assert.is(bench(node.engine).selfCheck(), 0);
      if (node.engine.counter('tx_bulk_records') > 0) lists += 1;
    }
    assert.ok(world.nodes.some((node) => lastRepair(node) !== null));
  }

  assert.ok(lists <= 1, `${lists} lists were sent in full`);
});

/** One bit of one synced field of the flow's record: addresses, ports, NAT, status, or its mark. */
function withWrongBit(n: number, chance: () => number): Buffer {
  const record = recordOf(flowOf(n));
  // Behind head and protocol: 12 bytes of key, status, 6 bytes of NAT. Of the status only two bits exist.
  const at = 2 + Math.floor(chance() * 19);
  const bit = at === 14 ? 1 + Math.floor(chance() * 2) : Math.floor(chance() * 8);
  record[at] = (record[at] ?? 0) ^ (1 << bit);
  return record;
}

life(
  'one wrong bit in one synced field: the next comparison says so, and "in step" comes back only with the truth',
  () => {
    const world = steadyPair(90, 0, 300);
    const [, mirror] = world.nodes;
    for (let round = 0; round < 300; round++) {
      const n = Math.floor(world.chance() * 300);
      const wrong = withWrongBit(n, world.chance);
      // A bit of the key makes another state of it: the right one goes.
      damage(mirror, [recordOf(flowOf(n), true), wrong]);
      assert.not(world.equal());
      const from = world.now;
      assert.ok(
        world.until(() => mirror.driver.state.mirroredCompared?.equal === false, 400),
        `round ${round}: seen`,
      );
      assert.ok(world.now - from <= 300);
      for (let i = 0; i < 2000 && !world.equal(); i++) {
        assert.is.not(world.inStep(1), true, `round ${round}: ${wrong.toString('hex')}`);
        world.run(1);
      }
      assert.ok(settles(world));
      assert.ok(world.equal());
    }
    assert.is(mirror.driver.state.repairs, 300);
  },
);

life.run();
