/** What a change of roles may cost on the sync link, whatever arrives in which order (invariant 10). */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SyncWorld, tcpFlow } from '../../scripts/sim/worlds/sync-world.ts';

const storm = suite('what a change of roles costs');

const LISTS = { '1/wan': ['203.0.113.1/24'], '11/wan': ['203.0.113.11/24'] };
type Node = 0 | 1;
const STATES = 200;

function tell(world: SyncWorld, index: Node, masterOf: readonly string[]): void {
  const vhids = Object.fromEntries(
    Object.keys(LISTS).map((key) => [key, { state: masterOf.includes(key) ? 'MASTER' : 'BACKUP' }]),
  );
  const report = Buffer.from(JSON.stringify({ master: masterOf.length > 0, vhids, lists: LISTS }));
  world.nodes[index].driver.setRole(masterOf.length > 0, report, world.now);
}

const updates = (world: SyncWorld): number =>
  world.nodes.reduce((sum, { engine }) => sum + engine.counter('tx_records') + engine.counter('tx_bulk_records'), 0);

/** The first node leads both vhids, with connections behind the first. */
function leading(seed: number): SyncWorld {
  const world = new SyncWorld(seed);
  // The other node's claims are still on their way when this one has stopped to lead altogether.
  world.link.delay = 2;
  tell(world, 0, ['1/wan', '11/wan']);
  tell(world, 1, []);
  for (let n = 0; n < STATES; n++) world.flow(0, tcpFlow(n));
  world.run(300);
  assert.ok(world.until(() => world.inStep(0) === true && world.inStep(1) === true && world.equal()));
  return world;
}

for (const apart of [0, 1, 3, 5, 20, 90]) {
  storm(`a hand-over, one vhid ${apart} ms before the other: no state travels more than four times`, () => {
    const world = leading(500 + apart);
    const sent = updates(world);
    tell(world, 1, ['1/wan', '11/wan']);
    world.run(5);
    tell(world, 0, ['11/wan']);
    world.run(apart);
    tell(world, 0, []);
    world.run(1500);
    assert.ok(world.until(() => world.inStep(0) === true && world.inStep(1) === true && world.equal()));
    assert.ok(updates(world) - sent <= 4 * STATES, `${updates(world) - sent} updates for ${STATES} states`);
  });
}

storm.run();
