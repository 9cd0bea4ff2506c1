/**
 * What the session machine may know, read when the machine asks: most steps need one or two of the counts, some none.
 */
import type { Context, Counts } from '../../session/state.ts';
import type { Engine } from '../../table/engine.ts';

class LiveCounts implements Counts {
  unsure = false;
  private readonly engine: Engine;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  get own(): number {
    return this.engine.countOf('own');
  }

  get mirrored(): number {
    return this.engine.countOf('mirrored');
  }

  get unclaimed(): number {
    return this.engine.countOf('unclaimed');
  }

  get dirty(): number {
    return this.engine.dirtyCount() + this.engine.owedAnswers();
  }

  get missing(): number {
    return this.engine.kernelMissing('mirrored') + this.engine.kernelMissing('own');
  }
}

export class LiveContext implements Context {
  now = 0;
  readonly counts: LiveCounts;
  private readonly fresh: () => string;
  private made: string | null = null;

  /** @param nonce a new one at each call */
  constructor(engine: Engine, nonce: () => string) {
    this.counts = new LiveCounts(engine);
    this.fresh = nonce;
  }

  get nonce(): string {
    this.made = this.fresh();
    return this.made;
  }

  /** The same as plain data, for a recording; the nonce only if the last step took it. */
  taken(): Omit<Context, 'nonce'> & { nonce?: string } {
    const { own, mirrored, unclaimed, dirty, missing, unsure } = this.counts;
    const plain = { now: this.now, counts: { own, mirrored, unclaimed, dirty, missing, unsure } };
    const { made } = this;
    this.made = null;
    return made === null ? plain : { ...plain, nonce: made };
  }
}
