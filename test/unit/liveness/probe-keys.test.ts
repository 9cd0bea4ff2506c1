/** While the pair's key is being changed, a node asks with both and answers whichever it was asked with. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ANSWER, decodeProbe, encodeProbe, PROBE, probeKey } from '../../../src/liveness/probe/packet.ts';
import { Prober } from '../../../src/liveness/probe/runner.ts';

const keys = suite('keys of probes');

const [OLD, NEW, OTHER] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2), Buffer.alloc(32, 3)] as const;

function scene(...secrets: Buffer[]) {
  const sent: Buffer[] = [];
  let hear: (bytes: Buffer, from: string) => void = () => {};
  const it = new Prober(secrets, {
    verdict: () => {},
    warn: (message) => assert.unreachable(message),
    look: () => {},
    now: () => 1_000_000,
    later: () => () => {},
    open: ({ onPacket, family, device, ifindex }) => {
      hear = onPacket;
      return { device, ifindex, family, send: (bytes: Buffer) => sent.push(bytes) > 0, close: () => {} };
    },
  });
  const path = { role: 'lan', device: 'eth1', ifindex: 2, up: true, peer: ['10.0.0.2'], families: [4 as const] };
  it.setPaths([path]);
  sent.length = 0;
  return { it, sent, hear: (bytes: Buffer) => hear(bytes, '10.0.0.2') };
}

const probe = (secret: Buffer): Buffer =>
  encodeProbe(probeKey(secret), 'lan', { kind: PROBE, sender: Buffer.alloc(8, 9), nonce: Buffer.alloc(16, 5) });
const kindUnder = (secret: Buffer, bytes: Buffer | undefined): unknown => {
  const packet = decodeProbe(probeKey(secret), 'lan', bytes ?? Buffer.alloc(0));
  return typeof packet === 'string' ? packet : packet.kind;
};

keys('asked with either, it answers with that one; afterwards only with the one that counts', () => {
  const { it, sent, hear } = scene(OLD);
  it.setSecrets([NEW, OLD]);
  hear(probe(OLD));
  hear(probe(NEW));
  assert.equal([kindUnder(OLD, sent[0]), kindUnder(NEW, sent[1])], [ANSWER, ANSWER]);
  hear(probe(OTHER));
  assert.equal([sent.length, it.counters.bad_mac], [2, 1]);
  it.setSecrets([NEW]);
  hear(probe(OLD));
  assert.equal([sent.length, it.counters.bad_mac], [2, 2]);
});

keys('it asks with each', () => {
  const { it, sent } = scene(NEW, OLD);
  void it.multicast('lan', 100);
  assert.equal([kindUnder(NEW, sent[0]), kindUnder(OLD, sent[1])], [PROBE, PROBE]);
  assert.is(kindUnder(OLD, sent[0]), 'bad_mac', 'the control');
});

keys.run();
