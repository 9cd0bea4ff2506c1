/**
 * The secrets that this node takes for the pair's: the key, and while it is being changed those before. HELLOs are sealed
 * with each, so that a peer that has only one of them opens one; which one a session then runs under is a rule that both
 * nodes come to by themselves: the first in the senior's list that the junior has too.
 */
import { hkdfSync } from 'node:crypto';
import type { Mix } from './key-chain.ts';
import { chainSecret } from './seal.ts';

/** `null`: the link is open. */
export type PairSecret = Buffer | null;

const ID_BYTES = 8;

/** What names a secret inside a sealed HELLO, 16 hex digits. Nothing of the secret can be learned from it. */
export function secretId(secret: PairSecret): string {
  if (secret === null) return 'open';
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'carpio/1 id', ID_BYTES)).toString('hex');
}

export class PairKeys {
  private current: { secrets: readonly PairSecret[]; ids: readonly string[]; generation: number };

  /** @param secrets the one to use first, then those that are taken too */
  constructor(secrets: readonly PairSecret[]) {
    this.current = { secrets, ids: secrets.map(secretId), generation: 1 };
  }

  /** From now on these; a session that runs under another goes on (key-roll.ts). */
  replace(secrets: readonly PairSecret[]): void {
    this.current = { secrets, ids: secrets.map(secretId), generation: this.current.generation + 1 };
  }

  get secrets(): readonly PairSecret[] {
    return this.current.secrets;
  }

  /** In the order of preference. */
  get ids(): readonly string[] {
    return this.current.ids;
  }

  /** Rises when they are replaced. */
  get generation(): number {
    return this.current.generation;
  }

  /**
   * The secret of a session with a peer that has these.
   * @param junior this node's name sorts behind the peer's
   */
  choose(peerIds: readonly string[], junior: boolean): PairSecret {
    const id = this.common(peerIds, junior);
    return this.secrets[id === null ? 0 : this.ids.indexOf(id)] ?? null;
  }

  /** Its name; null: the two have none in common, or nothing is known of the peer's. */
  common(peerIds: readonly string[], junior: boolean): string | null {
    const [first, second] = junior ? [peerIds, this.ids] : [this.ids, peerIds];
    return first.find((one) => second.includes(one)) ?? null;
  }

  /** What a chain of session keys mixes in when it goes over to each of these, but the one that it runs under. */
  mixes(under: string): Mix[] {
    return this.secrets.flatMap((secret, i) => {
      const id = this.ids[i] ?? '';
      return id === under ? [] : [{ id, bytes: chainSecret(secret) }];
    });
  }
}
