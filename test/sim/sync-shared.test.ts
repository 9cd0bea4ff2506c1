/** Each node is master of one vhid: whose a connection is follows from the virtual addresses, also for idle ones. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Flow } from '../../scripts/sim/worlds/ct-messages.ts';
import { SyncWorld, tcpFlow } from '../../scripts/sim/worlds/sync-world.ts';

const shared = suite('each node master of one vhid');

const LISTS = { '1/wan': ['203.0.113.1/24'], '11/wan': ['203.0.113.11/24'] };
type Node = 0 | 1;

/** Tells node `index` what it is master of. */
function tell(world: SyncWorld, index: Node, masterOf: readonly string[]): void {
  const vhids = Object.fromEntries(
    Object.keys(LISTS).map((key) => [key, { state: masterOf.includes(key) ? 'MASTER' : 'BACKUP' }]),
  );
  const report = Buffer.from(JSON.stringify({ master: masterOf.length > 0, vhids, lists: LISTS }));
  world.nodes[index].driver.setRole(masterOf.length > 0, report, world.now);
}

/** Vhid 1 on the first node, vhid 11 on the second. */
function share(world: SyncWorld): void {
  tell(world, 0, ['1/wan']);
  tell(world, 1, ['11/wan']);
}

/** A connection behind the virtual address of vhid 1 (even) or of vhid 11 (odd). */
function flow(n: number): Flow {
  return { ...tcpFlow(n), natSrc: n % 2 === 0 ? '203.0.113.1' : '203.0.113.11' };
}

function settled(world: SyncWorld): boolean {
  return world.until(() => world.inStep(0) === true && world.inStep(1) === true && world.equal(), 20_000);
}

const owned = (world: SyncWorld): number[] => world.nodes.map((node) => node.engine.countOf('own'));

function busy(world: SyncWorld, count: number): void {
  for (let n = 0; n < count; n++) world.flow((n % 2) as Node, flow(n));
}

shared('both forward, both are in step, each owns its own', () => {
  const world = new SyncWorld(400);
  share(world);
  busy(world, 100);
  world.run(300);
  assert.ok(settled(world));
  assert.equal(owned(world), [50, 50]);
});

shared('one dies and comes back with nothing: its idle connections are its own again, without one packet', () => {
  for (const dead of [0, 1] as const) {
    const other = dead === 0 ? 1 : 0;
    const world = new SyncWorld(410 + dead);
    share(world);
    busy(world, 100);
    world.run(300);
    assert.ok(settled(world));
    world.nodes[dead].alive = false;
    world.run(1500);
    tell(world, other, ['1/wan', '11/wan']);
    world.run(100);
    assert.is(owned(world)[other], 100, 'the other owns all');
    world.restart(dead);
    tell(world, dead, []);
    assert.ok(settled(world));
    share(world);
    assert.ok(
      world.until(() => owned(world).every((n) => n === 50), 8000),
      `${owned(world)}`,
    );
    assert.ok(settled(world), 'in step');
    // The end that the former owner's kernel would have told for want of traffic means nothing any more.
    const idle = flow(dead === 0 ? 2 : 3);
    world.flow(other, idle, 'destroy');
    world.run(500);
    assert.ok(settled(world));
    assert.is(world.nodes[dead].engine.countOf('own'), 50, 'the idle connection lives');
  }
});

shared('the sync link is cut: both adopt all, both go on; after the heal equal tables, nothing lost', () => {
  for (let seed = 420; seed < 440; seed++) {
    const world = new SyncWorld(seed);
    Object.assign(world.link, { delay: 1 + world.chance() * 3, jitter: world.chance() * 2 });
    share(world);
    busy(world, 100);
    world.run(300);
    assert.ok(settled(world), `seed ${seed}`);
    world.link.up = false;
    world.run(1200 + world.chance() * 500);
    for (let n = 100; n < 120; n++) world.flow((n % 2) as Node, flow(n));
    // Each kernel lets the other's idle connections expire, as it sees none of their packets.
    for (let n = 0; n < 10; n++) world.flow(n % 2 === 0 ? 1 : 0, flow(n), 'destroy');
    world.run(world.chance() * 500);
    world.link.up = true;
    assert.ok(settled(world), `seed ${seed}: in step`);
    assert.ok(
      world.until(() => owned(world).every((n) => n === 60), 8000),
      `seed ${seed}: ${owned(world)}`,
    );
    assert.ok(settled(world), `seed ${seed}: in step in the end`);
    assert.equal(
      world.nodes.map((node) => node.engine.countOf('mirrored')),
      [60, 60],
      `seed ${seed}: nothing lost`,
    );
  }
});

shared('a vhid moves alone: its connections move with it', () => {
  const world = new SyncWorld(450);
  share(world);
  busy(world, 100);
  world.run(300);
  assert.ok(settled(world));
  // For a moment both say that they are master of vhid 1: nobody claims, nobody loses.
  tell(world, 1, ['1/wan', '11/wan']);
  world.run(300);
  assert.ok(settled(world));
  assert.equal(owned(world), [50, 50]);
  tell(world, 0, []);
  assert.ok(
    world.until(() => owned(world)[1] === 100, 8000),
    `${owned(world)}`,
  );
  assert.ok(settled(world));
});

shared('negative control: without the addresses in the reports idle connections stay where they were', () => {
  const world = new SyncWorld(460);
  share(world);
  busy(world, 100);
  world.run(300);
  world.nodes[1].alive = false;
  world.run(1500);
  tell(world, 0, ['1/wan', '11/wan']);
  world.run(100);
  world.restart(1);
  world.role(0, true);
  world.role(1, true);
  world.run(8000);
  assert.equal(owned(world), [100, 0]);
});

shared.run();
