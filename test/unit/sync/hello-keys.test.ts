/** A flood of HELLOs with made-up nonces is cheap, and never keeps the peer that is known from being heard. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HELLO_TRIES, HelloKeys } from '../../../src/sync/seal/hello-keys.ts';
import { PairKeys } from '../../../src/sync/seal/pair-keys.ts';
import { helloKey } from '../../../src/sync/seal/seal.ts';
import { HEADER_SIZE } from '../../../src/sync/wire/datagram.ts';

const hello = suite('keys of HELLOs');
const SECRET = Buffer.alloc(32, 7);

const nonceOf = (n: number): Buffer => {
  const nonce = Buffer.alloc(16);
  nonce.writeUInt32BE(n, 12);
  return nonce;
};

hello('so many unknown nonces are tried in a second, and no more', () => {
  const keys = new HelloKeys(new PairKeys([SECRET]));
  let tried = 0;
  for (let ms = 0; ms < 1000; ms++) {
    for (let i = 0; i < 50; i++) if (keys.find(nonceOf(1 + ms * 50 + i), 1000 + ms) !== null) tried += 1;
  }
  const { perSecond, burst } = HELLO_TRIES;
  assert.ok(tried >= perSecond * 0.9 && tried <= perSecond + burst, `${tried} of 50,000`);
});

hello('a nonce that has proven right is always heard, others wait for their turn', () => {
  const keys = new HelloKeys(new PairKeys([SECRET]));
  const peer = nonceOf(0xffff);
  const first = keys.find(peer, 0);
  assert.ok(first);
  keys.proven(peer, first);
  for (let i = 0; i < 1000; i++) keys.find(nonceOf(i), 0);
  assert.is(keys.find(nonceOf(2000), 0), null, 'the flood is refused');
  const again = keys.find(peer, 0);
  const clear = Buffer.alloc(HEADER_SIZE);
  const sealed = Buffer.from(helloKey(SECRET, peer).seal(clear, Buffer.from('hello')));
  assert.is(again?.[0]?.open(sealed, HEADER_SIZE)?.toString(), 'hello');
  assert.ok(keys.find(nonceOf(2000), 1000), 'and a second later somebody new is heard');
});

hello('negative control: what is tried and not proven is not kept', () => {
  const keys = new HelloKeys(new PairKeys([SECRET]));
  const stranger = nonceOf(3);
  assert.ok(keys.find(stranger, 0));
  for (let i = 0; i < 1000; i++) keys.find(nonceOf(10 + i), 0);
  assert.is(keys.find(stranger, 0), null);
});

hello.run();
