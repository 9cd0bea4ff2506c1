/**
 * The secrets that this node accepts as the pair's: the key, and while it is being changed the ones before. Each HELLO
 * is sent sealed with each of them, so a peer that has only one can open one. The session then runs under the first
 * secret in the senior's list that the junior has too; both nodes find it without a word.
 */
import { hkdfSync } from 'node:crypto';
import type { Mix } from './key-chain.ts';
import { chainSecret } from './seal.ts';

/** `null`: the link is open. */
export type PairSecret = Buffer | null;

const ID_BYTES = 8;

/** Names a secret inside a sealed HELLO, 16 hex digits. Nothing of the secret can be learned from it. */
export function secretId(secret: PairSecret): string {
  if (secret === null) return 'open';
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'carpio/1 id', ID_BYTES)).toString('hex');
}

export class PairKeys {
  private current: { secrets: readonly PairSecret[]; ids: readonly string[]; generation: number };

  /** @param secrets the one to use first, then those that are accepted too */
  constructor(secrets: readonly PairSecret[]) {
    this.current = { secrets, ids: secrets.map(secretId), generation: 1 };
  }

  /** A session that runs under a secret that is not among these goes on (key-roll.ts). */
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

  /** Rises when the secrets are replaced. */
  get generation(): number {
    return this.current.generation;
  }

  /**
   * The secret of a session with a peer that names these.
   * @param junior this node's name sorts behind the peer's
   */
  choose(peerIds: readonly string[], junior: boolean): PairSecret {
    const id = this.common(peerIds, junior);
    return this.secrets[id === null ? 0 : this.ids.indexOf(id)] ?? null;
  }

  /** Its name; null: the two nodes have none in common, or the peer's are not known. */
  common(peerIds: readonly string[], junior: boolean): string | null {
    const [first, second] = junior ? [peerIds, this.ids] : [this.ids, peerIds];
    return first.find((one) => second.includes(one)) ?? null;
  }

  /** What a chain of session keys mixes in to go over to each of the secrets, except the one that it runs under. */
  mixes(under: string): Mix[] {
    return this.secrets.flatMap((secret, i) => {
      const id = this.ids[i] ?? '';
      return id === under ? [] : [{ id, bytes: chainSecret(secret) }];
    });
  }
}
