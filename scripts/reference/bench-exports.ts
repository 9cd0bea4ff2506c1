/** What benches and tests use of the module beside the product's exports (asm/index.bench.ts). */
import type { Engine } from '../../src/sync/table/engine.ts';

interface BenchExports {
  adoptEpoch(): number;
  benchDelete(offset: number, n: number): number;
  benchFind(offset: number, n: number): number;
  benchUpdate(offset: number, n: number): number;
  boundAnswers(on: number): void;
  bucketCount(): number;
  homeOf(state: number): number;
  liveCount(): number;
  longestChain(): number;
  rekeyActive(): number;
  selfCheck(): number;
  setLongTimeout(seconds: number): void;
  setMaxStates(n: number): void;
  setSeq(n: number): void;
  sip13(offset: number, words: number, k0: bigint, k1: bigint, out: number): bigint;
  tombCount(): number;
  txUpdates(): number;
}

/** @throws Error when the engine was loaded from the product's module */
export function bench(engine: Engine): BenchExports {
  if (!('selfCheck' in engine.x)) throw new Error('this needs build/engine.bench.wasm (scripts/lib/asm.mjs)');
  return engine.x as unknown as BenchExports;
}
