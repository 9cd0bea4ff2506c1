/** Repair by difference between two nodes in virtual time: its cost by cause. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../scripts/reference/bench-exports.ts';
import type { Flow } from '../../scripts/sim/worlds/ct-messages.ts';
import {
  audit,
  damage,
  flowOf,
  lastRepair,
  recordOf,
  settles,
  steadyPair,
} from '../../scripts/sim/worlds/repair-world.ts';
import type { SyncWorld } from '../../scripts/sim/worlds/sync-world.ts';

const repair = suite('sync repair');

const N = 20_000;
const SIZES = [1, 10, 100, 1000];

const rows: string[] = [];

/** A third of the `d` states missing, a third too many, a third changed, spread over the table; from `at` on. */
interface Damage {
  missing: number[];
  stale: number[];
  changed: number[];
}

function spreadOver(d: number): Damage {
  const out: Damage = { missing: [], stale: [], changed: [] };
  for (let i = 0; i < d; i++) {
    const n = (i * 7919 + d) % N;
    if (i % 3 === 0) out.missing.push(n);
    else if (i % 3 === 1) out.stale.push(N + i);
    else out.changed.push(n);
  }
  return out;
}

/** What the mirror's table would hold with this damage. */
function damaged(d: Damage): Flow[] {
  const missing = new Set(d.missing);
  const changed = new Set(d.changed);
  const flows: Flow[] = [];
  for (let n = 0; n < N; n++) if (!missing.has(n)) flows.push(flowOf(n, changed.has(n) ? 7 : 0));
  for (const n of d.stale) flows.push(flowOf(n));
  return flows;
}

/** Symbols at up to twice the published cost (steps, few differences), ids, records, and the fixed part. */
function mostBytes(differences: number, records: number): number {
  return 1600 + differences * 16 * 2 + differences * 8 + records * 30;
}

function checkEnd(
  world: SyncWorld,
  owner: 0 | 1,
  cause: string,
  d: number,
  from: { bytes: number; now: number },
): void {
  const label = `${cause}, owner ${owner}, d ${d}`;
  const mirror = world.nodes[owner === 0 ? 1 : 0];
  assert.ok(settles(world), `${label}: in step`);
  assert.ok(world.equal(), `${label}: equal tables`);
  assert.is(world.nodes[owner].engine.countOf('own'), N, `${label}: the owner has lost nothing`);
  assert.is(mirror.engine.countOf('mirrored'), N, `${label}: the mirror has all`);
  assert.is(bench(world.nodes[0].engine).selfCheck(), 0);
  assert.is(bench(world.nodes[1].engine).selfCheck(), 0);
  const { bytes, ms, differences } = lastRepair(mirror) ?? { bytes: 0, ms: 0, differences: 0 };
  const cells = [cause, owner, d, differences, bytes, world.bytes - from.bytes, ms];
  rows.push(cells.map((cell, i) => String(cell)[i === 0 ? 'padEnd' : 'padStart'](i === 0 ? 34 : 9)).join(' '));
}

for (const owner of [0, 1] as const) {
  const index = owner === 0 ? 1 : 0;

  repair(`hand-made damage on the mirror is repaired by its difference (owner ${owner})`, () => {
    const world = steadyPair(200 + owner, owner, N);
    for (const d of SIZES) {
      const what = spreadOver(d);
      const from = { bytes: world.bytes, now: world.now };
      const mirror = world.nodes[index];
      damage(mirror, [
        ...what.missing.map((n) => recordOf(flowOf(n), true)),
        ...what.stale.map((n) => recordOf(flowOf(n))),
        ...what.changed.map((n) => recordOf(flowOf(n, 7))),
      ]);
      assert.not(world.equal());
      checkEnd(world, owner, 'damage', d, from);
      const result = lastRepair(mirror);
      const differences = what.missing.length + what.stale.length + what.changed.length * 2;
      assert.is(result?.differences, differences);
      assert.ok((result?.bytes ?? 1e9) <= mostBytes(differences, what.missing.length + what.changed.length));
    }
    assert.is(world.nodes[owner].engine.counter('tx_bulk_records'), 0, 'nothing was sent in full');
  });

  repair(`the mirror restarts with a stale kernel table: only the difference travels (owner ${owner})`, () => {
    const world = steadyPair(210 + owner, owner, N);
    for (const d of SIZES) {
      const what = spreadOver(d);
      const from = { bytes: world.bytes, now: world.now };
      const { kernel } = world.nodes[index];
      const mirror = world.restart(index);
      for (const entry of kernel.entries) mirror.kernel.entries.add(entry);
      world.dump(index, damaged(what));
      world.role(index, false);
      checkEnd(world, owner, 'mirror restarts', d, from);
      const differences = what.missing.length + what.stale.length + what.changed.length * 2;
      assert.ok(
        (lastRepair(mirror)?.bytes ?? 1e9) <= mostBytes(differences, what.missing.length + what.changed.length),
      );
      assert.ok(
        world.until(() => mirror.engine.countOf('unclaimed') === 0),
        'what was stale is dropped in the end',
      );
      assert.is(mirror.kernel.deleted, what.stale.length + what.changed.length, 'no living entry left the kernel');
    }
    assert.is(world.nodes[owner].engine.counter('tx_bulk_records'), 0, 'nothing was sent in full');
  });

  repair(`the owner restarts: both have kept the states, only the difference travels (owner ${owner})`, () => {
    const world = steadyPair(220 + owner, owner, N);
    for (const d of SIZES) {
      const what = spreadOver(d);
      const from = { bytes: world.bytes, now: world.now };
      // While it was down states came, went and changed: now the restarted owner's kernel has the truth.
      damage(world.nodes[index], [
        ...what.missing.map((n) => recordOf(flowOf(n), true)),
        ...what.stale.map((n) => recordOf(flowOf(n))),
        ...what.changed.map((n) => recordOf(flowOf(n, 7))),
      ]);
      world.restart(owner);
      world.dump(
        owner,
        Array.from({ length: N }, (_, n) => flowOf(n)),
      );
      world.role(owner, false);
      world.run(100);
      world.role(owner, true);
      checkEnd(world, owner, 'owner restarts', d, from);
      assert.is(world.nodes[owner].engine.counter('tx_bulk_records'), 0, 'nothing was sent in full');
    }
  });

  repair(`lost events, then an audit of the owner: only what it mends travels (owner ${owner})`, () => {
    const world = steadyPair(230 + owner, owner, N);
    for (const d of SIZES) {
      const what = spreadOver(d);
      // The kernel has changed and nobody said so; then it is as before, and again nobody says so.
      for (const flows of [damaged(what), damaged({ missing: [], stale: [], changed: [] })]) {
        const from = { bytes: world.bytes, now: world.now };
        audit(world, owner, flows);
        if (flows.length === N) checkEnd(world, owner, 'lost events + audit', d, from);
        else settles(world);
        assert.ok(world.equal());
      }
    }
    assert.is(world.nodes[owner].engine.counter('tx_bulk_records'), 0, 'nothing was sent in full');
  });
}

repair.after(() => {
  console.log('\n  cause                                 owner        d    diffs    repair  all sent       ms');
  for (const row of rows) console.log(`  ${row}`);
});

repair.run();
