/**
 * Keys of the peer's HELLOs. Each nonce has a key of its own, and to derive one takes some 20 us: a stranger on the
 * sync link could keep the node busy with made-up nonces. So the keys of nonces that have opened a HELLO are kept, and
 * other nonces are tried at a bounded rate. HELLOs of the known peer are always opened, and a flood costs a hundredth
 * of a processor. A peer that starts again during a flood is heard as soon as one of its HELLOs (five a second) is
 * tried.
 */
import type { Aead } from '../../contract/aead.ts';
import type { PairKeys } from './pair-keys.ts';
import { helloKey } from './seal.ts';

/** Unknown nonces that are tried in a second, and at once. */
export const HELLO_TRIES = { perSecond: 500, burst: 50 } as const;
/** A peer has one nonce, and another one while it renews its session. */
const KEPT = 4;

export class HelloKeys {
  private readonly keys: PairKeys;
  private generation: number;
  private readonly kept = new Map<string, Aead[]>();
  private tokens: number = HELLO_TRIES.burst;
  private filledAt = 0;

  /** @param keys the secrets that the peer may seal with */
  constructor(keys: PairKeys) {
    this.keys = keys;
    this.generation = keys.generation;
  }

  /** One for each secret. `null`: too many unknown nonces just now, so this one is not tried. */
  find(nonce: Buffer, now: number): Aead[] | null {
    if (this.generation !== this.keys.generation) this.kept.clear();
    this.generation = this.keys.generation;
    const kept = this.kept.get(nonce.toString('hex'));
    if (kept !== undefined) return kept;
    const refill = (Math.max(0, now - this.filledAt) * HELLO_TRIES.perSecond) / 1000;
    this.tokens = Math.min(HELLO_TRIES.burst, this.tokens + refill);
    this.filledAt = now;
    if (this.tokens < 1) return null;
    this.tokens -= 1;
    return this.keys.secrets.map((secret) => helloKey(secret, nonce));
  }

  /** Has a holder of a secret used this nonce? */
  knows(nonce: Buffer): boolean {
    return this.kept.has(nonce.toString('hex'));
  }

  /** A HELLO has been opened with one of these: its sender knows a secret. */
  proven(nonce: Buffer, keys: Aead[]): void {
    const name = nonce.toString('hex');
    if (this.kept.has(name)) return;
    this.kept.set(name, keys);
    const oldest = this.kept.keys().next().value;
    if (this.kept.size > KEPT && oldest !== undefined) this.kept.delete(oldest);
  }
}
