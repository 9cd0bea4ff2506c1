/** Expectations of helpers: their message, and who tells whom. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { attributes } from '../../../scripts/reference/ctmsg.ts';
import type { Expectations, ExpectEvent } from '../../../src/kernel/expect.ts';
import { decodeExpectation, encodeExpectation } from '../../../src/sync/wire/expectation.ts';
import { ExpectationRules } from '../../../src/sync/worker/expectation-rules.ts';
import { ExpectationSync } from '../../../src/sync/worker/expectations.ts';

const test = suite('expectations');

const { attr, nest, u8, u16, u32 } = attributes;

function payload(port: number, extra: Buffer[] = []): Buffer {
  const ip = nest(1, attr(1, Uint8Array.of(10, 0, 0, 1)), attr(2, Uint8Array.of(10, 0, 0, 2)));
  const tuple = nest(2, ip, nest(2, u8(1, 6), u16(2, 0), u16(3, port)));
  const master = nest(1, ip, nest(2, u8(1, 6), u16(2, 1024), u16(3, 21)));
  return Buffer.concat([
    Buffer.of(2, 0, 0, 0),
    master,
    tuple,
    u32(4, 300),
    u32(5, 77),
    attr(6, Buffer.from('ftp\0')),
    ...extra,
  ]);
}

test('what is carried comes back as it was; the id, which is each kernel’s own, does not', () => {
  const content = encodeExpectation({ gone: false, payload: payload(2000) });
  assert.ok(content);
  const read = decodeExpectation(content);
  assert.is(read?.gone, false);
  const without = Buffer.from(payload(2000));
  const id = without.indexOf(u32(5, 77));
  // nested attributes lose their mark: expect.ts sets it again
  const plain = Buffer.concat([without.subarray(0, id), without.subarray(id + 8)]);
  for (const at of [7, 7 + plain.readUInt16LE(4)]) plain[at] = 0;
  assert.is(read?.payload.toString('hex'), plain.toString('hex'));
});

test('damaged ones are refused: cut short, unknown, twice, without a master, too long', () => {
  const good = encodeExpectation({ gone: true, payload: payload(2000) }) as Buffer;
  assert.is(decodeExpectation(good)?.gone, true);
  for (let length = 0; length < good.length; length++) {
    const cut = decodeExpectation(good.subarray(0, length));
    // whole attributes at the end may be missing, but neither master nor tuple
    if (cut !== null) assert.ok(length > 100, `cut to ${length}`);
  }
  assert.is(decodeExpectation(Buffer.concat([good, Buffer.of(5, 0, 0)])), null);
  assert.is(decodeExpectation(Buffer.concat([good, Buffer.of(6, 0, 0)])), null);
  assert.is(decodeExpectation(Buffer.of(1, 2)), null);
  assert.is(decodeExpectation(Buffer.of(3, ...good.subarray(1))), null);
  assert.is(decodeExpectation(Buffer.concat([good, Buffer.of(11, 1, 1), Buffer.alloc(257)])), null);
  assert.is(encodeExpectation({ gone: false, payload: payload(1, [attr(11, Buffer.alloc(300))]) }), null);
});

function scene() {
  const events: ExpectEvent[] = [];
  const told: boolean[] = [];
  const counted: string[] = [];
  const done: string[] = [];
  let looks = 0;
  let refuse: number | null = null;
  const allowed = { now: true };
  const work = (name: string): void => {
    if (refuse !== null) throw Object.assign(new Error('no'), { errno: refuse });
    done.push(name);
  };
  const kernel: Expectations = {
    fd: -1,
    receive: () => ({ events: events.splice(0), overrun: false }),
    create: () => work('create'),
    remove: () => work('remove'),
    list: () => [payload(1), payload(2)],
    masterOf: () => Buffer.from('connection'),
    close: () => {},
  };
  const sync = new ExpectationSync(kernel, {
    connection: () => void looks++,
    send: (content) => told.push(decodeExpectation(content)?.gone ?? false) > 0,
    allows: () => allowed.now,
    count: (name) => void counted.push(name),
  });
  return {
    allowed,
    events,
    told,
    counted,
    done,
    sync,
    looks: () => looks,
    refuse: (errno: number | null) => (refuse = errno),
  };
}

test('a node that forwards tells what its kernel expects, and looks at the connection now and a little later', () => {
  const { events, told, sync, looks } = scene();
  events.push({ gone: false, payload: payload(1) });
  sync.step(1000, true, 'a', () => false);
  assert.equal([told, looks()], [[false], 1]);
  assert.is(sync.deadline(), 1010);
  sync.step(1010, true, 'a', () => false);
  assert.is(looks(), 2);
  events.push({ gone: true, payload: payload(1) });
  sync.step(1020, true, 'a', () => false);
  assert.equal(told, [false, true]);
});

test('a backup tells nothing: what its kernel expects it has from the peer', () => {
  const { events, told, sync } = scene();
  events.push({ gone: false, payload: payload(1) });
  sync.step(1000, false, 'nonce', () => true);
  assert.equal(told, []);
});

test('a new peer is told all of them once, when it is in step', () => {
  const { told, sync } = scene();
  sync.step(1, true, 'a', () => false);
  assert.is(told.length, 0);
  sync.step(2, true, 'a', () => true);
  sync.step(3, true, 'a', () => true);
  assert.is(told.length, 2);
  sync.step(4, true, 'b', () => true);
  assert.is(told.length, 4);
});

test('what the peer tells goes into the kernel; refusals are counted, an end that comes late is none', () => {
  const { sync, done, counted, refuse } = scene();
  const there = encodeExpectation({ gone: false, payload: payload(1) }) as Buffer;
  const gone = encodeExpectation({ gone: true, payload: payload(1) }) as Buffer;
  sync.take(there);
  sync.take(gone);
  assert.equal(done, ['create', 'remove']);
  refuse(2);
  sync.take(gone);
  assert.equal(counted, []);
  sync.take(there);
  sync.take(Buffer.from('rubbish'));
  assert.equal(counted, ['expectation_refused', 'bad_expectation']);
});

test('what the rules do not allow stays out, counted; its end is taken all the same', () => {
  const { sync, done, counted, allowed } = scene();
  allowed.now = false;
  sync.take(encodeExpectation({ gone: false, payload: payload(1) }) as Buffer);
  sync.take(encodeExpectation({ gone: true, payload: payload(1) }) as Buffer);
  assert.equal([done, counted], [['remove'], ['expectation_kept_out']]);
});

/** An expectation from `source` (0.0.0.0: whoever) to `destination`. */
function expected(source: string, destination: string, nat = false): Buffer {
  const bytes = (text: string): Uint8Array => Uint8Array.from(text.split('.'), Number);
  const tuple = (a: string, b: string): Buffer => nest(1, attr(1, bytes(a)), attr(2, bytes(b)));
  const mask = source === '0.0.0.0' ? source : '255.255.255.255';
  const parts = [nest(2, tuple(source, destination)), nest(3, tuple(mask, '255.255.255.255'))];
  if (nat) parts.push(nest(10, u32(1, 0)));
  return Buffer.concat([Buffer.of(2, 0, 0, 0), ...parts]);
}

