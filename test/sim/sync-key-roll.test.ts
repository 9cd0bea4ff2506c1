/**
 * The pair's key is changed on one running node after the other: the session goes on, and nothing of the old key is
 * left.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SyncWorld, tcpFlow } from '../../scripts/sim/worlds/sync-world.ts';
import { HELD_MS } from '../../src/sync/dialect/carpio/key-roll.ts';
import { type KeyLife, ReceiveChain, SendChain } from '../../src/sync/seal/key-chain.ts';
import { PairKeys, secretId } from '../../src/sync/seal/pair-keys.ts';
import { helloKey, nodeAead, sessionSecrets } from '../../src/sync/seal/seal.ts';
import { HEADER_SIZE, KIND_FAST, KIND_HELLO, NONCE_SIZE, writeHeader } from '../../src/sync/wire/datagram.ts';

const roll = suite("change of the pair's key");

const OLD = Buffer.alloc(32, 7);
const NEW = Buffer.alloc(32, 8);
const FLOWS = 40;

function pair(seed: number, life?: KeyLife): SyncWorld {
  const world = new SyncWorld(seed, OLD, life);
  world.role(0, true);
  world.role(1, false);
  for (let n = 0; n < FLOWS; n++) world.flow(0, tcpFlow(n));
  assert.ok(inStep(world), 'in step');
  return world;
}

const inStep = (world: SyncWorld): boolean =>
  world.until(() => world.inStep(0) === true && world.inStep(1) === true && world.equal(), 20_000);

const setKeys = (world: SyncWorld, index: 0 | 1, ...secrets: Buffer[]): void =>
  world.nodes[index].driver.setKeys(secrets, world.now);

/** What a node has said of the keys. */
const said = (world: SyncWorld, index: 0 | 1): string[] =>
  world.nodes[index].events
    .filter((line) => line.startsWith('sync.key '))
    .map((line) => (JSON.parse(line.slice('sync.key '.length)) as { state: string }).state);

/** Datagrams that reach this node, from now on. */
function record(world: SyncWorld, index: 0 | 1): Buffer[] {
  const recorded: Buffer[] = [];
  const { driver } = world.nodes[index];
  const receive = driver.receive.bind(driver);
  driver.receive = (datagram, now) => {
    recorded.push(Buffer.from(datagram));
    receive(datagram, now);
  };
  return recorded;
}

const under = (world: SyncWorld, index: 0 | 1): (string | null)[] => {
  const { outbox } = world.nodes[index].driver;
  return [outbox.under];
};

for (const order of [[0, 1] as const, [1, 0] as const]) {
  roll(`node ${order[0]} first: no session ends, in step all the time, then only the new key counts`, () => {
    const world = pair(400 + order[0]);
    const nonces = world.nodes.map(({ driver }) => driver.state.ownNonce);
    const [first, second] = order;
    const recorded = record(world, second);
    let everDiffered = false;
    const go = (ms: number, from: number): void => {
      for (let i = 0; i < ms; i++) {
        if (i % 10 === 0) world.flow(0, tcpFlow(from + i));
        world.run(1);
        everDiffered ||= world.inStep(0) !== true || world.inStep(1) !== true;
      }
    };
    setKeys(world, first, NEW, OLD);
    go(3000, 1000);
    assert.equal(said(world, first), ['differs'], 'named on the one that is changed');
    assert.equal(said(world, second), ['differs'], 'and on the other');
    assert.equal([under(world, 0), under(world, 1)], [[secretId(OLD)], [secretId(OLD)]]);
    setKeys(world, second, NEW, OLD);
    go(3000, 5000);
    assert.equal([under(world, 0), under(world, 1)], [[secretId(NEW)], [secretId(NEW)]]);
    assert.equal([said(world, first).at(-1), said(world, second).at(-1)], ['same', 'same']);
    for (const index of order) setKeys(world, index, NEW);
    const before = recorded.length;
    go(2000, 9000);
    assert.equal(
      world.nodes.map(({ driver }) => driver.state.ownNonce),
      nonces,
      'one and the same session',
    );
    assert.not.ok(everDiffered, 'never out of step');
    assert.is(world.nodes[1].driver.state.repairs + world.nodes[0].driver.state.repairs, 0);
    assert.is(said(world, first).length, 2, 'nothing more is said');
    refusesTheOld(world, second, recorded.slice(0, before));
  });
}

/** Everything recorded while the old key counted is refused, and so is who has that key. */
function refusesTheOld(world: SyncWorld, index: 0 | 1, all: readonly Buffer[]): void {
  const clear = HEADER_SIZE + NONCE_SIZE;
  const byNew = (datagram: Buffer): boolean =>
    datagram[3] === KIND_HELLO && helloKey(NEW, datagram.subarray(HEADER_SIZE, clear)).open(datagram, clear) !== null;
  const recorded = all.filter((datagram) => !byNew(datagram));
  world.run(6000); // the last key's grace is over
  const { driver, engine } = world.nodes[index];
  const count = (): number => Object.values(driver.refused).reduce((sum, n) => sum + n, 0);
  const digest = engine.digest('mirrored').sum.toString('hex');
  const at = count();
  for (const datagram of recorded) driver.receive(datagram, world.now);
  assert.is(count() - at, recorded.length);
  assert.is(engine.digest('mirrored').sum.toString('hex'), digest);
  const hellos = recorded.filter((datagram) => datagram[3] === KIND_HELLO);
  assert.ok(hellos.length > 0, 'HELLOs under the old key among them');
  assert.ok(inStep(world));
}

