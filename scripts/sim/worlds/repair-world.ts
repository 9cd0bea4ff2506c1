/**
 * What the simulations of repairs share: a pair in step with many states, ways to make its tables differ, what it cost.
 */
import type { Flow } from './ct-messages.ts';
import { ctMessage, STATUS } from './ct-messages.ts';
import type { Node } from './sync-world.ts';
import { SyncWorld } from './sync-world.ts';

const CONFIRMED = STATUS.confirmed | STATUS.seenReply | STATUS.assured;

/** TCP connection number `n` (up to 2^24) through source NAT; `version` changes what both nodes must agree on. */
export function flowOf(n: number, version = 0): Flow {
  return {
    proto: 6,
    src: `10.${(n >> 16) & 0xff}.${(n >> 8) & 0xff}.${n & 0xff}`,
    dst: '198.51.100.80',
    sport: 1024 + (n % 60000),
    dport: 443,
    natSrc: '203.0.113.1',
    natSport: 1024 + ((n + version) % 64000),
    status: CONFIRMED,
    tcpState: 3,
  };
}

function address(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

function port(value: number | undefined): Buffer {
  return Buffer.from([(value ?? 0) >> 8, (value ?? 0) & 0xff]);
}

/** The flow as a record of the sync link (asm/peer/wire.ts); `end`: its delete. */
export function recordOf(flow: Flow, end = false): Buffer {
  const key = [address(flow.src), address(flow.dst), port(flow.sport), port(flow.dport)];
  if (end) return Buffer.concat([Buffer.from([0x01, flow.proto]), ...key]);
  const nat = [address(flow.natSrc ?? flow.src), port(flow.natSport)];
  return Buffer.concat([Buffer.from([0x88, flow.proto]), ...key, Buffer.from([0x06]), ...nat, Buffer.from([3])]);
}

/** Events in batches, as the dataplane takes them. */
export function feed(world: SyncWorld, index: 0 | 1, flows: readonly Flow[], kind: 'new' | 'destroy' = 'new'): void {
  const { engine, driver } = world.nodes[index];
  const { offset } = engine.areas.netlink;
  flows.forEach((flow, i) => {
    const bytes = ctMessage(flow, kind);
    new Uint8Array(engine.memory.buffer).set(bytes, offset);
    engine.takeEvents(offset, bytes.length);
    if (i % 1000 === 999) {
      driver.flush(world.now);
      world.run(2);
    }
  });
  driver.flush(world.now);
}

/** A dump of the node's kernel shows exactly these flows; what was not known is its own. */
export function audit(world: SyncWorld, index: 0 | 1, flows: readonly Flow[]): void {
  const { engine, driver } = world.nodes[index];
  engine.dumpBegin(false);
  const { offset } = engine.areas.netlink;
  for (const flow of flows) {
    const bytes = ctMessage(flow, 'new');
    new Uint8Array(engine.memory.buffer).set(bytes, offset);
    engine.takeDump(offset, bytes.length);
  }
  while (engine.dumpEnd(4000) !== 0);
  driver.flush(world.now);
}

/** The peer's records reach the table behind everybody's back: what is applied was never sent. */
export function damage(node: Node, records: readonly Buffer[]): void {
  for (const record of records) node.engine.applyUpdates(record, false);
  node.kernel.apply(Buffer.alloc(0));
}

export function bothInStep(world: SyncWorld): boolean {
  return world.inStep(0) === true && world.inStep(1) === true;
}

/** Runs until both nodes say that they are in step *after* this moment; false when they do not. */
export function settles(world: SyncWorld, ms = 30_000): boolean {
  const from = world.now;
  const fresh = (index: 0 | 1): boolean => {
    const { ownCompared, mirroredCompared } = world.nodes[index].driver.state;
    return (ownCompared?.at ?? 0) > from && (mirroredCompared?.at ?? 0) > from;
  };
  return world.until(() => fresh(0) && fresh(1) && bothInStep(world), ms);
}

/** A pair in step: `owner` is master and owns flows 0 to n - 1. */
export function steadyPair(seed: number, owner: 0 | 1, n: number): SyncWorld {
  const world = new SyncWorld(seed);
  world.role(owner, true);
  world.role(owner === 0 ? 1 : 0, false);
  world.run(20);
  feed(
    world,
    owner,
    Array.from({ length: n }, (_, i) => flowOf(i)),
  );
  if (!settles(world)) throw new Error('the pair does not get in step');
  return world;
}

/** Differences, bytes and ms of the last `sync.repaired` of this node, or null. */
export function lastRepair(node: Node): { differences: number; bytes: number; ms: number } | null {
  const line = node.events.findLast((event) => event.startsWith('sync.repaired '));
  return line === undefined ? null : JSON.parse(line.slice('sync.repaired '.length));
}
