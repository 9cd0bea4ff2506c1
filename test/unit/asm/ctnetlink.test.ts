/** What the module writes for the kernel, and what it reads, beside messages that a real kernel accepted. */

import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import {
  type Attributes,
  attribute,
  kernelMessage,
  type Taken,
  takeMessages,
} from '../../../scripts/reference/ctmsg.ts';
import { destroy, event, feed, kernelOutput, listAll, makeEngine } from '../../../scripts/reference/harness.ts';
import { hasPorts, isIcmp, SCTP, type State, TCP, type Tuple } from '../../../scripts/reference/state.ts';
import { encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';

const test = suite('engine and ctnetlink');

interface Vector {
  description: string;
  netlink_message_hex: string;
  result_errno: number;
}

const file = new URL('../../vectors/data/ctnetlink.json', import.meta.url);
const vectors: Vector[] = JSON.parse(readFileSync(file, 'utf8')).messages;

function number(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 0 : Number.parseInt(Buffer.from(bytes).toString('hex'), 16);
}

function readTuple(from: Attributes, which: number, family: 2 | 10, proto: number): Tuple {
  const v4 = family === 2;
  const icmp = isIcmp({ proto, family });
  const at = (...path: number[]): number => number(attribute(from, which, 2, ...path));
  const base = v4 ? 4 : 7;
  return {
    src: attribute(from, which, 1, v4 ? 1 : 3) ?? new Uint8Array(),
    dst: attribute(from, which, 1, v4 ? 2 : 4) ?? new Uint8Array(),
    sport: icmp ? at(base) : hasPorts(proto) ? at(2) : 0,
    dport: icmp ? (at(base + 1) << 8) | at(base + 2) : hasPorts(proto) ? at(3) : 0,
  };
}

/** The state that a create message of a vector means: reply tuple with the NAT attributes applied. */
function stateOf(message: Taken): State {
  const from = message.attributes;
  const family = message.family === 2 ? 2 : 10;
  const proto = number(attribute(from, 1, 2, 1));
  const state: State = {
    ...{ family, proto, zone: number(attribute(from, 18)), mark: number(attribute(from, 8)) },
    ...{ orig: readTuple(from, 1, family, proto), reply: readTuple(from, 2, family, proto) },
    ...{ status: number(attribute(from, 3)), timeout: number(attribute(from, 7)) },
    ...{ l4: number(attribute(from, 4, 1, 1)) || number(attribute(from, 4, 3, 1)), wscale: [0, 0], flags: [0, 0] },
    vtags: proto === SCTP ? [number(attribute(from, 4, 3, 2)), number(attribute(from, 4, 3, 3))] : null,
  };
  const icmp = isIcmp(state);
  for (const [type, end, port] of [
    [6, 'dst', icmp ? 'sport' : 'dport'],
    [13, 'src', 'sport'],
  ] as const) {
    const to = attribute(from, type, family === 2 ? 1 : 4);
    if (to === undefined) continue;
    state.reply[end] = to;
    state.reply[port] = number(attribute(from, type, 3, 1));
  }
  return state;
}

function plain(from: Attributes): unknown {
  return Object.fromEntries(
    [...from].map(([type, value]) => [type, value instanceof Map ? plain(value) : Buffer.from(value).toString('hex')]),
  );
}

function vector(start: string): Vector {
  const found = vectors.find((one) => one.description.startsWith(start));
  if (found === undefined) throw new Error(`no vector ${start}`);
  return found;
}

function messageOf(one: Vector): Taken {
  const [message] = takeMessages(Buffer.from(one.netlink_message_hex, 'hex'));
  if (message === undefined) throw new Error('empty vector');
  return message;
}

/** What the module writes to create a mirrored state. */
function createOf(state: State): Taken {
  const engine = makeEngine();
  bench(engine).setLongTimeout(state.timeout);
  assert.is(engine.applyUpdates(encodeUpdate(state), false), 1);
  const [create, ...more] = kernelOutput(engine);
  assert.is(more.length, 0);
  if (create === undefined) throw new Error('nothing written');
  return create;
}

const LIBERAL = Uint8Array.of(8, 8);

/** Puts our additions into what the vector has: be_liberal in both directions. */
function withLiberal(expected: Attributes): Attributes {
  const tcp = (expected.get(4) as Attributes | undefined)?.get(1);
  if (tcp instanceof Map) {
    tcp.set(4, LIBERAL);
    tcp.set(5, LIBERAL);
  }
  return expected;
}

const creates = vectors.filter(
  (one) => /^(create|sequence 1|clash)/.test(one.description) && !/SYN_SENT/.test(one.description),
);

for (const one of creates) {
  test(one.description, () => {
    const expected = messageOf(one);
    const create = createOf(stateOf(expected));
    assert.is(create.type, expected.type);
    assert.is(create.flags, expected.flags & ~4, 'the same flags without ACK');
    assert.equal(plain(create.attributes), plain(withLiberal(expected.attributes)));
  });
}

test('byte for byte: source NAT, be_liberal', () => {
  const one = vector('create: TCP/IPv4 ESTABLISHED with source NAT');
  const expected = Buffer.from(one.netlink_message_hex, 'hex');
  const { bytes } = createOf(stateOf(messageOf(one)));
  expected.writeUInt16LE(0x0601, 6);
  expected.writeUInt32LE(bytes.readUInt32LE(8), 8);
  assert.is(bytes.toString('hex'), expected.toString('hex'));
});

test('SYN_SENT is never injected', () => {
  const state = stateOf(messageOf(vector('create: TCP/IPv4 with destination NAT')));
  assert.is(state.l4, 1);
  const create = createOf(state);
  assert.equal(attribute(create.attributes, 4, 1, 1), Uint8Array.of(3));
  assert.equal(attribute(create.attributes, 13, 1), state.reply.src);
  assert.is(attribute(create.attributes, 6, 1), undefined);
});

test('update and delete carry the original tuple only', () => {
  const engine = makeEngine();
  const state = stateOf(messageOf(vector('sequence 1')));
  engine.applyUpdates(encodeUpdate(state), false);
  kernelOutput(engine);
  bench(engine).setLongTimeout(120);
  engine.applyUpdates(encodeUpdate({ ...state, l4: 5 }), false);
  const [update] = kernelOutput(engine);
  const expected = messageOf(vector('sequence 3'));
  assert.is(update?.flags, 1);
  const got = plain(update!.attributes) as Record<string, unknown>;
  delete got[8]; // the mark is told with every change of content
  assert.equal(got, plain(withLiberal(expected.attributes)));
  engine.applyUpdates(encodeDelete(state), false);
  const [remove] = kernelOutput(engine);
  const removal = messageOf(vector('sequence 6'));
  assert.is(remove?.type, removal.type);
  assert.is(remove?.flags, 1);
  assert.equal(plain(remove!.attributes), plain(removal.attributes));
});

test('a change of NAT is delete and create, added status bits are told, taken ones need a new entry', () => {
  const engine = makeEngine();
  const state = { ...stateOf(messageOf(vector('sequence 1'))), status: 0xa };
  engine.applyUpdates(encodeUpdate(state), false);
  kernelOutput(engine);
  engine.applyUpdates(encodeUpdate({ ...state, status: 0xe }), false);
  const [update] = kernelOutput(engine);
  assert.is(number(attribute(update!.attributes, 3)), 0xe);
  engine.applyUpdates(encodeUpdate({ ...state, status: 0xa }), false);
  assert.equal(
    kernelOutput(engine).map((m) => m.type),
    [0x102, 0x100],
  );
  engine.applyUpdates(encodeUpdate({ ...state, reply: { ...state.reply, dport: 1 } }), false);
  assert.equal(
    kernelOutput(engine).map((m) => m.type),
    [0x102, 0x100],
  );
});

test('wscale goes with its flag, only when both directions have it', () => {
  const state = stateOf(messageOf(vector('sequence 1')));
  const both = createOf({ ...state, wscale: [7, 9], flags: [3, 7] });
  assert.equal(attribute(both.attributes, 4, 1, 2), Uint8Array.of(7));
  assert.equal(attribute(both.attributes, 4, 1, 3), Uint8Array.of(9));
  assert.equal(attribute(both.attributes, 4, 1, 4), Uint8Array.of(0x0b, 0x0b));
  assert.equal(attribute(both.attributes, 4, 1, 5), Uint8Array.of(0x0f, 0x0f));
  const one = createOf({ ...state, wscale: [7, 0], flags: [1, 0] });
  assert.is(attribute(one.attributes, 4, 1, 2), undefined);
  assert.equal(attribute(one.attributes, 4, 1, 4), LIBERAL);
});

test('every kernel entry of the vectors is read back as it was meant', () => {
  for (const one of creates) {
    if (one.result_errno !== 0) continue;
    const engine = makeEngine({ syncWhen: 'all' });
    const state = stateOf(messageOf(one));
    event(engine, state);
    const [read] = listAll(engine);
    assert.ok(read, one.description);
    const { at, owner, inKernel, fingerprint, ...rest } = read;
    assert.equal(
      { ...rest, l4: state.l4 },
      { ...state, ...(state.proto === TCP ? {} : { wscale: [0, 0] }) },
      one.description,
    );
    assert.ok(at > 0 && owner === 'own' && inKernel && fingerprint > 0n);
  }
});

test('malformed messages are counted, good ones before them count', () => {
  const good = kernelMessage(stateOf(messageOf(vector('sequence 1'))));
  const cases: [string, Buffer, string][] = [
    ['header cut short', Buffer.concat([good, good.subarray(0, 15)]), 'bad_netlink'],
    ['length beyond the end', Buffer.concat([good, good.subarray(0, 40)]), 'bad_netlink'],
    ['length 0', Buffer.concat([good, Buffer.alloc(16)]), 'bad_netlink'],
    ['another subsystem', Buffer.concat([good, changed(good, 5, 2)]), 'bad_netlink'],
    ['another family', Buffer.concat([good, changed(good, 16, 7)]), 'unsupported'],
    ['attribute of length 3', Buffer.concat([good, changed(good, 20, 3)]), 'bad_netlink'],
    ['attribute beyond the end', Buffer.concat([good, changed(good, 21, 0xff)]), 'bad_netlink'],
  ];
  for (const [what, bytes, counter] of cases) {
    const engine = makeEngine();
    feed(engine, bytes);
    assert.is(engine.countOf('own'), 1, what);
    assert.is(engine.counters()[counter as 'bad_netlink'], 1, what);
  }
});

function changed(bytes: Buffer, at: number, value: number): Buffer {
  const out = Buffer.from(bytes);
  out[at] = value;
  return out;
}

test('own echoes are skipped, in events only', () => {
  const engine = makeEngine();
  engine.setOwnPort(4242);
  const state = stateOf(messageOf(vector('sequence 1')));
  event(engine, state, { pid: 4242 });
  assert.is(engine.counter('own_echo'), 1);
  assert.is(engine.countOf('own'), 0);
  feed(engine, kernelMessage(state, { pid: 4242 }), 'dump');
  assert.is(bench(engine).liveCount(), 1);
  destroy(engine, state, { pid: 4242 });
  assert.is(bench(engine).liveCount(), 1);
});

test('a protocol this kernel does not track has no ports in its tuple', () => {
  const engine = makeEngine();
  const base = stateOf(messageOf(vector('create: protocol 89')));
  const message = kernelMessage(base);
  // protocol 89 becomes DCCP (33), as a kernel without its tracker shows it
  for (let at = message.indexOf('0500010059', 'hex'); at >= 0; at = message.indexOf('0500010059', 'hex')) {
    message[at + 4] = 33;
  }
  feed(engine, message);
  assert.is(engine.counter('bad_netlink'), 0);
  assert.is(listAll(engine)[0]?.proto, 33);
});

test.run();
