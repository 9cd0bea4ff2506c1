/** Addresses that somebody takes away: said at once, put back after a wait that grows when it goes on. */
import { mock } from 'node:test';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { VipFaults } from '../../../src/gate/vip-faults.ts';

const faults = suite('virtual addresses taken away');
faults.before.each(() => mock.timers.enable({ apis: ['setTimeout'] }));
faults.after.each(() => mock.timers.reset());

function box(repair: () => string | null = () => null) {
  const said: string[] = [];
  const warned: string[] = [];
  const vips = new VipFaults({
    tell: (key, reason) => said.push(`${key}: ${reason ?? 'whole'}`),
    repair: async () => repair(),
    warn: (message) => warned.push(message),
  });
  return { vips, said, warned };
}

/** Ms until the next thing is said. */
async function wait(said: readonly string[]): Promise<number> {
  const before = said.length;
  for (let ms = 0; ms < 100_000; ms += 500) {
    if (said.length > before) return ms;
    mock.timers.tick(500);
    // What was put back is said in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return Number.POSITIVE_INFINITY;
}

faults('said at once and once, mended after a second, later each time up to a minute', async () => {
  const { vips, said } = box();
  vips.found('lan/2', 'address removed');
  vips.found('lan/2', 'address removed');
  assert.equal(said, ['lan/2: address removed']);
  const waits = [await wait(said)];
  assert.equal(said.at(-1), 'lan/2: whole');
  for (let i = 0; i < 7; i++) {
    vips.found('lan/2', 'again');
    waits.push(await wait(said));
  }
  assert.equal(
    waits,
    [1, 2, 4, 8, 16, 32, 60, 60].map((s) => s * 1000),
  );
});

faults('a repair that fails is said and tried again, later each time; the vhid is not called whole', async () => {
  let tries = 0;
  const { vips, said, warned } = box(() => (++tries < 3 ? 'no such device' : null));
  vips.found('lan/2', 'device deleted');
  assert.is(await wait(said), 1000 + 2000 + 4000);
  assert.equal(warned, ['lan/2: no such device', 'lan/2: no such device']);
  assert.equal(said, ['lan/2: device deleted', 'lan/2: whole']);
});

faults('each vhid has its own wait; closed, nothing is put back any more', async () => {
  const { vips, said } = box();
  vips.found('lan/2', 'gone');
  mock.timers.tick(500);
  vips.found('wan/1', 'gone');
  mock.timers.tick(500);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(said, ['lan/2: gone', 'wan/1: gone', 'lan/2: whole']);
  vips.close();
  assert.is(await wait(said), Number.POSITIVE_INFINITY);
});

faults.run();
