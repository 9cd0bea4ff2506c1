/**
 * Coverage as a guide, with what the runtime itself offers: V8's precise block coverage over the inspector. An input
 * that reaches a block of src/ for the first time joins the corpus, and the next mutations start from it. (The
 * WebAssembly module's inside is not seen by it; what the host does with its answers is.)
 */
import { type Profiler, Session } from 'node:inspector';
import { seeded } from '../../../scripts/lib/random.ts';
import { makeWork, mutate } from './mutate.ts';
import type { Target } from './target.ts';

const SOURCE = /\/src\/|\/smol-toml\//;

class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  start(): void {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  get blocks(): number {
    return this.#seen.size;
  }

  /** The blocks that what ran since the last call reached, and nothing before it. */
  fresh(): string[] {
    const fresh: string[] = [];
    // The callback of a session within the same thread is called before post() returns.
    this.#session.post('Profiler.takePreciseCoverage', (_error, taken) => {
      for (const script of taken?.result ?? []) if (SOURCE.test(script.url)) this.#take(script, fresh);
    });
    return fresh;
  }

  forget(blocks: readonly string[]): void {
    for (const block of blocks) this.#seen.delete(block);
  }

  stop(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  #take({ url, functions }: Profiler.ScriptCoverage, fresh: string[]): void {
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) {
        const block = `${url} ${startOffset} ${endOffset}`;
        if (count === 0 || this.#seen.has(block)) continue;
        this.#seen.add(block);
        fresh.push(block);
      }
    }
  }
}

/** Asking for coverage costs more than most inputs: it is asked for so many at once. */
const BATCH = 32;

interface Grown {
  corpus: Uint8Array[];
  tried: number;
  blocks: { before: number; after: number };
}

/** Mutates for a while and keeps what goes where nothing went before. */
export function grow(target: Target, seed: number, withinMs: number): Grown {
  const random = seeded(seed);
  const work = makeWork(target.most);
  const corpus: Uint8Array[] = [...target.corpus];
  const coverage = new Coverage();
  coverage.start();
  for (const input of target.corpus) attempt(target, Buffer.from(input.subarray(0, target.most)));
  coverage.fresh();
  const before = coverage.blocks;
  const end = performance.now() + withinMs;
  let tried = 0;
  while (performance.now() < end) {
    const batch: Buffer[] = [];
    for (let i = 0; i < BATCH; i++) {
      mutate(work, random, corpus, target.words ?? []);
      batch.push(Buffer.from(work.bytes.subarray(0, work.length)));
      attempt(target, batch[i]!);
    }
    tried += BATCH;
    const blocks = coverage.fresh();
    if (blocks.length === 0) continue;
    // One of them it was: again, each by itself.
    coverage.forget(blocks);
    for (const input of batch) {
      attempt(target, input);
      if (coverage.fresh().length > 0) corpus.push(Uint8Array.from(input));
    }
  }
  coverage.stop();
  return { corpus, tried, blocks: { before, after: coverage.blocks } };
}

/** What is thrown here is found again, and told, when the target is fuzzed. */
function attempt(target: Target, input: Buffer): void {
  try {
    target.run(input);
  } catch {
    // see above
  }
}
