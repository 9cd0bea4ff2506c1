/**
 * The sync session of two nodes in virtual time: the promises of invariants 2, 3 and 4, and what a lossy link may not
 * break.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SyncWorld, tcpFlow } from '../../scripts/sim/worlds/sync-world.ts';

const pair = suite('sync pair');

/** Everything sent, compared and equal. */
function settled(world: SyncWorld): boolean {
  return world.until(() => world.inStep(0) === true && world.inStep(1) === true && world.equal(), 30_000);
}

function steady(world: SyncWorld, flows: number): void {
  world.role(0, true);
  world.role(1, false);
  for (let n = 0; n < flows; n++) world.flow(0, tcpFlow(n));
  // "In step" has an age: the states just made are only spoken of by the next comparison.
  world.run(300);
  assert.ok(
    world.until(() => world.inStep(0) === true && world.inStep(1) === true),
    'in step',
  );
}

pair('states reach the peer, its kernel included, and the pair knows it', () => {
  const world = new SyncWorld(1);
  steady(world, 500);
  const [a, b] = world.nodes;
  assert.is(a.engine.countOf('own'), 500);
  assert.is(b.engine.countOf('mirrored'), 500);
  assert.is(b.kernel.entries.size, 500);
  assert.ok(world.equal());
});

pair('a state that ends at its owner ends at the peer', () => {
  const world = new SyncWorld(2);
  steady(world, 10);
  for (let n = 0; n < 4; n++) world.flow(0, tcpFlow(n), 'destroy');
  world.run(300);
  assert.is(world.nodes[1].engine.countOf('mirrored'), 6);
  assert.is(world.nodes[1].kernel.entries.size, 6);
  assert.is(world.inStep(1), true);
});

pair('loss, delay and reordering lose no state', () => {
  const world = new SyncWorld(3);
  Object.assign(world.link, { loss: 0.2, delay: 2, jitter: 5 });
  world.role(0, true);
  world.role(1, false);
  for (let n = 0; n < 2000; n++) {
    world.flow(0, tcpFlow(n));
    if (n % 20 === 0) world.run(1);
  }
  assert.ok(settled(world));
  assert.is(world.nodes[1].engine.countOf('mirrored'), 2000);
  assert.ok(world.equal());
});

pair('the master dies: the backup adopts all at once and stays able to sync with the returning node', () => {
  const world = new SyncWorld(4);
  steady(world, 300);
  world.nodes[0].alive = false;
  world.run(1500);
  assert.is.not(world.inStep(1), true, 'alone is never in step');
  world.role(1, true);
  world.run(10);
  const b = world.nodes[1];
  assert.is(b.engine.countOf('own'), 300);
  assert.is(b.engine.countOf('mirrored'), 0);
  // The old master returns with an empty table and learns before it may lead.
  const a = world.restart(0);
  world.role(0, false);
  for (let n = 300; n < 320; n++) world.flow(1, tcpFlow(n));
  assert.ok(world.until(() => world.inStep(0) === true));
  assert.is(a.engine.countOf('mirrored'), 320);
  assert.is(a.kernel.entries.size, 320);
});

pair("the master's daemon restarts at once: its connections are lost on neither node", () => {
  for (const successor of [0, 1] as const) {
    const world = new SyncWorld(100 + successor);
    steady(world, 200);
    // kill -9 and a start within the time in which silence counts as alive; the kernel keeps its table.
    const flows = Array.from({ length: 200 }, (_, n) => tcpFlow(n));
    const a = world.restart(0);
    world.dump(0, flows);
    world.role(0, false);
    if (successor === 1) world.role(1, true);
    world.run(800);
    if (successor === 0) world.role(0, true);
    assert.ok(settled(world), `successor ${successor}: in step`);
    const master = world.nodes[successor].engine;
    world.until(() => master.countOf('own') === 200, 3000);
    assert.is(master.countOf('own'), 200, `successor ${successor}: the master owns them all`);
    assert.ok(settled(world), `successor ${successor}: in step in the end`);
    assert.is(world.nodes[successor === 0 ? 1 : 0].engine.countOf('mirrored'), 200);
    assert.is(a.kernel.deleted + world.nodes[1].kernel.deleted, 0, 'no kernel lost an entry');
  }
});

pair('planned hand-over with traffic in the middle leaves no state without an owner', () => {
  for (let seed = 10; seed < 40; seed++) {
    const world = new SyncWorld(seed);
    Object.assign(world.link, {
      delay: 1 + world.chance() * 5,
      jitter: world.chance() * 3,
      loss: world.chance() * 0.1,
    });
    steady(world, 100);
    let n = 100;
    // New states appear on the old master before, while and after the roles change, and on the new one after.
    const busy = (index: 0 | 1, count: number): void => {
      for (let i = 0; i < count; i++) {
        world.flow(index, tcpFlow(n++));
        if (world.chance() < 0.3) world.flow(index, tcpFlow(Math.floor(world.chance() * n)));
        if (world.chance() < 0.3) world.flow(index, tcpFlow(Math.floor(world.chance() * n)), 'destroy');
        world.run(world.chance() * 2);
      }
    };
    busy(0, 10);
    world.role(1, true);
    busy(0, 5);
    world.role(0, false);
    busy(world.chance() < 0.5 ? 0 : 1, 5);
    busy(1, 10);
    assert.ok(settled(world), `seed ${seed}: in step`);
    assert.ok(world.equal(), `seed ${seed}: equal tables`);
    const [a, b] = world.nodes;
    // The word that the old master is none any more may still be on its way.
    world.until(() => a.engine.countOf('own') === 0, 3000);
    assert.is(a.engine.countOf('own'), 0, `seed ${seed}: the backup owns nothing`);
    assert.is(b.engine.countOf('mirrored'), 0, `seed ${seed}: the master mirrors nothing`);
  }
});