test('no expectation lets the peer in to an address of this node, unless it is translated on', () => {
  const rules = new ExpectationRules(null, ['203.0.113.1']);
  assert.ok(rules.allows(expected('198.51.100.80', '192.168.1.5')));
  assert.not.ok(rules.allows(expected('198.51.100.80', '203.0.113.1')));
  assert.not.ok(rules.allows(expected('0.0.0.0', '203.0.113.1')));
  assert.not.ok(rules.allows(expected('203.0.113.1', '192.168.1.5')));
  assert.ok(rules.allows(expected('198.51.100.80', '203.0.113.1', true)));
  rules.setOwn(['203.0.113.7/24']);
  assert.ok(rules.allows(expected('198.51.100.80', '203.0.113.1')));
  assert.not.ok(rules.allows(expected('198.51.100.80', '203.0.113.7')));
  assert.not.ok(rules.allows(Buffer.of(2, 0, 0, 0)), 'without addresses');
});

test('[sync] accept holds for expectations, in both directions', () => {
  const rules = new ExpectationRules([{ from: '192.168.1.0/24', to: '0.0.0.0/0' }], []);
  assert.ok(rules.allows(expected('192.168.1.5', '198.51.100.80')));
  assert.ok(rules.allows(expected('198.51.100.80', '192.168.1.5')), 'the server opens it: active FTP');
  assert.ok(rules.allows(expected('0.0.0.0', '192.168.1.5')), 'from whoever, to the one that asked');
  assert.not.ok(rules.allows(expected('198.51.100.80', '10.0.0.5')));
  assert.not.ok(rules.allows(expected('0.0.0.0', '10.0.0.5')));
});

test.run();
