/**
 * Keys that are renewed while the pair works: those of a session by themselves, the pair's own by its administrator.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SyncWorld, tcpFlow } from '../../scripts/sim/worlds/sync-world.ts';
import { countOf, ReceiveChain, SendChain } from '../../src/sync/seal/key-chain.ts';
import { nodeAead } from '../../src/sync/seal/seal.ts';
import { HEADER_SIZE, KIND_FAST, readHeader, writeHeader } from '../../src/sync/wire/datagram.ts';

const keys = suite('keys of the sealed link');

const OLD = Buffer.alloc(32, 7);
const NEW = Buffer.alloc(32, 8);

function settled(world: SyncWorld): boolean {
  return world.until(() => world.inStep(0) === true && world.inStep(1) === true && world.equal(), 20_000);
}

function steady(world: SyncWorld, flows: number): void {
  world.role(0, true);
  world.role(1, false);
  for (let n = 0; n < flows; n++) world.flow(0, tcpFlow(n));
  world.run(300);
  assert.ok(settled(world), 'in step');
}

/** The epochs that datagrams of one node were seen with at the other. */
function epochsAt(world: SyncWorld, index: 0 | 1): Set<bigint> {
  const seen = new Set<bigint>();
  const { driver } = world.nodes[index];
  const receive = driver.receive.bind(driver);
  driver.receive = (datagram, now) => {
    const header = readHeader(datagram);
    if (typeof header !== 'string' && header.kind === KIND_FAST) seen.add(header.counter >> 48n);
    receive(datagram, now);
  };
  return seen;
}

keys('session keys are renewed again and again: nothing is lost, no session ends, out of order and with loss', () => {
  const world = new SyncWorld(300, OLD, { ms: 400, datagrams: 40 });
  Object.assign(world.link, { loss: 0.1, delay: 2, jitter: 5 });
  const epochs = epochsAt(world, 1);
  steady(world, 50);
  const { peerNonce } = world.nodes[1].driver.state;
  for (let n = 50; n < 350; n++) {
    world.flow(0, tcpFlow(n));
    world.run(10);
  }
  assert.ok(settled(world));
  assert.ok(epochs.size > 8, `${epochs.size} keys were used`);
  assert.is(world.nodes[1].driver.state.peerNonce, peerNonce, 'one and the same session');
  assert.is(world.nodes[1].engine.countOf('mirrored'), 350);
  assert.is(world.nodes[1].driver.state.repairs, 0);
  assert.is(world.nodes[1].driver.refused.bad_seal ?? 0, 0);
});

keys('what was recorded under an older key is refused, as are made-up epochs', () => {
  const world = new SyncWorld(301, OLD, { ms: 1_000_000, datagrams: 20 });
  const recorded: Buffer[] = [];
  const b = world.nodes[1];
  const receive = b.driver.receive.bind(b.driver);
  b.driver.receive = (datagram, now) => {
    recorded.push(Buffer.from(datagram));
    receive(datagram, now);
  };
  steady(world, 20);
  world.run(2000);
  const sum = b.engine.digest('mirrored').sum.toString('hex');
  const refused = (): number => (b.driver.refused.replayed ?? 0) + (b.driver.refused.bad_seal ?? 0);
  const fast = recorded.filter((datagram) => datagram[3] === KIND_FAST);
  for (const datagram of fast) receive(datagram, world.now);
  assert.ok(refused() >= fast.length, `${refused()} of ${fast.length}`);
  const before = refused();
  for (const epoch of [1, 2, 200, 0xffff]) {
    const forged = Buffer.from(fast.at(-1) as Buffer);
    forged.writeBigUInt64BE((BigInt(epoch) << 48n) | 0xffffffn, 8);
    receive(forged, world.now);
  }
  assert.is(refused(), before + 4);
  assert.is(b.engine.digest('mirrored').sum.toString('hex'), sum);
  assert.ok(settled(world));
});

keys('the chain: the key before is good for a while, an epoch cannot be jumped over', () => {
  const first = Buffer.alloc(32, 1);
  const send = new SendChain(first, nodeAead, 0, { ms: 100, datagrams: 1000 });
  const receive = new ReceiveChain(first, nodeAead);
  const datagram = (now: number): { bytes: Buffer; counter: bigint } => {
    const clear = Buffer.alloc(HEADER_SIZE);
    if (send.old(now)) send.renew(now);
    const counter = send.take();
    writeHeader(clear, { kind: KIND_FAST, mark: 1, counter });
    return { bytes: send.seal(clear, Buffer.from(`at ${now}`)), counter };
  };
  const open = ({ bytes, counter }: { bytes: Buffer; counter: bigint }, now: number): string | undefined =>
    receive.open(bytes, counter, now)?.toString();
  const [a, late, tooLate] = [datagram(0), datagram(1), datagram(2)];
  const b = datagram(150);
  assert.equal([countOf(a.counter), countOf(b.counter)], [1n, 4n]);
  assert.is(open(a, 1), 'at 0');
  assert.is(open(b, 150), 'at 150');
  assert.is(open(late, 160), 'at 1', 'overtaken on the way');
  assert.is(open(tooLate, 6000), undefined);
  const skipped = datagram(300);
  const ahead = datagram(500);
  assert.is(open(ahead, 500), undefined, 'two epochs ahead');
  assert.is(open(skipped, 500), 'at 300');
  assert.is(open(ahead, 500), 'at 500');
});

keys(
  "the pair's key is changed on one node after the other: no state is lost, and the new key is used in the end",
  () => {
    const world = new SyncWorld(302, OLD);
    steady(world, 100);
    // The backup begins anew with the new key and takes the old one too; its kernel keeps what it mirrored.
    const flows = Array.from({ length: 100 }, (_, n) => tcpFlow(n));
    world.secrets[1] = [NEW, OLD];
    const b = world.restart(1);
    world.dump(1, flows);
    world.role(1, false);
    assert.ok(settled(world), 'in step with one that has only the old key');
    assert.is(b.engine.countOf('mirrored'), 100);
    // Then the master, which hands over first.
    world.role(1, true);
    world.role(0, false);
    assert.ok(world.until(() => b.engine.countOf('own') === 100));
    world.secrets[0] = [NEW];
    const a = world.restart(0);
    world.dump(0, flows);
    world.role(0, false);
    assert.ok(settled(world), 'in step under the new key');
    assert.equal([a.engine.countOf('mirrored'), b.engine.countOf('own')], [100, 100]);
    // The old one is taken away; who has nothing else is a stranger.
    world.secrets[1] = [NEW];
    world.restart(1);
    world.dump(1, flows);
    world.role(1, true);
    assert.ok(settled(world));
    world.secrets[0] = [OLD];
    world.restart(0);
    world.role(0, false);
    world.run(1500);
    assert.is(world.inStep(1), null);
    assert.is(world.nodes[0].driver.state.open, false);
    assert.ok((world.nodes[0].driver.refused.bad_key ?? 0) > 0);
  },
);

keys('both nodes know both keys, in another order: they come to the same', () => {
  for (const [one, other] of [
    [
      [NEW, OLD],
      [OLD, NEW],
    ],
    [
      [OLD, NEW],
      [NEW, OLD],
    ],
  ] as const) {
    const world = new SyncWorld(303);
    world.secrets[0] = [...one];
    world.secrets[1] = [...other];
    world.restart(0);
    world.restart(1);
    steady(world, 20);
  }
});

keys.run();