pair('both become master at the same moment, then one steps back: every state has exactly one owner', () => {
  for (let seed = 120; seed < 150; seed++) {
    const world = new SyncWorld(seed);
    Object.assign(world.link, { delay: 1 + world.chance() * 4, jitter: world.chance() * 2 });
    steady(world, 60);
    world.role(0, false);
    world.run(world.chance() * 300);
    for (let n = 60; n < 80; n++) world.flow(world.chance() < 0.5 ? 0 : 1, tcpFlow(n));
    world.run(300 + world.chance() * 300);
    // Each still believes that the other is not master: both adopt, and the two messages cross on the way.
    world.role(0, true);
    world.run(world.chance() * 3);
    world.role(1, true);
    world.run(50 + world.chance() * 200);
    world.role(1, false);
    assert.ok(settled(world), `seed ${seed}: in step`);
    world.until(() => world.nodes[0].engine.countOf('own') === 80, 3000);
    assert.is(world.nodes[0].engine.countOf('own'), 80, `seed ${seed}: the master owns all`);
    assert.ok(settled(world), `seed ${seed}: in step in the end`);
  }
});

pair('a cut of the sync link is made good from the stream, without a repair', () => {
  const world = new SyncWorld(50);
  steady(world, 200);
  const repairs = world.nodes[1].driver.state.repairs;
  world.link.up = false;
  for (let n = 200; n < 260; n++) {
    world.flow(0, tcpFlow(n));
    world.flow(0, tcpFlow(n - 200), 'destroy');
    world.run(80);
  }
  assert.is(world.inStep(1), null, 'silent peer: not known');
  world.link.up = true;
  assert.ok(world.until(() => world.inStep(0) === true && world.inStep(1) === true));
  assert.ok(world.equal());
  assert.is(world.nodes[1].driver.state.repairs, repairs);
});

pair('both nodes master while cut off: after the heal one owner and equal tables', () => {
  for (let seed = 60; seed < 80; seed++) {
    const world = new SyncWorld(seed);
    steady(world, 100);
    world.link.up = false;
    world.run(1200);
    world.role(1, true);
    for (let n = 0; n < 30; n++) {
      world.flow(0, tcpFlow(100 + n));
      world.flow(1, tcpFlow(200 + n));
      // The same tuple on both sides, translated differently.
      world.flow(1, { ...tcpFlow(100 + n), natSport: 50_000 + n });
      world.run(10);
    }
    world.link.up = true;
    world.run(50 + world.chance() * 300);
    world.role(1, false);
    assert.ok(settled(world), `seed ${seed}: in step`);
    assert.ok(world.equal(), `seed ${seed}: equal tables`);
    // In step with two owners first; then the master adopts what the other still owns.
    world.until(() => world.nodes[0].engine.countOf('own') === 160, 3000);
    assert.is(world.nodes[0].engine.countOf('own'), 160, `seed ${seed}: what either had is kept`);
    assert.ok(world.equal(), `seed ${seed}: equal after the adoption`);
  }
});

pair('"in step" is never shown while one state differs', () => {
  const world = new SyncWorld(90);
  steady(world, 50);
  // A state vanishes from the mirror behind everybody's back (a bug, a bad bit): the next comparison must show it.
  const b = world.nodes[1];
  b.engine.x.peerBulkBegin();
  while (b.engine.peerBulkEnd(1000) !== 0);
  assert.is(b.engine.countOf('mirrored'), 0);
  assert.ok(
    world.until(() => world.inStep(0) !== true, 400),
    'the difference is seen within a comparison interval',
  );
  assert.ok(
    world.until(() => world.inStep(0) === true && world.inStep(1) === true),
    'and repaired',
  );
  assert.is(b.engine.countOf('mirrored'), 50);
  assert.ok(b.driver.state.repairs > 0);
});

pair('a wrong key on one side: nothing is accepted, everything is counted', () => {
  const world = new SyncWorld(95);
  const other = new SyncWorld(96, Buffer.alloc(32, 8));
  const stranger = other.nodes[1];
  for (const datagram of collect(world)) stranger.driver.receive(datagram, 1000);
  assert.is(stranger.driver.state.open, false);
  assert.ok((stranger.driver.refused.bad_key ?? 0) > 0);
});

function collect(world: SyncWorld): Buffer[] {
  const sent: Buffer[] = [];
  const receive = world.nodes[1].driver.receive.bind(world.nodes[1].driver);
  world.nodes[1].driver.receive = (datagram, now) => {
    sent.push(datagram);
    receive(datagram, now);
  };
  world.run(500);
  return sent;
}

pair('recorded datagrams, given again, change nothing', () => {
  const world = new SyncWorld(97);
  const recorded = [...collect(world)];
  steady(world, 20);
  const b = world.nodes[1];
  const digest = b.engine.digest('mirrored').sum.toString('hex');
  const nonce = b.driver.state.peerNonce;
  for (const datagram of recorded) b.driver.receive(datagram, world.now);
  world.run(500);
  assert.is(b.driver.state.peerNonce, nonce, 'the session goes on');
  assert.is(b.engine.digest('mirrored').sum.toString('hex'), digest);
  assert.ok((b.driver.refused.replayed ?? 0) > 0);
  assert.is(world.inStep(1), true);
});

pair.run();
