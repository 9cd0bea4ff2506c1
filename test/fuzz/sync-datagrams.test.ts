/**
 * Everything that can arrive on the sync link: bytes of strangers, and (worse) well-sealed nonsense of a peer that has
 * gone mad. Nothing throws, nothing grows, the session goes on, and in the end the pair is in step again (invariant 5).
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../scripts/reference/bench-exports.ts';
import { damage, flowOf, recordOf, settles, steadyPair } from '../../scripts/sim/worlds/repair-world.ts';
import { random, SyncWorld, tcpFlow } from '../../scripts/sim/worlds/sync-world.ts';
import { sessionKeys } from '../../src/sync/seal/seal.ts';
import { HEADER_SIZE, KIND_FAST, MSG, message, writeHeader } from '../../src/sync/wire/datagram.ts';

const SEED = Number(process.env.SEED ?? 1);
const fuzz = suite(`sync datagrams (seed ${SEED})`);
const SECRET = Buffer.alloc(32, 7);

function steady(seed: number): SyncWorld {
  const world = new SyncWorld(seed, SECRET);
  world.role(0, true);
  world.role(1, false);
  for (let n = 0; n < 50; n++) world.flow(0, tcpFlow(n));
  world.run(800);
  assert.is(world.inStep(1), true);
  return world;
}

function noise(chance: () => number, most: number): Buffer {
  return Buffer.from(Array.from({ length: Math.floor(chance() * most) }, () => Math.floor(chance() * 256)));
}

fuzz('20,000 datagrams of strangers are counted and change nothing', () => {
  const world = steady(SEED);
  const chance = random(SEED + 1);
  const b = world.nodes[1];
  const recorded: Buffer[] = [];
  const receive = b.driver.receive.bind(b.driver);
  b.driver.receive = (datagram, now) => {
    recorded.push(Buffer.from(datagram));
    receive(datagram, now);
  };
  world.run(300);
  b.driver.receive = receive;
  const digest = b.engine.digest('mirrored').sum.toString('hex');
  const before = Object.values(b.driver.refused).reduce((sum, n) => sum + n, 0);
  for (let i = 0; i < 20_000; i++) {
    const real = recorded[Math.floor(chance() * recorded.length)] ?? Buffer.alloc(0);
    const datagram = chance() < 0.3 ? noise(chance, 1500) : Buffer.from(real);
    // Always at least one byte that is not what a sender sealed.
    if (datagram.length > 0) {
      const at = Math.floor(chance() * datagram.length);
      datagram[at] = (datagram[at] ?? 0) ^ (1 + Math.floor(chance() * 255));
    }
    b.driver.receive(
      chance() < 0.2 ? datagram.subarray(0, Math.floor(chance() * datagram.length)) : datagram,
      world.now,
    );
  }
  const after = Object.values(b.driver.refused).reduce((sum, n) => sum + n, 0);
  assert.is(after - before, 20_000, 'each is counted');
  assert.is(b.engine.digest('mirrored').sum.toString('hex'), digest);
  world.run(500);
  assert.is(world.inStep(1), true);
});

fuzz('10,000 well-sealed datagrams with nonsense inside: no exception, bounded memory', () => {
  const world = steady(SEED + 2);
  const chance = random(SEED + 3);
  const b = world.nodes[1];
  const { ownNonce, peerNonce } = b.driver.state;
  const keys = sessionKeys(SECRET, Buffer.from(peerNonce ?? '', 'hex'), Buffer.from(ownNonce, 'hex'));
  const memory = b.engine.memory.buffer.byteLength;
  let counter = 1_000_000n;
  for (let i = 0; i < 10_000; i++) {
    const body = noise(chance, 200);
    // Mostly a plausible fixed part, so that the messages are looked at, often as the next of the stream.
    if (body.length >= 12 && chance() < 0.9) {
      body.writeUInt32BE(b.driver.state.txAcked, 0);
      body.writeUInt32BE(chance() < 0.7 ? b.driver.state.rxSeq + 1 : Math.floor(chance() * 2 ** 32), 4);
      body.writeUInt16BE(b.driver.state.adoptId, 10);
    }
    // And often a message whose length is right.
    if (body.length >= 20 && chance() < 0.8) {
      body[12] = Math.floor(chance() * 30);
      body.writeUInt16BE(body.length - 15, 13);
    }
    const clear = Buffer.alloc(HEADER_SIZE);
    counter += 1n;
    const mark = Number.parseInt((peerNonce ?? '').slice(0, 8), 16);
    writeHeader(clear, { kind: KIND_FAST, mark, counter });
    b.driver.receive(keys.send.seal(clear, body), world.now);
    if (i % 100 === 0) b.driver.advance(world.now);
  }
  assert.is(bench(b.engine).selfCheck(), 0, 'the table is whole');
  assert.ok(b.engine.memory.buffer.byteLength <= memory + 16 * 2 ** 20, 'memory');
});

/** Some bytes of the message changed, bytes cut off or added; its header stays what it was, its length is right. */
function damagedMessage(bytes: Buffer, chance: () => number): Buffer {
  const content = Buffer.from(bytes.subarray(3));
  for (let i = 0; i < 1 + chance() * 4 && content.length > 0; i++) {
    const at = Math.floor(chance() * (chance() < 0.5 ? Math.min(20, content.length) : content.length));
    content[at] = chance() < 0.3 ? 0xff : Math.floor(chance() * 256);
  }
  const cut = chance() < 0.2 ? content.subarray(0, Math.floor(chance() * content.length)) : content;
  return message(bytes.readUInt8(0), cut);
}

fuzz('repairs whose messages are damaged behind the seal, both ways: bounded, never stuck, equal when it ends', () => {
  for (let round = 0; round < 12; round++) {
    const world = steadyPair(SEED * 100 + round, (round & 1) as 0 | 1, 1000);
    const { chance } = world;
    const mirror = world.nodes[round & 1 ? 0 : 1];
    const memory = world.nodes.map((node) => node.engine.memory.buffer.byteLength);
    const pushes = world.nodes.map((node) => {
      const push = node.driver.outbox.push.bind(node.driver.outbox);
      node.driver.outbox.push = (bytes) => {
        const type = bytes.readUInt8(0);
        const repair = type >= MSG.REPAIR_ASK && type <= MSG.REPAIR_END;
        if (repair && chance() < 0.3) push(damagedMessage(bytes, chance));
        else if (!repair || chance() > 0.05) push(bytes);
        if (repair && chance() < 0.05) push(bytes);
      };
      return push;
    });
    for (let i = 0; i < 8; i++) {
      damage(
        mirror,
        Array.from({ length: 1 + Math.floor(chance() * 200) }, () => {
          const n = Math.floor(chance() * 1000);
          return recordOf(flowOf(n, Math.floor(chance() * 3)), chance() < 0.4);
        }),
      );
      world.run(chance() * 3000, 2);
    }
    world.nodes.forEach((node, i) => {
      node.driver.outbox.push = pushes[i] ?? node.driver.outbox.push;
    });
    assert.ok(settles(world, 60_000), `round ${round}: in step`);
    assert.ok(world.equal());
    assert.is(mirror.engine.countOf('mirrored'), 1000, `round ${round}`);
    world.nodes.forEach((node, i) => {
      assert.is(bench(node.engine).selfCheck(), 0);
      assert.ok(node.engine.memory.buffer.byteLength <= (memory[i] ?? 0) + (2 << 20));
    });
  }
});

fuzz.run();
