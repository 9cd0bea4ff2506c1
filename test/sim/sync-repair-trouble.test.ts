/**
 * Repair by difference in trouble: traffic, loss, cuts and restarts meanwhile, damaged symbols; what its rules are for.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  bothInStep,
  damage,
  feed,
  flowOf,
  lastRepair,
  recordOf,
  settles,
  steadyPair,
} from '../../scripts/sim/worlds/repair-world.ts';
import type { Node, SyncWorld } from '../../scripts/sim/worlds/sync-world.ts';
import { CodedSymbols } from '../../src/sync/repair/coded-symbols.ts';

const repair = suite('sync repair in trouble');

/**
 * New, changed and ended flows on the owner, numbers from 100,000 on and some of the first ones; returns what lives.
 */
function traffic(world: SyncWorld, owner: 0 | 1, living: Map<number, number>, rounds: number): void {
  for (let i = 0; i < rounds; i++) {
    const fresh = 100_000 + living.size + Math.floor(world.chance() * 1e6);
    living.set(fresh, 0);
    feed(world, owner, [flowOf(fresh)]);
    const n = Math.floor(world.chance() * SMALL);
    const version = living.get(n);
    if (version !== undefined && world.chance() < 0.5) {
      living.delete(n);
      feed(world, owner, [flowOf(n, version)], 'destroy');
    } else {
      living.set(n, (version ?? 0) + 1);
      feed(world, owner, [flowOf(n, (version ?? 0) + 1)]);
    }
    world.run(world.chance() * 2);
  }
}

const SMALL = 3000;

/** A pair with 3000 states and 400 differing ones on the mirror, and what lives on the owner. */
function troubledPair(seed: number, owner: 0 | 1): { world: SyncWorld; mirror: Node; living: Map<number, number> } {
  const world = steadyPair(seed, owner, SMALL);
  const mirror = world.nodes[owner === 0 ? 1 : 0];
  const living = new Map(Array.from({ length: SMALL }, (_, n) => [n, 0]));
  const records: Buffer[] = [];
  for (let i = 0; i < 400; i++) {
    const n = Math.floor(world.chance() * SMALL);
    const kind = i % 4;
    if (kind === 0) records.push(recordOf(flowOf(n), true));
    else if (kind === 1) records.push(recordOf(flowOf(50_000 + n)));
    else if (kind === 2) records.push(recordOf(flowOf(n, 9)));
    // A state of the mirror's that the owner is about to make as well: it must not be taken for too much.
    else records.push(recordOf(flowOf(n + 20_000)));
  }
  damage(mirror, records);
  return { world, mirror, living };
}

function checkTables(world: SyncWorld, owner: 0 | 1, living: Map<number, number>, label: string): void {
  assert.ok(settles(world), `${label}: in step`);
  assert.ok(world.equal(), `${label}: equal tables`);
  assert.is(world.nodes[owner].engine.countOf('own'), living.size, `${label}: the owner has what lives`);
  assert.is(
    world.nodes[owner === 0 ? 1 : 0].engine.countOf('mirrored'),
    living.size,
    `${label}: and so has the mirror`,
  );
}

/** Runs until the mirror's repair is in this phase. */
function untilPhase(world: SyncWorld, mirror: Node, phase: string): boolean {
  for (let i = 0; i < 4000; i++) {
    if (mirror.driver.state.repairIn?.phase === phase) return true;
    world.run(0.25, 0.25);
  }
  return false;
}

repair('traffic on a lossy, reordering link during the repair: equal tables in the end, "in step" never before', () => {
  let repaired = 0;
  for (let seed = 300; seed < 316; seed++) {
    const owner = (seed & 1) as 0 | 1;
    const { world, mirror, living } = troubledPair(seed, owner);
    Object.assign(world.link, { loss: world.chance() * 0.2, delay: world.chance() * 5, jitter: world.chance() * 5 });
    const before = world.nodes[owner].engine.counter('tx_bulk_records');
    for (let i = 0; i < 40; i++) {
      traffic(world, owner, living, 5);
      if (mirror.driver.state.repairIn !== null) assert.is(mirror.driver.inStep(world.now).inStep, false);
    }
    Object.assign(world.link, { loss: 0, delay: 0.2, jitter: 0 });
    checkTables(world, owner, living, `seed ${seed}`);
    assert.is(world.nodes[owner].engine.counter('tx_bulk_records'), before, `seed ${seed}: nothing was sent in full`);
    if (lastRepair(mirror) !== null) repaired += 1;
  }
  assert.is(repaired, 16);
});

