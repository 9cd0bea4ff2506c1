/**
 * The pair's key while the node runs. A reload that brings another one does not drop the one before: the peer may not
 * have the new one yet. Both count until the dataplane says that both nodes seal with the new one
 * (sync/dialect/carpio/key-roll.ts), or that nobody came.
 */
import type { Secret } from '../config/secret.ts';
import type { Config } from '../config/types.ts';

/** Keys that are taken at once: two changes in a row before the peer has followed the first. */
const MOST = 4;

/** The pair's keys that the files name, the one to use first in front. */
const named = ({ sync }: Config): Secret[] => [sync?.key, sync?.keyOld].filter((key) => key != null);

const distinct = (keys: readonly Secret[]): Secret[] =>
  keys.filter((key, i) => keys.findIndex((one) => one.equals(key)) === i).slice(0, MOST);

export class PairKey {
  #config: Config;
  #keys: Secret[];
  readonly #give: (secrets: readonly Uint8Array[]) => void;

  /** @param give tells everybody who uses the key which ones count now */
  constructor(config: Config, give: (secrets: readonly Uint8Array[]) => void) {
    this.#config = config;
    this.#keys = distinct(named(config));
    this.#give = give;
  }

  /** The one to use first in front; empty: the link is open. */
  get secrets(): Uint8Array[] {
    return this.#keys.map((key) => new Uint8Array(key.reveal()));
  }

  /**
   * Another configuration counts. From a key to none, or from none to one, is a matter of the next start.
   * @returns true when there is another key now
   */
  change(config: Config): boolean {
    const wanted = named(config);
    if (this.#keys.length === 0 || !config.sync?.key) return false;
    this.#config = config;
    const before = this.#keys[0];
    this.#set(distinct([...wanted, ...this.#keys]));
    return before !== undefined && !before.equals(config.sync.key);
  }

  /** The change is over: only what the files name counts. */
  settle(): void {
    this.#set(distinct(named(this.#config)));
  }

  #set(keys: Secret[]): void {
    const same = keys.length === this.#keys.length && keys.every((key, i) => this.#keys[i]?.equals(key));
    if (same) return;
    this.#keys = keys;
    this.#give(this.secrets);
  }
}
