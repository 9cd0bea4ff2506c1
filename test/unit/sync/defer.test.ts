/** When a held first answer goes: acknowledged, too late, nobody to wait for; and the tuple that it answers. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { HeldPacket } from '../../../src/kernel/defer-queue.ts';
import { tupleAnswered } from '../../../src/kernel/defer-tuple.ts';
import { Defer } from '../../../src/sync/worker/defer.ts';

const defer = suite('defer');

function scene() {
  const world = {
    packets: [] as HeldPacket[],
    released: [] as number[],
    told: 0,
    counts: {} as Record<string, number>,
    dirty: false,
    connection: Buffer.alloc(20) as Buffer | null,
    stream: { sent: 7, acked: 7 } as { sent: number; acked: number } | null,
  };
  const queue = {
    fd: 0,
    receive: () => world.packets.splice(0),
    connection: () => world.connection,
    release: (id: number) => void world.released.push(id),
    close: () => {},
  };
  const it = new Defer(queue, 20, {
    connection: () => {
      world.dirty = true;
    },
    takeEvents: () => {},
    flush: () => {
      if (!world.dirty || world.stream === null) return;
      world.dirty = false;
      world.stream.sent += 1;
      world.told += 1;
    },
    drained: () => !world.dirty,
    stream: () => world.stream,
    count: (name) => {
      world.counts[name] = (world.counts[name] ?? 0) + 1;
    },
  });
  const arrive = (...ids: number[]) => void world.packets.push(...ids.map((id) => ({ id, head: Buffer.alloc(0) })));
  return { world, it, arrive };
}

defer('a packet waits for the acknowledgement of its own connection, not of what was sent before', () => {
  const { world, it, arrive } = scene();
  arrive(1);
  it.step(0);
  assert.is(world.told, 1);
  assert.equal(world.released, []);
  world.stream = { sent: 8, acked: 7 };
  it.step(5);
  assert.equal(world.released, []);
  arrive(2);
  it.step(6);
  world.stream.acked = 8;
  it.step(7);
  assert.equal(world.released, [1]);
  world.stream.acked = 9;
  it.step(8);
  assert.equal(world.released, [1, 2]);
  assert.equal(world.counts, {});
});

defer('after its time it goes, counted; and the loop is woken for that', () => {
  const { world, it, arrive } = scene();
  arrive(1);
  it.step(100);
  assert.is(it.deadline(), 120);
  it.step(119);
  assert.equal(world.released, []);
  it.step(120);
  assert.equal([world.released, world.counts], [[1], { defer_late: 1 }]);
  assert.is(it.deadline(), Number.POSITIVE_INFINITY);
});

defer('without a peer nothing waits, neither what comes nor what waits already', () => {
  const { world, it, arrive } = scene();
  arrive(1);
  it.step(0);
  world.stream = null;
  arrive(2, 3);
  it.step(1);
  assert.equal(world.released, [3]);
  assert.equal(world.counts, {});
});

defer('an answer whose connection is not found, or is not synced, does not wait', () => {
  const { world, it, arrive } = scene();
  world.connection = null;
  arrive(1);
  it.step(0);
  assert.equal([world.released, world.counts], [[1], { defer_unknown: 1 }]);
});

const v4 = (protocol: number, more = Buffer.of(0, 53, 0x9c, 0x40)): Buffer =>
  Buffer.concat([Buffer.of(0x45, 0, 0, 60, 0, 0, 0, 0, 64, protocol, 0, 0, 203, 0, 113, 10, 10, 77, 1, 10), more]);

defer('the tuple is the answer turned round, in both families', () => {
  const found = tupleAnswered(v4(17));
  assert.is(found?.family, 2);
  const hex = [
    '14000180' + '08000100' + '0a4d010a' + '08000200' + 'cb00710a',
    '1c000280' + '05000100' + '11000000' + '06000200' + '9c400000' + '06000300' + '00350000',
  ];
  assert.is(found?.tuple.toString('hex'), hex.join(''));
  const v6 = Buffer.alloc(48);
  v6[0] = 0x60;
  v6[6] = 6;
  assert.is(tupleAnswered(v6)?.family, 10);
});

defer('cut short, a later fragment, without ports: none', () => {
  assert.is(tupleAnswered(v4(1)), null);
  assert.is(tupleAnswered(v4(6, Buffer.of(0, 53))), null);
  const fragment = v4(17);
  fragment[7] = 8;
  assert.is(tupleAnswered(fragment), null);
  for (let length = 0; length < 44; length++) assert.not.throws(() => tupleAnswered(v4(6).subarray(0, length)));
  assert.is(tupleAnswered(Buffer.alloc(64)), null);
});

defer.run();