repair('no state that lives is dropped by a repair, though traffic makes what the mirror had too much', () => {
  for (let seed = 320; seed < 330; seed++) {
    const owner = (seed & 1) as 0 | 1;
    const { world, mirror, living } = troubledPair(seed, owner);
    assert.ok(untilPhase(world, mirror, 'reading'));
    const dropped = mirror.engine.counter('repair_dropped');
    const created = mirror.kernel.deleted;
    // Every second of the mirror's strange states becomes a real one, with the same content, behind BEGIN.
    const fresh = Array.from({ length: SMALL / 2 }, (_, i) => 20_000 + 2 * i);
    feed(
      world,
      owner,
      fresh.map((n) => flowOf(n)),
    );
    for (const n of fresh) living.set(n, 0);
    checkTables(world, owner, living, `seed ${seed}`);
    assert.ok(mirror.engine.counter('repair_dropped') > dropped);
    assert.ok(mirror.kernel.deleted >= created);
    assert.is(world.nodes[owner].engine.counter('tx_bulk_records'), 0);
    assert.is(world.nodes[owner].driver.refused.bad_repair, undefined);
  }
});

for (const phase of ['asked', 'reading', 'proving']) {
  repair(`the link is cut in the middle (${phase}): the repair goes on when it is back`, () => {
    for (let seed = 340; seed < 344; seed++) {
      const owner = (seed & 1) as 0 | 1;
      const { world, mirror, living } = troubledPair(seed, owner);
      assert.ok(untilPhase(world, mirror, phase), phase);
      world.link.up = false;
      traffic(world, owner, living, 20);
      world.run(seed % 2 === 0 ? 300 : 7000);
      assert.is.not(mirror.driver.inStep(world.now).inStep, true);
      world.link.up = true;
      checkTables(world, owner, living, `seed ${seed}`);
      assert.is(world.nodes[owner].engine.counter('tx_bulk_records'), 0, 'nothing was sent in full');
    }
  });

  repair(`a node restarts in the middle (${phase}): equal tables in the end`, () => {
    for (let seed = 350; seed < 354; seed++) {
      const { world, mirror, living } = troubledPair(seed, 0);
      assert.ok(untilPhase(world, mirror, phase), phase);
      const flows = [...living].map(([n, version]) => flowOf(n, version));
      const restarted = seed % 2 === 0 ? 0 : 1;
      world.restart(restarted);
      world.dump(restarted, restarted === 0 ? flows : flows.slice(10));
      world.role(restarted, false);
      world.run(50);
      world.role(0, true);
      checkTables(world, 0, living, `seed ${seed}`);
    }
  });
}

repair('both directions at once: each node owns some states and mirrors the others', () => {
  for (let seed = 360; seed < 364; seed++) {
    const world = steadyPair(seed, 0, 1000);
    world.role(1, true);
    feed(
      world,
      1,
      Array.from({ length: 1000 }, (_, n) => flowOf(10_000 + n)),
    );
    assert.ok(settles(world));
    for (const [index, base] of [
      [0, 10_000],
      [1, 0],
    ] as const) {
      const records = Array.from({ length: 60 }, (_, i) => recordOf(flowOf(base + i * 3, i % 2 ? 5 : 0), i % 2 === 0));
      damage(world.nodes[index], records);
    }
    assert.ok(settles(world), `seed ${seed}`);
    assert.ok(world.equal());
    for (const node of world.nodes) {
      assert.is(node.engine.countOf('own'), 1000);
      assert.is(node.engine.countOf('mirrored'), 1000);
      assert.is(lastRepair(node)?.differences, 90);
      assert.is(node.engine.counter('tx_bulk_records'), 0);
    }
  }
});

repair('differences beyond what is worth while: everything is sent instead', () => {
  const world = steadyPair(370, 0, 2000);
  const mirror = world.nodes[1];
  damage(
    mirror,
    Array.from({ length: 1900 }, (_, n) => recordOf(flowOf(n), true)),
  );
  assert.ok(settles(world));
  assert.ok(world.equal());
  assert.is(world.nodes[0].engine.counter('tx_bulk_records'), 2000);
  // As many states, but half of them others: only the symbols tell.
  const before = world.nodes[0].engine.counter('tx_bulk_records');
  damage(
    mirror,
    Array.from({ length: 1600 }, (_, n) => recordOf(flowOf(n, 3))),
  );
  assert.ok(settles(world));
  assert.ok(world.equal());
  assert.is(world.nodes[0].engine.counter('tx_bulk_records'), before + 2000);
  assert.is(lastRepair(mirror), null);
});

