/** The echo requests of the MTU measurement: bytes, checksum, and what counts as an answer. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoAnswer, echoRequest, inetChecksum, sizesUpTo } from '../../../src/kernel/path-mtu.ts';

const mtu = suite('kernel: path mtu');
const MARK = Buffer.from('0102030405060708', 'hex');
const FROM = Buffer.from([10, 99, 0, 2]);

/** The answer of a host: its IP header, and the request as type 0. */
function answer(request: Buffer, change: (packet: Buffer) => void = () => {}): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  FROM.copy(header, 12);
  const packet = Buffer.concat([header, request]);
  packet[20] = 0;
  change(packet);
  return packet;
}

mtu('a request has the size that is asked for, and a right checksum', () => {
  for (const size of [84, 576, 1499, 1500, 9000]) {
    const request = echoRequest(size, 0x1234, 7, MARK);
    assert.is(request.length, size - 20);
    assert.is(inetChecksum(request), 0, 'the sum over everything is zero');
    assert.is(request.subarray(0, 2).toString('hex'), '0800');
  }
  // RFC 1071, section 3: the example's sum is ddf2.
  assert.is(inetChecksum(Buffer.from('0001f203f4f5f6f7', 'hex')), 0xffff - 0xddf2);
});

mtu('only the answer to one of ours counts', () => {
  const request = echoRequest(84, 0x1234, 7, MARK);
  assert.is(echoAnswer(answer(request), FROM, 0x1234, MARK), 7);
  assert.is(echoAnswer(answer(request), Buffer.from([10, 99, 0, 3]), 0x1234, MARK), null, 'from another host');
  assert.is(echoAnswer(answer(request), FROM, 0x1235, MARK), null, 'of another program');
  assert.is(echoAnswer(answer(request), FROM, 0x1234, Buffer.alloc(8)), null, 'of another run');
  const own = answer(request, (packet) => {
    packet[20] = 8;
  });
  assert.is(echoAnswer(own, FROM, 0x1234, MARK), null, 'a request is no answer');
  assert.is(echoAnswer(answer(request).subarray(0, 30), FROM, 0x1234, MARK), null, 'cut off');
  assert.is(echoAnswer(Buffer.alloc(0), FROM, 0x1234, MARK), null);
});

mtu('sizes end with the one in question', () => {
  assert.equal(sizesUpTo(1500), [84, 576, 1280, 1400, 1420, 1450, 1472, 1480, 1492, 1500]);
  assert.equal(sizesUpTo(576), [84, 576]);
  assert.is(sizesUpTo(9216).at(-1), 9216);
});

mtu.run();
