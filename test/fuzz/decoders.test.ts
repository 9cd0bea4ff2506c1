/**
 * Every decoder that faces a network, the kernel or a file (test/fuzz/lib/), a bounded number of inputs each, another
 * seed by SEED. `npm run fuzz` does the same for as long as one likes. And inputs that once were found stay here.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../scripts/lib/random.ts';
import { decodeMessage } from '../../src/channel/message.ts';
import { Replay } from '../../src/recording/replay.ts';
import { grow } from './lib/coverage.ts';
import { makeWork, mutate } from './lib/mutate.ts';
import { fuzz, type Target } from './lib/target.ts';
import { TARGETS } from './lib/targets.ts';

const decoders = suite('fuzz: decoders');
const SEED = Number(process.env.SEED ?? 1);
const INPUTS = 50_000;
/** The slow ones stop earlier. */
const WITHIN_MS = 250;
/** Not a measurement: the machine may be busy. What takes that long is stuck. */
const SLOW_MS = 3000;

for (const target of TARGETS) {
  decoders(`${target.name}: ${target.what}`, () => {
    const { findings, inputs } = fuzz(target, {
      seed: SEED,
      inputs: INPUTS,
      withinMs: WITHIN_MS,
      slowMs: SLOW_MS,
    });
    assert.equal(findings, []);
    assert.ok(inputs >= 250, `${inputs} inputs`);
  });
}

const control = (run: Target['run'], extra: Partial<Target> = {}): Target => ({
  name: 'control',
  what: '',
  corpus: [Buffer.from('\u0001\u0002\u0003\u0004 good')],
  most: 64,
  run,
  ...extra,
});

decoders('negative control: an exception, a damaged state, a leak and a slow input are found', () => {
  const reads = control((input) => void input.readUInt32BE(4));
  assert.match(fuzz(reads, { seed: 1, inputs: 5000 }).findings[0]?.problem ?? '', 'RangeError');
  let n = 0;
  const damages = control(() => void n++, { check: () => assert.ok(n < 10) });
  assert.ok(fuzz(damages, { seed: 1, inputs: 100 }).findings.length > 0);
  const kept: Buffer[] = [];
  const leaks = control((input) => void kept.push(Buffer.alloc(3000 + input.length)));
  const leak = fuzz(leaks, { seed: 1, inputs: 80_000, slowMs: SLOW_MS });
  assert.match(leak.findings[0]?.problem ?? '', 'memory has grown', `${leak.grownKb} kB, ${kept.length} kept`);
  const slow = control((input) => {
    const end = performance.now() + (input.length > 12 ? 60 : 0);
    while (performance.now() < end);
  });
  assert.match(fuzz(slow, { seed: 1, inputs: 1000, withinMs: 20_000 }).findings[0]?.problem ?? '', 'took');
});

decoders('the same seed makes the same inputs, another one others', () => {
  const inputs = (seed: number): string => {
    const work = makeWork(64);
    const random = seeded(seed);
    const corpus = [Buffer.from('abcdefgh'), Buffer.from('0123456789')];
    return Array.from({ length: 200 }, () => {
      mutate(work, random, corpus, [Buffer.from('WORD')]);
      return work.bytes.toString('hex', 0, work.length);
    }).join(' ');
  };
  assert.is(inputs(5), inputs(5));
  assert.is.not(inputs(5), inputs(6));
});

decoders('guided by coverage: code is reached that the good inputs do not reach', () => {
  const target = TARGETS.find(({ name }) => name === 'config')!;
  const { blocks, corpus } = grow(target, SEED, 1500);
  assert.ok(blocks.before > 0 && blocks.after > blocks.before, JSON.stringify(blocks));
  assert.ok(corpus.length > target.corpus.length);
});

// --- found
// --------------------------------------------------------------------------------------------------------------

decoders('found: a peer message whose kind is an object that has no text', () => {
  const decoded = decodeMessage('{"t":{"toString":1,"valueOf":1}}');
  assert.not.ok(decoded.ok);
  assert.is(decoded.ok ? '' : decoded.cause, 'unknown');
});

decoders('found: a recorded step whose input is another machine’s', () => {
  const run = new Replay();
  run.take('{"carpio":"0","record":1,"node":"x","at":0}');
  run.take('{"m":"mask","i":1,"at":0,"state":{"report":null,"reportUs":0,"said":{"$map":[]},"held":[]}}');
  run.take('{"m":"mask","i":1,"at":0,"in":{"event":{"type":"tick"},"context":{"now":1}},"out":[]}');
  assert.is(run.report.difference?.what, 'failed');
});

decoders.run();