repair('an owner with few states, and a mirror with none, take the plain list', () => {
  const world = steadyPair(372, 0, 100);
  damage(world.nodes[1], [recordOf(flowOf(1), true)]);
  assert.ok(settles(world));
  assert.is(world.nodes[0].engine.counter('tx_bulk_records'), 100);
});

repair('symbols damaged on the way (by a peer gone mad): refused or fruitless, never wrong, in the end equal', () => {
  for (let seed = 380; seed < 386; seed++) {
    const { world, mirror, living } = troubledPair(seed, 0);
    const { read } = CodedSymbols.prototype;
    let damages = 0;
    CodedSymbols.prototype.read = function (from, n) {
      const bytes = read.call(this, from, n);
      if (damages++ < 40) bytes[Math.floor(world.chance() * bytes.length)]! ^= 1 << (seed & 7);
      return bytes;
    };
    try {
      checkTables(world, 0, living, `seed ${seed}`);
    } finally {
      CodedSymbols.prototype.read = read;
    }
    assert.ok(mirror.driver.state.repairs > 0);
  }
});

// --- negative controls: what the rules are for ---

repair('negative control: a snapshot from before BEGIN makes the mirror drop states that live', () => {
  const world = steadyPair(390, 0, SMALL);
  const [a, b] = world.nodes;
  // The owner's snapshot is of this moment ...
  const early: Buffer[] = [];
  const everything = Buffer.alloc(32, 0xff);
  for (let at: number | null = 0; at !== null; ) {
    at = a.engine.walks.copyIds(at, 65_536, ['own'], everything, (ids) => early.push(Buffer.from(ids)));
  }
  a.engine.walks.copyIds = (_from, _slots, _owners, mask, to) => {
    for (const ids of early.splice(0)) {
      for (let at = 0; at < ids.length; at += 8) {
        const bucket = ids.readUInt8(at);
        if ((mask[bucket >> 3] ?? 0) & (1 << (bucket & 7))) to(ids.subarray(at, at + 8));
      }
    }
    return null;
  };
  // ... these states travel before BEGIN, and the mirror has them in its own.
  const fresh = Array.from({ length: 50 }, (_, i) => flowOf(200_000 + i));
  feed(world, 0, fresh);
  world.run(20);
  assert.is(b.engine.countOf('mirrored'), SMALL + 50);
  damage(
    b,
    Array.from({ length: 700 }, (_, n) => recordOf(flowOf(n), true)),
  );
  world.until(() => b.engine.counter('repair_dropped') > 0, 5000);
  // Some may be in the few buckets that did not differ.
  assert.ok(b.engine.counter('repair_dropped') >= 40, 'the damage that the order of BEGIN and snapshot prevents');
  // The comparison is the net below it.
  assert.ok(settles(world));
  assert.ok(world.equal());
});

repair('negative control: without the mark of what was told anew, living states are dropped', () => {
  const world = steadyPair(391, 0, SMALL);
  const [, b] = world.nodes;
  b.engine.peerBulkBegin = () => {};
  const strange = Array.from({ length: 300 }, (_, i) => flowOf(20_000 + i));
  damage(
    b,
    strange.map((flow) => recordOf(flow)),
  );
  assert.ok(untilPhase(world, b, 'reading'));
  feed(world, 0, strange);
  world.until(() => b.engine.counter('repair_dropped') > 0, 5000);
  assert.ok(b.engine.counter('repair_dropped') > 0);
  assert.ok(settles(world));
  assert.ok(world.equal());
});

repair('negative control: WANT is ignored: never "in step", until everything is sent', () => {
  const { world, mirror, living } = troubledPair(392, 0);
  const [a] = world.nodes;
  a.engine.walks.sendPicked = () => null;
  let falseAlarm = false;
  world.until(() => {
    // Once the difference has been seen ("in step" has an age), nobody may say otherwise.
    if (mirror.driver.state.repairs > 0 && bothInStep(world) && !world.equal()) falseAlarm = true;
    return a.engine.counter('tx_bulk_records') > 0;
  }, 20_000);
  assert.not(falseAlarm);
  assert.is(lastRepair(mirror), null, 'nothing was called repaired');
  checkTables(world, 0, living, 'in the end');
  assert.is(mirror.driver.state.repairs, 3, 'two repairs, then the plain list');
});

repair.run();
