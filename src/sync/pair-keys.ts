/**
 * The secrets that this node takes for the pair's: the key, and while it is being changed the old one. HELLOs are sealed
 * with each, so that a peer that has only one of them opens one; which one a session then runs under is a rule that both
 * nodes come to by themselves: the first in the senior's list that the junior has too.
 */
import { hkdfSync } from 'node:crypto';

/** `null`: the link is open. */
export type PairSecret = Buffer | null;

const ID_BYTES = 8;

/** What names a secret inside a sealed HELLO, 16 hex digits. Nothing of the secret can be learned from it. */
function idOf(secret: PairSecret): string {
  if (secret === null) return 'open';
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'carpio/1 id', ID_BYTES)).toString('hex');
}

export class PairKeys {
  readonly secrets: readonly PairSecret[];
  /** In the order of preference. */
  readonly ids: readonly string[];

  /** @param secrets the one to use first, then those that are taken too */
  constructor(secrets: readonly PairSecret[]) {
    this.secrets = secrets;
    this.ids = secrets.map(idOf);
  }

  /**
   * The secret of a session with a peer that has these.
   * @param junior this node's name sorts behind the peer's
   */
  choose(peerIds: readonly string[], junior: boolean): PairSecret {
    const [first, second] = junior ? [peerIds, this.ids] : [this.ids, peerIds];
    const id = first.find((one) => second.includes(one));
    const at = id === undefined ? 0 : this.ids.indexOf(id);
    return this.secrets[at] ?? null;
  }
}
