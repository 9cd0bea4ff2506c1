/**
 * Early take-over in virtual time: the real election and the real probe machine on two nodes. The world's own checker
 * (two masters that have heard each other) runs after every step.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Node, seeded, World } from '../../scripts/sim/worlds/carp-world.ts';
import { type Careless, ProbeNet } from '../../scripts/sim/worlds/probe-net.ts';
import type { GroupConfig, VhidConfig } from '../../src/carp/types.ts';

const test = suite('early take-over');
const MS = 1000;
const SECOND = 1_000_000;
const KEYS = ['wan/1', 'lan/1'] as const;

function config(index: number, advbase = 1): GroupConfig {
  const vip = (role: string): VhidConfig => ({
    key: `${role}/1`,
    vhid: 1,
    interface: role,
    advbase,
    advskew: index * 100,
    v4: true,
    v6: false,
    ownAddress: `10.0.0.${index + 1}`,
  });
  return { preempt: true, startHoldUs: 0, vips: [vip('wan'), vip('lan')], early: true };
}

interface Pair {
  world: World;
  net: ProbeNet;
  a: Node;
  b: Node;
}

/** Two nodes in step for five seconds, a is master. */
function pair(options: { seed?: number; loss?: number; careless?: Careless; blind?: boolean } = {}): Pair {
  const world = new World(seeded(options.seed ?? 1), { delayUs: 300, jitterUs: 200, loss: options.loss ?? 0 });
  const a = world.addNode(config(0));
  const b = world.addNode(config(1));
  world.startSync();
  world.boot(a, 0);
  world.boot(b, 0);
  const net = new ProbeNet(world, options.careless ?? null, options.blind ?? false);
  run(world, 5 * SECOND);
  leads(world, a);
  return { world, net, a, b };
}

function run(world: World, us: number): void {
  world.runUntil(world.now + us);
  assert.equal(world.problems, [], world.log.join('\n'));
}

function leads(world: World, node: Node): void {
  for (const key of KEYS) {
    assert.equal(
      world.holders(key).map((n) => n.index),
      [node.index],
      world.log.join('\n'),
    );
  }
}

/** Ms until a node is master of everything. */
function until(world: World, node: Node, within = 5000): number {
  const begun = world.now;
  while (world.now - begun < within * MS) {
    if (KEYS.every((key) => node.state.vhids[key]?.state === 'MASTER')) break;
    run(world, MS);
  }
  return (world.now - begun) / MS;
}

test('power-off with a direct sync cable: the carrier tells, under 100 ms', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { world, net, a, b } = pair({ seed });
    world.kill(a);
    net.setSync(false, true);
    const ms = until(world, b);
    assert.ok(ms < 100, `seed ${seed}: ${ms} ms`);
  }
});

test('power-off that only silence tells: under 500 ms', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { world, a, b } = pair({ seed });
    world.kill(a);
    const ms = until(world, b);
    assert.ok(ms < 500, `seed ${seed}: ${ms} ms`);
  }
});

for (const carrier of [true, false]) {
  test(`the sync link alone is cut (${carrier ? 'its carrier tells' : 'silently'}): nobody takes over, ever`, () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { world, net, a } = pair({ seed });
      net.setSync(false, carrier);
      run(world, 60 * SECOND);
      leads(world, a);
      assert.is(net.said.filter((text) => text.includes(' alive ')).length, 2, net.said.join('\n'));
      assert.is(
        net.said.some((text) => text.includes(' dead ')),
        false,
      );
    }
  });
}

for (const role of ['wan', 'lan']) {
  test(`the sync link and one path (${role}, silently): still nobody is declared dead`, () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { world, net, a } = pair({ seed });
      a.cut.add(role);
      net.setSync(false, true);
      run(world, SECOND);
      assert.is(
        net.said.some((text) => text.includes(' dead ')),
        false,
        net.said.join('\n'),
      );
    }
  });
}

test('lossy networks (20 %): a living master is not declared dead when the sync link goes', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { world, net } = pair({ seed, loss: 0.2 });
    net.setSync(false, true);
    run(world, 150 * MS);
    assert.is(
      net.said.some((text) => text.includes(' dead ')),
      false,
      `seed ${seed}`,
    );
  }
});

