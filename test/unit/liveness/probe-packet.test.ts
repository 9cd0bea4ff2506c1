/** Probes on the wire: only the peer with the pair's key, on this network, to this question. */
import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ANSWER, decodeProbe, encodeProbe, PROBE, PROBE_BYTES, probeKey } from '../../../src/liveness/probe/packet.ts';

const test = suite('probe packet');
const key = probeKey(Buffer.from('a secret of the pair'));
const packet = { kind: PROBE, sender: randomBytes(8), nonce: randomBytes(16) } as const;

test('what goes in comes out', () => {
  const bytes = encodeProbe(key, 'wan', packet);
  assert.is(bytes.length, PROBE_BYTES);
  assert.equal(decodeProbe(key, 'wan', bytes), packet);
  assert.equal(decodeProbe(key, 'wan', encodeProbe(key, 'wan', { ...packet, kind: ANSWER })), {
    ...packet,
    kind: ANSWER,
  });
});

// The MAC was computed by another program from the description in packet.ts.
test('layout of version 1 stays what it is', () => {
  const fixed = { kind: PROBE, sender: Buffer.alloc(8, 0x11), nonce: Buffer.alloc(16, 0x22) } as const;
  const bytes = encodeProbe(probeKey(Buffer.from('vector')), 'wan', fixed);
  const clear = `ca120103${'11'.repeat(8)}00000000${'22'.repeat(16)}`;
  assert.is(bytes.subarray(0, 32).toString('hex'), clear);
  assert.is(bytes.subarray(32).toString('hex'), 'd48764e4c63d688075a644cd79bf5e33');
});

test('another network, another key, a probe turned into an answer, any bit: refused', () => {
  const bytes = encodeProbe(key, 'wan', packet);
  assert.is(decodeProbe(key, 'lan', bytes), 'bad_mac');
  assert.is(decodeProbe(probeKey(Buffer.from('another')), 'wan', bytes), 'bad_mac');
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.type(decodeProbe(key, 'wan', changed), 'string', `bit ${bit}`);
  }
});

test('any length', () => {
  for (let length = 0; length < 100; length++) {
    if (length !== PROBE_BYTES) assert.is(decodeProbe(key, 'wan', Buffer.alloc(length)), 'bad_length');
  }
});

test.run();
