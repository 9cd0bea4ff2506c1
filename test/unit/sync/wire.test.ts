/** Datagrams of the sync link: layouts to the byte, sealing, the replay window. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ReplayWindow } from '../../../src/sync/seal/replay-window.ts';
import { helloKey, sessionKeys } from '../../../src/sync/seal/seal.ts';
import {
  decodeDigest,
  decodeVerdict,
  encodeAdopt,
  encodeDigest,
  encodeVerdict,
  FAST_FIXED,
  HEADER_SIZE,
  KIND_FAST,
  MSG,
  message,
  readFastFixed,
  readHeader,
  readMessages,
  writeFastFixed,
  writeHeader,
} from '../../../src/sync/wire/datagram.ts';

const wire = suite('sync wire');

wire('the header is what version 1 says, to the byte (invariant 8)', () => {
  const header = Buffer.alloc(HEADER_SIZE);
  writeHeader(header, { kind: KIND_FAST, mark: 0xdeadbeef, counter: 0x0102030405060708n });
  assert.is(header.toString('hex'), 'ca120102deadbeef0102030405060708');
  const datagram = Buffer.concat([header, Buffer.alloc(16)]);
  assert.equal(readHeader(datagram), { kind: KIND_FAST, mark: 0xdeadbeef, counter: 0x0102030405060708n });
});

wire('each way to be wrong has its name', () => {
  const good = Buffer.concat([Buffer.from('ca120102deadbeef0102030405060708', 'hex'), Buffer.alloc(16)]);
  const changed = (offset: number, value: number): Buffer => {
    const copy = Buffer.from(good);
    copy[offset] = value;
    return copy;
  };
  assert.is(readHeader(good.subarray(0, 31)), 'short');
  assert.is(readHeader(Buffer.alloc(0)), 'short');
  assert.is(readHeader(changed(0, 0)), 'magic');
  assert.is(readHeader(changed(2, 2)), 'version');
  assert.is(readHeader(changed(3, 3)), 'kind');
});

wire('the fixed part and its messages', () => {
  const body = Buffer.alloc(FAST_FIXED);
  writeFastFixed(body, 0, { ack: 1, seq: 0xfffffffe, gap: true, adoptSeen: 7 });
  assert.is(body.toString('hex'), '00000001fffffffe01000007');
  assert.equal(readFastFixed(body), { ack: 1, seq: 0xfffffffe, gap: true, adoptSeen: 7 });
  assert.is(readFastFixed(body.subarray(0, 11)), null);
  const whole = Buffer.concat([body, encodeAdopt(3), message(200, Buffer.from('later'))]);
  const messages = readMessages(whole);
  // A message type of a later version is skipped, not refused (invariant 8).
  assert.equal(
    messages?.map((m) => m.type),
    [MSG.ADOPT, 200],
  );
  assert.is(readMessages(whole.subarray(0, whole.length - 1)), null, 'a length that leads out of the body');
  assert.is(readMessages(Buffer.concat([body, Buffer.from([1, 0])])), null, 'half a message header');
});

wire('digest and verdict there and back', () => {
  const digest = {
    count: 5_000_000_000n,
    sum: Buffer.alloc(16, 9),
    adoptId: 65535,
    applied: 4_000_000_000,
    unclaimed: 7,
  };
  const content = encodeDigest(digest).subarray(3);
  assert.equal(decodeDigest(content), digest);
  assert.is(decodeDigest(content.subarray(1)), null);
  const verdict = { seq: 12, equal: false, missing: 3 };
  assert.equal(decodeVerdict(encodeVerdict(verdict).subarray(3)), verdict);
  assert.is(decodeVerdict(Buffer.alloc(8)), null);
});

wire('a sealed datagram opens with the other side’s key, and not after any bit was changed', () => {
  const [a, b, secret] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2), Buffer.alloc(32, 3)];
  const [mine, theirs] = [sessionKeys(secret, a, b), sessionKeys(secret, b, a)];
  assert.ok(mine.fingerprint.equals(theirs.fingerprint), 'both derive the same fingerprint key');
  const clear = Buffer.alloc(HEADER_SIZE);
  writeHeader(clear, { kind: KIND_FAST, mark: 5, counter: 1n });
  const plain = Buffer.from('one state');
  const datagram = mine.send.seal(clear, plain);
  assert.ok(theirs.receive.open(datagram, HEADER_SIZE)?.equals(plain));
  assert.is(mine.receive.open(datagram, HEADER_SIZE), null, 'each direction has its own key');
  for (let bit = 0; bit < datagram.length * 8; bit++) {
    const bad = Buffer.from(datagram);
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.is(theirs.receive.open(bad, HEADER_SIZE), null, `bit ${bit}`);
  }
});

wire('other secret, other nonce, no secret: other keys', () => {
  const [a, b] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
  const fingerprints = [
    sessionKeys(Buffer.alloc(32, 3), a, b),
    sessionKeys(Buffer.alloc(32, 4), a, b),
    sessionKeys(Buffer.alloc(32, 3), a, Buffer.alloc(16, 5)),
    sessionKeys(null, a, b),
  ].map((keys) => keys.fingerprint.toString('hex'));
  assert.is(new Set(fingerprints).size, fingerprints.length);
  const clear = Buffer.alloc(HEADER_SIZE);
  const hello = Buffer.from(helloKey(null, a).seal(clear, Buffer.alloc(8)));
  assert.is(helloKey(Buffer.alloc(32, 3), a).open(hello, HEADER_SIZE), null);
});

wire('the replay window takes each counter once, late ones too, old ones never', () => {
  const window = new ReplayWindow();
  const accept = (counter: bigint): boolean => {
    const fresh = window.fresh(counter);
    if (fresh) window.take(counter);
    return fresh;
  };
  assert.not.ok(accept(0n), 'counters begin at 1');
  assert.ok(accept(1n));
  assert.not.ok(accept(1n));
  assert.ok(accept(10n));
  for (const late of [9n, 2n, 5n]) assert.ok(accept(late), `late ${late}`);
  for (const again of [9n, 2n, 5n, 10n]) assert.not.ok(accept(again), `again ${again}`);
  assert.ok(accept(5000n));
  assert.not.ok(accept(5000n - 1024n), 'outside the window');
  assert.ok(accept(5000n - 1023n), 'its last place');
  assert.not.ok(accept(1n << 60n), 'a counter that no number holds exactly');
});

wire('the replay window agrees with a plain set over a random walk', () => {
  const window = new ReplayWindow();
  const seen = new Set<number>();
  let highest = 0;
  let state = 12345;
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < 50_000; i++) {
    const counter = Math.max(1, highest + Math.floor(random() * 1100) - 1050);
    const expected = counter > highest || (highest - counter < 1024 && !seen.has(counter));
    assert.is(window.fresh(BigInt(counter)), expected, `counter ${counter} at ${highest}`);
    if (!expected) continue;
    window.take(BigInt(counter));
    seen.add(counter);
    highest = Math.max(highest, counter);
  }
});

wire.run();