test('a backup whose own cables are all out declares nobody dead', () => {
  const { world, net, a, b } = pair();
  world.setLink(b, 'wan', false);
  world.setLink(b, 'lan', false);
  net.setSync(false, true);
  run(world, 10 * SECOND);
  leads(world, a);
  assert.is(
    net.said.some((text) => text.startsWith('1 dead')),
    false,
  );
});

test('a master that paused is replaced, and there is one master one advert after it wakes', () => {
  for (let seed = 1; seed <= 60; seed++) {
    for (const ms of [300, 450, 700, 1500, 2900]) {
      const { world, a, b } = pair({ seed });
      world.pause(a, ms * MS);
      world.runUntil(world.now + ms * MS - 1);
      const replaced = KEYS.every((key) => b.state.vhids[key]?.state === 'MASTER');
      if (ms >= 450) assert.ok(replaced, `${ms} ms: ${world.log.join('\n')}`);
      world.runUntil(world.now + 1005 * MS);
      assert.equal(world.problems, [], world.log.join('\n'));
      for (const key of KEYS)
        assert.is(world.holders(key).length, 1, `seed ${seed}, ${ms} ms\n${world.log.join('\n')}`);
    }
  }
});

test('a master that sleeps too long to stay and too short to be dead: somebody leads within 150 ms after it wakes', () => {
  for (let seed = 1; seed <= 8; seed++) {
    for (let ms = 260; ms <= 480; ms += 20) {
      const { world, a } = pair({ seed });
      world.pause(a, ms * MS);
      world.runUntil(world.now + (ms + 150) * MS);
      for (const key of KEYS)
        assert.is(world.holders(key).length, 1, `seed ${seed}, ${ms} ms, ${key}\n${world.log.join('\n')}`);
      run(world, 10 * SECOND);
      leads(world, a);
    }
  }
});

test('a backup that paused finds its master alive, whatever it missed', () => {
  for (let seed = 1; seed <= 60; seed++) {
    for (const ms of [200, 300, 500, 1200, 2500]) {
      const { world, net, a, b } = pair({ seed });
      world.pause(b, ms * MS);
      run(world, (ms + 2000) * MS);
      leads(world, a);
      assert.is(
        net.said.some((text) => text.includes('1 dead')),
        false,
        `seed ${seed}, ${ms} ms\n${world.log.join('\n')}`,
      );
    }
  }
});

test('chaos: cables and pauses at random, 200 stories; two masters that hear each other never stay', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { world, net, a, b } = pair({ seed, loss: 0.01 });
    for (let step = 0; step < 12; step++) {
      disturb(world, net, world.random() < 0.5 ? a : b);
      world.runUntil(world.now + Math.floor(world.random() * 2 * SECOND));
      assert.equal(world.problems, [], `seed ${seed}\n${world.log.join('\n')}`);
    }
    for (const node of [a, b]) {
      node.cut.clear();
      for (const role of [...node.linkDown]) world.setLink(node, role, true);
    }
    net.setSync(true, true);
    run(world, 90 * SECOND);
    leads(world, a);
  }
});

function disturb(world: World, net: ProbeNet, node: Node): void {
  const role = world.random() < 0.5 ? 'wan' : 'lan';
  const what = world.random();
  if (what < 0.25) net.setSync(!world.syncUp, world.random() < 0.5);
  else if (what < 0.5) world.setLink(node, role, node.linkDown.has(role));
  else if (what < 0.7) world.pause(node, Math.floor(world.random() * 2 * SECOND));
  else if (node.cut.has(role)) node.cut.delete(role);
  else node.cut.add(role);
}

test('negative control: if a path counted that never answered, one broken cable would make two masters', () => {
  const stories = (careless: Careless): boolean => {
    const { world, net, a } = pair({ careless, blind: true });
    let two = false;
    world.watch = () => {
      two ||= KEYS.some((key) => world.holders(key).length > 1);
    };
    run(world, 300 * MS); // between two advertisements
    net.setSync(false, true);
    run(world, 2 * SECOND);
    leads(world, a);
    return two;
  };
  assert.is(stories(null), false);
  assert.is(stories('unproven'), true);
});

test('negative control: if a kernel that answers ping were a proof of life, a hung daemon would stay master', () => {
  const hung = (careless: Careless): number => {
    const { world, a, b } = pair({ careless });
    world.pause(a, 60 * SECOND);
    return until(world, b, 10_000);
  };
  assert.ok(hung(null) < 500);
  assert.ok(hung('ping') > 2000);
});

test.run();
