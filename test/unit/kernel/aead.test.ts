/** OpenSSL called directly seals and opens exactly as Node's own cipher objects do. */
import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { nativeAead } from '../../../src/kernel/aead.ts';
import { nodeAead } from '../../../src/sync/seal/seal.ts';
import { HEADER_SIZE } from '../../../src/sync/wire/datagram.ts';

const aead = suite('native AES-256-GCM');
const make = nativeAead();

if (make === null) {
  process.stdout.write('skipped: this runtime does not export the functions of OpenSSL\n');
} else {
  aead('every length: the same bytes, opened by either', () => {
    for (let length = 0; length <= 1480; length += length < 70 ? 1 : 47) {
      const key = randomBytes(32);
      const [native, node] = [make(key), nodeAead(key)];
      const clear = randomBytes(length % 2 === 0 ? HEADER_SIZE : HEADER_SIZE + 16);
      const plain = randomBytes(length);
      const sealed = Buffer.from(native.seal(clear, plain));
      assert.ok(sealed.equals(node.seal(clear, plain)), `${length} bytes`);
      assert.ok(native.open(sealed, clear.length)?.equals(plain), `${length} bytes opened`);
      assert.ok(node.open(sealed, clear.length)?.equals(plain), `${length} bytes opened by Node`);
    }
  });

  aead('two keys in turn: a context that served one does not taint the other', () => {
    const keys = [randomBytes(32), randomBytes(32)];
    const clear = randomBytes(HEADER_SIZE);
    for (let i = 0; i < 100; i++) {
      const key = keys[i % 2] ?? Buffer.alloc(32);
      const other = keys[(i + 1) % 2] ?? Buffer.alloc(32);
      const plain = randomBytes(100);
      const sealed = Buffer.from(make(key).seal(clear, plain));
      assert.is(make(other).open(sealed, HEADER_SIZE), null);
      assert.ok(make(key).open(sealed, HEADER_SIZE)?.equals(plain), 'after a refusal the context is good again');
    }
  });

  aead('any bit that is changed, anything cut off: refused', () => {
    const key = make(randomBytes(32));
    const sealed = Buffer.from(key.seal(randomBytes(HEADER_SIZE), Buffer.from('one state')));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const bad = Buffer.from(sealed);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.is(key.open(bad, HEADER_SIZE), null, `bit ${bit}`);
    }
    for (let length = 0; length < sealed.length; length++) {
      assert.is(key.open(sealed.subarray(0, length), HEADER_SIZE), null, `${length} bytes`);
    }
    assert.ok(key.open(sealed, HEADER_SIZE));
  });

  aead('a key of another size is refused', () => {
    assert.throws(() => make(Buffer.alloc(16)), /32 bytes, not 16/);
  });
}

aead.run();
