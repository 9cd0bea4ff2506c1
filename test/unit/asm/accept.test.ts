/**
 * A peer that holds the key and has turned against this node hands over states of its own making: which of them enter
 * the kernel. They stay in the table, or the digests could never be equal.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import type { Taken } from '../../../scripts/reference/ctmsg.ts';
import { destroy, event, kernelOutput, makeEngine, syncOutput } from '../../../scripts/reference/harness.ts';
import { inverse, type State, TCP } from '../../../scripts/reference/state.ts';
import { encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import { parseIp } from '../../../src/net/ip.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';

const test = suite("engine: which of the peer's states enter the kernel");

const ip = (text: string): Uint8Array => parseIp(text) ?? new Uint8Array();
const VIRTUAL = '203.0.113.1';
const OWN = '192.168.1.2';

/** From a client to a server; `nat` changes the reply tuple. */
function state(from: string, to: string, nat: { src?: string; dst?: string } = {}): State {
  const family = from.includes(':') ? 10 : 2;
  const orig = { src: ip(from), dst: ip(to), sport: 4000, dport: 22 };
  const reply = inverse({ family, proto: TCP, orig });
  if (nat.src !== undefined) reply.src = ip(nat.src);
  if (nat.dst !== undefined) reply.dst = ip(nat.dst);
  return {
    ...{ family, proto: TCP, zone: 0, orig, reply, status: 0xe, mark: 0, l4: 3 },
    ...{ wscale: [0, 0], flags: [0, 0], vtags: null, timeout: 100 },
  };
}

const kinds = (messages: Taken[]): string =>
  messages.map((m) => ((m.type & 0xff) === 2 ? 'delete' : m.flags & 0x400 ? 'create' : 'update')).join(' ');

const local = [VIRTUAL, OWN, 'fe80::1', '2001:db8::1'];

/** What the kernel gets of one state of the peer's. */
function written(engine: Engine, one: State): string {
  engine.applyUpdates(encodeUpdate(one), false);
  const messages = kinds(kernelOutput(engine));
  assert.is(bench(engine).selfCheck(), 0);
  return messages;
}

test('a hole to this node itself stays out, and neither digest nor "missing" shows it', () => {
  const holes = [
    state('198.51.100.66', OWN),
    state('198.51.100.66', VIRTUAL),
    state('198.51.100.66', VIRTUAL, { src: OWN }),
    state('198.51.100.66', '192.0.2.9', { src: VIRTUAL }),
    state('198.51.100.66', '192.0.2.9', { src: '127.0.0.1' }),
    state(OWN, '198.51.100.66'),
    state('127.0.0.1', '198.51.100.66'),
    state('2001:db8:66::1', '2001:db8::1'),
    state('2001:db8:66::1', '2001:db8:9::9', { src: '::1' }),
  ];
  const [mine, peer] = [makeEngine({ local }), makeEngine()];
  for (const [i, hole] of holes.entries()) {
    hole.orig.sport += i;
    hole.reply.dport += i;
    event(peer, hole);
  }
  for (const updates of syncOutput(peer)) mine.applyUpdates(updates, false);
  assert.is(kinds(kernelOutput(mine)), '');
  assert.is(mine.counter('kept_out'), holes.length - 1, 'the peer itself leaves loopback out');
  assert.is(mine.kernelMissing(), 0);
  assert.equal(mine.digest('mirrored'), peer.digest('own'));
  for (const hole of holes) assert.is(written(mine, hole), '', 'not with an update either');
  assert.is(mine.counter('kept_out'), holes.length);
});

test('what was really translated by a virtual address enters', () => {
  const engine = makeEngine({ local });
  assert.is(written(engine, state('192.168.1.50', '198.51.100.80', { dst: VIRTUAL })), 'create');
  assert.is(written(engine, state('198.51.100.80', VIRTUAL, { src: '192.168.1.60' })), 'create');
});

test('an entry of this node itself is neither replaced nor removed by the peer', () => {
  const engine = makeEngine({ local });
  const ssh = state('192.168.1.50', OWN);
  assert.is(written(engine, ssh), '');
  engine.applyUpdates(encodeDelete(ssh), false);
  assert.is(kinds(kernelOutput(engine)), '');
  assert.is(bench(engine).selfCheck(), 0);
});

test('a state that is translated to this node afterwards leaves the kernel', () => {
  const engine = makeEngine({ local });
  const good = state('198.51.100.80', VIRTUAL, { src: '192.168.1.60' });
  assert.is(written(engine, good), 'create');
  assert.is(written(engine, { ...good, reply: { ...good.reply, src: ip(OWN) } }), 'delete');
  assert.is(engine.kernelMissing(), 0);
  assert.is(written(engine, good), 'create', 'and comes back when it is right again');
});

test("adopted, it stays out; when the address is no longer this node's, it enters", () => {
  const engine = makeEngine({ local });
  assert.is(written(engine, state('198.51.100.66', '192.0.2.9', { src: VIRTUAL })), '');
  engine.x.adoptPeer();
  while (engine.x.sweep(1000)) {}
  assert.is(kinds(kernelOutput(engine)), '');
  engine.setLocal([OWN]);
  engine.x.sweepBegin();
  while (engine.x.sweep(1000)) {}
  assert.is(kinds(kernelOutput(engine)), 'create');
  assert.is(bench(engine).selfCheck(), 0);
});

test('[sync] accept: only the pairs that are listed, by the source and the translated destination', () => {
  const accept = [
    { from: '192.168.1.0/24', to: '0.0.0.0/0' },
    { from: '0.0.0.0/0', to: '192.168.1.60/32' },
    { from: '2001:db8:1::/64', to: '::/0' },
  ];
  const engine = makeEngine({ local, accept });
  assert.is(written(engine, state('192.168.1.50', '198.51.100.80', { dst: VIRTUAL })), 'create');
  assert.is(written(engine, state('198.51.100.80', VIRTUAL, { src: '192.168.1.60' })), 'create');
  assert.is(written(engine, state('198.51.100.66', VIRTUAL, { src: '192.168.1.61' })), '');
  assert.is(written(engine, state('198.51.100.66', '192.168.1.61')), '');
  assert.is(written(engine, state('2001:db8:1::5', '2001:db8:9::9')), 'create');
  assert.is(written(engine, state('2001:db8:2::5', '2001:db8:1::5')), '');
  assert.is(
    written(makeEngine({ accept: [] }), state('192.168.1.50', '198.51.100.80')),
    '',
    'an empty list lets nothing in',
  );
  const many = Array.from({ length: 65 }, () => ({ from: '10.0.0.0/8', to: '0.0.0.0/0' }));
  assert.throws(() => makeEngine({ accept: many }), /more than 64 pairs/);
});

test('a connection that this node forwards itself is its own, whatever the peer said before', () => {
  const engine = makeEngine({ accept: [] });
  const one = state('192.168.1.50', '198.51.100.80');
  assert.is(written(engine, one), '');
  event(engine, one);
  assert.is(engine.kernelMissing(), 0);
  destroy(engine, one);
  assert.is(bench(engine).selfCheck(), 0);
});

test.run();
