/**
 * What a cut sync cable costs when it is back: no datagrams of the dark time, and no waiting for timers that it made
 * long.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SyncWorld, tcpFlow } from '../../scripts/sim/worlds/sync-world.ts';

const cable = suite('cut sync cable');

const BEHIND = 300;

/** Two nodes in step, then cut until both miss each other, with states that only the master has. */
function cut(seed: number, seen: boolean): SyncWorld {
  const world = new SyncWorld(seed);
  world.role(0, true);
  world.role(1, false);
  for (let n = 0; n < 100; n++) world.flow(0, tcpFlow(n));
  world.run(300);
  assert.ok(world.until(() => world.inStep(0) === true && world.inStep(1) === true));
  world.link.up = false;
  if (seen) carrier(world, false);
  for (let n = 100; n < 100 + BEHIND; n++) world.flow(0, tcpFlow(n));
  world.run(5000);
  assert.not(world.nodes[0].driver.state.alive);
  return world;
}

function carrier(world: SyncWorld, up: boolean): void {
  for (const { driver } of world.nodes) driver.setCarrier(up, world.now);
}

/** Milliseconds from the cable's return until both know that they are in step. */
function recovery(world: SyncWorld, seen: boolean): number {
  const begun = world.now;
  world.link.up = true;
  if (seen) carrier(world, true);
  assert.ok(world.until(() => world.inStep(0) === true && world.inStep(1) === true && world.equal()));
  assert.is(world.nodes[1].kernel.entries.size, 100 + BEHIND);
  return world.now - begun;
}

cable('without a carrier nothing is given to the link', () => {
  const world = cut(1, true);
  const before = world.bytes;
  world.run(5000);
  assert.is(world.bytes, before);
});

cable('negative control: a cut that no carrier tells of is spoken into', () => {
  const world = cut(1, false);
  const before = world.bytes;
  world.run(5000);
  assert.ok(world.bytes > before);
});

cable('when the carrier is back the pair is in step before the next heartbeat would have been due', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const ms = recovery(cut(seed, true), true);
    assert.ok(ms < 90, `seed ${seed}: ${ms} ms`);
  }
});

cable('a cut without loss of carrier costs a heartbeat, not the long timer that silence has made', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const ms = recovery(cut(seed, false), false);
    assert.ok(ms < 200, `seed ${seed}: ${ms} ms`);
  }
});

cable.run();
