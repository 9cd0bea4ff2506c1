/** The state engine: hash, table and one state's way from the kernel to the peer and into its kernel. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { attribute } from '../../../scripts/reference/ctmsg.ts';
import {
  destroy,
  event,
  FP_KEY,
  finish,
  kernelOutput,
  listAll,
  makeEngine,
  syncOutput,
} from '../../../scripts/reference/harness.ts';
import { siphash } from '../../../scripts/reference/siphash.ts';
import {
  fingerprint,
  inverse,
  randomSource,
  randomState,
  type State,
  TCP,
  UDP,
} from '../../../scripts/reference/state.ts';

const test = suite('engine basics');

function natState(port: number, proto = UDP): State {
  const orig = { src: Uint8Array.of(10, 0, 0, 5), dst: Uint8Array.of(198, 51, 100, 80), sport: port, dport: 443 };
  const reply = { ...inverse({ family: 2, proto, orig }), dst: Uint8Array.of(203, 0, 113, 2), dport: 60001 };
  return {
    ...{ family: 2, proto, zone: 0, orig, reply, status: 0xe, mark: 0, l4: proto === TCP ? 3 : 0 },
    ...{ wscale: [0, 0], flags: [0, 0], vtags: null, timeout: 100 },
  };
}

test('the reference SipHash is SipHash (official 2-4 vectors)', () => {
  const key = Uint8Array.from({ length: 16 }, (_, i) => i);
  const message = (n: number) => Uint8Array.from({ length: n }, (_, i) => i);
  // vectors.h of the reference implementation: entries for lengths 0, 1, 8, 15 (64 bits), 0 and 8 (128 bits)
  assert.is(siphash(key, message(0), 2, 4, 64), 0x726fdb47dd0e0e31n);
  assert.is(siphash(key, message(1), 2, 4, 64), 0x74f839c593dc67fdn);
  assert.is(siphash(key, message(8), 2, 4, 64), 0x93f5f5799a932462n);
  assert.is(siphash(key, message(15), 2, 4, 64), 0xa129ca6149be45e5n);
  const empty = siphash(key, message(0), 2, 4, 128);
  assert.is(empty, 0x930255c71472f66de6a825ba047f81a3n);
});

test('the module hashes as the reference does, 64 and 128 bits', () => {
  const engine = makeEngine();
  const random = randomSource(1);
  const { offset } = engine.areas.datagrams;
  const view = new DataView(engine.memory.buffer);
  for (let i = 0; i < 500; i++) {
    const words = i % 12;
    const bytes = Uint8Array.from({ length: words * 8 }, () => random() * 256);
    const key = Uint8Array.from({ length: 16 }, () => random() * 256);
    const keys = new DataView(key.buffer);
    const k0 = keys.getBigInt64(0, true);
    const k1 = keys.getBigInt64(8, true);
    engine.view().set(bytes, offset);
    const short = BigInt.asUintN(64, bench(engine).sip13(offset, words, k0, k1, 0));
    assert.is(short, siphash(key, bytes, 1, 3, 64));
    bench(engine).sip13(offset, words, k0, k1, offset + 1024);
    const long = view.getBigUint64(offset + 1024, true) | (view.getBigUint64(offset + 1032, true) << 64n);
    assert.is(long, siphash(key, bytes, 1, 3, 128));
  }
});

test('an event becomes a record with the fingerprint of the reference', () => {
  const engine = makeEngine();
  const random = randomSource(2);
  for (let i = 0; i < 300; i++) event(engine, randomState(random, 5000));
  const all = listAll(engine);
  assert.ok(all.length > 250, `${all.length}`);
  let sum = 0n;
  for (const one of all) {
    assert.is(one.fingerprint, fingerprint(one, FP_KEY));
    sum = (sum + one.fingerprint) & ((1n << 128n) - 1n);
  }
  const digest = engine.digest('own');
  assert.is(digest.count, BigInt(all.length));
  assert.is(BigInt(`0x${digest.sum.toString('hex')}`), sum);
  assert.is(bench(engine).selfCheck(), 0);
});

test('master to backup: record, kernel message, equal digests, end', () => {
  const master = makeEngine();
  const backup = makeEngine();
  const state = natState(51515, TCP);
  event(master, state);
  const sent = syncOutput(master);
  assert.is(sent.length, 1);
  assert.is(backup.applyUpdates(sent[0] as Buffer, false), 1);
  assert.equal(master.digest('own'), backup.digest('mirrored'));
  assert.is(backup.kernelMissing(), 1);
  const [create] = kernelOutput(backup);
  assert.is(backup.kernelMissing(), 0);
  assert.is(create?.flags, 0x0601);
  assert.equal(attribute(create!.attributes, 6, 1), state.reply.dst);
  destroy(master, state);
  const gone = syncOutput(master);
  assert.is(gone[0]?.length, 14, 'a delete is the key only');
  backup.applyUpdates(gone[0] as Buffer, false);
  const [remove] = kernelOutput(backup);
  assert.is(remove?.type, 0x102);
  for (const engine of [master, backup]) {
    assert.is(bench(engine).liveCount(), 0);
    assert.is(bench(engine).tombCount(), 0);
    assert.is(bench(engine).selfCheck(), 0);
  }
});

test('an IPv4 UDP state with source NAT takes at most 26 bytes on the wire', () => {
  const engine = makeEngine();
  event(engine, natState(40000));
  assert.is(syncOutput(engine)[0]?.length, 21);
});

test('sweep after adoption gives normal timeouts, after giving long ones', () => {
  const engine = makeEngine();
  const other = makeEngine();
  event(other, natState(1000));
  engine.applyUpdates(syncOutput(other)[0] as Buffer, false);
  kernelOutput(engine);
  engine.adoptPeer();
  assert.is(engine.countOf('own'), 1);
  finish((n) => engine.sweep(n));
  const [normal] = kernelOutput(engine);
  assert.is(Buffer.from(attribute(normal!.attributes, 7)!).readUInt32BE(), 120);
  engine.yieldOwn();
  finish((n) => engine.sweep(n));
  const [long] = kernelOutput(engine);
  assert.is(Buffer.from(attribute(long!.attributes, 7)!).readUInt32BE(), 86400);
  assert.is(bench(engine).selfCheck(), 0);
});

test.run();
