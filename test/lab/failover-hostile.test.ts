/** Malformed and foreign bytes on the wire: counted, and nothing else happens. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isMaster } from '../../scripts/lab/watch.ts';
import type { NodeStatus } from '../../src/contract/status.ts';
import { residentKb } from './lib/kernel.ts';
import { type AdvertFields, advert, CARP, CARP_GROUP, inject, noise, type Packet, SYNC } from './lib/packets.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const hostile = suite('hostile bytes');
let stage: Stage;
prepare(hostile, async () => {
  stage = await setUpStage({ connections: 50 });
});
leaveWhenDone(hostile);
const promise = onStage(hostile, () => stage);

const EACH = 20;
const carp = (fields: AdvertFields, ttl = 255): Packet => ({
  protocol: CARP,
  to: CARP_GROUP,
  ttl,
  bytes: advert(fields),
});
const many = (packet: Packet): Packet[] => Array.from({ length: EACH }, () => packet);
const counter = (status: NodeStatus, name: string): number => status.carp.counters[name] ?? 0;
const refusedSync = (status: NodeStatus | null): number =>
  Object.values(status?.sync?.refused ?? {}).reduce((all, n) => all + n, 0);

async function statusOf(on: Stage, name: 'fw-a' | 'fw-b'): Promise<NodeStatus> {
  const status = await on.pair[name].status();
  assert.ok(status, `${name} answers`);
  return status!;
}

/** Roles, their dates and the connections before and after. */
async function undisturbed(on: Stage, act: () => Promise<void>): Promise<void> {
  const dates = (status: NodeStatus): string[] => status.carp.vips.map((vip) => `${vip.state} ${vip.since}`);
  const before = { a: await statusOf(on, 'fw-a'), b: await statusOf(on, 'fw-b') };
  await on.traffic.mark();
  await act();
  await on.traffic.arm();
  const after = { a: await statusOf(on, 'fw-a'), b: await statusOf(on, 'fw-b') };
  assert.equal(dates(after.a), dates(before.a), 'fw-a kept its states');
  assert.equal(dates(after.b), dates(before.b), 'fw-b kept its states');
  const connections = await on.traffic.worked();
  assert.is(connections.alive, connections.count);
  await on.watch.until('both to be in step', inStep, 15_000);
  assert.ok(isMaster('fw-a')(on.watch.latest) && isBackup('fw-b')(on.watch.latest));
  assert.equal(on.watch.violations, []);
}

const CASES: [counter: string, fields: AdvertFields][] = [
  ['badlen', { length: 12 }],
  ['badsum', { sound: false }],
  ['badvhid', { vhid: 77 }],
  ['badver', { version: 4 }],
  ['badauth', { advskew: 0 }],
];

for (const [name, fields] of CASES) {
  promise(`CARP: ${name} is counted on both nodes, roles stay`, async (on) => {
    await undisturbed(on, async () => {
      const before = { a: await statusOf(on, 'fw-a'), b: await statusOf(on, 'fw-b') };
      assert.is(await inject(on.lab, 'client', many(carp(fields))), EACH);
      const counted = (sample: { 'fw-a': NodeStatus | null; 'fw-b': NodeStatus | null }): boolean =>
        (['a', 'b'] as const).every((end) => {
          const status = sample[`fw-${end}`];
          return status !== null && counter(status, name) >= counter(before[end], name) + EACH;
        });
      await on.watch.until(`${name} to count ${EACH}`, counted, 5000);
    });
  });
}

promise('CARP: an advertisement with TTL 254 comes from behind a router and changes nothing', async (on) => {
  await undisturbed(on, async () => {
    assert.is(await inject(on.lab, 'client', many(carp({}, 254))), EACH);
  });
});

promise('CARP: 500 packets of noise', async (on) => {
  const packets = Array.from({ length: 500 }, (_none, i) => {
    const bytes = noise(`carp ${i}`, 1 + ((i * 37) % 200));
    return { protocol: CARP, to: CARP_GROUP, ttl: 255, bytes };
  });
  await undisturbed(on, async () => {
    assert.is(await inject(on.lab, 'client', packets), 500);
  });
});

promise('sync: noise on the sync link is counted as refused, the session goes on', async (on) => {
  const before = refusedSync(await statusOf(on, 'fw-a'));
  const packets = Array.from({ length: 500 }, (_none, i) => {
    const bytes = noise(`sync ${i}`, 1 + ((i * 53) % 1400));
    return { protocol: SYNC, to: '10.77.3.2', ttl: 255, bytes };
  });
  await undisturbed(on, async () => {
    assert.is(await inject(on.lab, 'fw-b', packets), 500);
    await on.watch.until('fw-a to count refused datagrams', (s) => refusedSync(s['fw-a']) > before, 5000);
  });
});

promise('sync: datagrams that come in over the LAN do not even reach the sync session', async (on) => {
  const before = refusedSync(await statusOf(on, 'fw-a'));
  const packets = ['10.77.1.2', '10.77.3.2'].flatMap((to) =>
    Array.from({ length: 50 }, (_none, i) => ({ protocol: SYNC, to, ttl: 255, bytes: noise(`lan ${i}`, 200) })),
  );
  await undisturbed(on, async () => {
    assert.is(await inject(on.lab, 'client', packets), 100);
  });
  assert.is(refusedSync(await statusOf(on, 'fw-a')), before);
});

promise('20,000 packets of both kinds do not make a node grow', async (on) => {
  const before = residentKb(on.pair['fw-a'].pid!);
  const packets = Array.from({ length: 10_000 }, (_none, i) => ({
    protocol: SYNC,
    to: '10.77.3.2',
    ttl: 255,
    bytes: noise(`flood ${i % 50}`, 400),
  }));
  await undisturbed(on, async () => {
    await inject(on.lab, 'fw-b', packets);
    await inject(
      on.lab,
      'client',
      Array.from({ length: 10_000 }, () => carp({})),
    );
  });
  const grown = residentKb(on.pair['fw-a'].pid!) - before;
  assert.ok(grown < 40_000, `${grown} kB more than before`);
});

hostile.run();