roll('a lossy, jittery link: it goes over all the same, also while session keys are renewed all the time', () => {
  const world = pair(410, { ms: 300, datagrams: 50 });
  Object.assign(world.link, { loss: 0.2, delay: 2, jitter: 6 });
  const { ownNonce } = world.nodes[0].driver.state;
  setKeys(world, 1, NEW, OLD);
  world.run(2000);
  setKeys(world, 0, NEW, OLD);
  const over = (): boolean =>
    world.nodes.every(({ driver }) => driver.outbox.under === secretId(NEW)) &&
    said(world, 0).at(-1) === 'same' &&
    said(world, 1).at(-1) === 'same';
  assert.ok(world.until(over, 20_000));
  for (const index of [0, 1] as const) setKeys(world, index, NEW);
  world.run(3000);
  assert.ok(inStep(world));
  assert.is(world.nodes[0].driver.state.ownNonce, ownNonce);
  assert.is(world.nodes[0].driver.refused.bad_seal ?? 0, 0);
});

roll('both at once, and back again on one', () => {
  const world = pair(411);
  for (const index of [0, 1] as const) setKeys(world, index, NEW, OLD);
  world.run(2000);
  assert.equal([said(world, 0).at(-1), said(world, 1).at(-1)], ['same', 'same']);
  for (const index of [0, 1] as const) setKeys(world, index, NEW);
  setKeys(world, 0, OLD, NEW);
  world.run(3000);
  assert.ok(inStep(world));
  assert.equal(under(world, 0), [secretId(NEW)], 'the other does not have the old one any more');
  assert.is(said(world, 0).at(-1), 'differs');
  setKeys(world, 1, OLD, NEW);
  world.run(3000);
  assert.equal([under(world, 0), under(world, 1)], [[secretId(OLD)], [secretId(OLD)]]);
});

roll('another key on one node: said by name on both, and in step again when it is mended', () => {
  const world = pair(412);
  world.secrets[1] = [NEW];
  world.restart(1);
  world.role(1, false);
  world.run(4000);
  assert.equal([said(world, 0).at(-1), said(world, 1).at(-1)], ['other', 'other']);
  assert.match(world.nodes[0].events.join('\n'), 'the peer uses another key');
  setKeys(world, 0, NEW, OLD);
  assert.ok(inStep(world));
  world.run(500);
  assert.equal([said(world, 0).at(-1), said(world, 1).at(-1)], ['same', 'same']);
});

roll('negative control: a stranger beside a pair that hears each other is counted, not said', () => {
  const world = pair(413);
  const stranger = new SyncWorld(414, NEW);
  for (let i = 0; i < 30; i++) {
    stranger.run(100);
    const heard = record(stranger, 1);
    stranger.run(100);
    for (const datagram of heard) world.nodes[0].driver.receive(datagram, world.now);
    world.run(100);
  }
  assert.equal(said(world, 0), []);
});

roll('nobody comes over: after its time the key that was replaced is refused, with what ran under it', () => {
  const world = pair(415);
  setKeys(world, 0, NEW, OLD);
  world.run(500);
  world.link.up = false;
  world.run(HELD_MS + 5000, 100);
  assert.is(said(world, 0).at(-1), 'expired');
  setKeys(world, 0, NEW);
  world.link.up = true;
  world.run(4000);
  assert.is(world.nodes[0].driver.state.open, false, 'the session under the old key is over');
  assert.equal([said(world, 0).at(-1), said(world, 1).at(-1)], ['other', 'other']);
  setKeys(world, 1, NEW, OLD);
  assert.ok(inStep(world));
});

roll('a cut for many lives of a session key: the same session goes on', () => {
  const world = pair(416, { ms: 300, datagrams: 1000 });
  const { ownNonce } = world.nodes[1].driver.state;
  world.link.up = false;
  world.run(5000);
  world.link.up = true;
  assert.ok(inStep(world));
  assert.is(world.nodes[1].driver.state.ownNonce, ownNonce);
});

roll('who has the old key and the begin of the session cannot follow', () => {
  const [own, peer] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
  const { send } = sessionSecrets(OLD, own, peer);
  const sender = new SendChain(send, nodeAead, 0, undefined, secretId(OLD));
  const keys = new PairKeys([NEW, OLD]);
  const friend = new ReceiveChain(send, nodeAead, secretId(OLD), (id) => keys.mixes(id));
  const thief = new ReceiveChain(send, nodeAead, secretId(OLD), (id) => new PairKeys([OLD]).mixes(id));
  const datagram = (): { bytes: Buffer; counter: bigint } => {
    const clear = Buffer.alloc(HEADER_SIZE);
    const counter = sender.take();
    writeHeader(clear, { kind: KIND_FAST, mark: 1, counter });
    return { bytes: Buffer.from(sender.seal(clear, Buffer.from('text'))), counter };
  };
  const open = (chain: ReceiveChain): boolean => {
    const { bytes, counter } = datagram();
    return chain.open(bytes, counter, 0) !== null;
  };
  assert.ok(open(thief), 'the control: so far he can');
  assert.ok(open(friend));
  sender.renew(0, keys.mixes(secretId(OLD))[0]);
  assert.ok(open(friend));
  assert.is(friend.under, secretId(NEW));
  assert.not.ok(open(thief));
  sender.renew(0);
  assert.ok(open(friend), 'plain steps follow');
});

roll.run();
