/**
 * What the election must know of the interfaces' own addresses, told whenever it changes. An address that is lost is
 * told a moment later: a network service that sets an interface up anew takes its addresses away for some milliseconds,
 * and the other node is patient for three adverts.
 */
import type { Clock } from '../contract/clock.ts';
import type { GroupConfig } from './types.ts';

/** How long an own address may be away without a word, ms. */
const LOST_MS = 500;

const lackingIn = (config: GroupConfig): number =>
  config.vips.reduce((sum, { lacking }) => sum + (lacking?.length ?? 0), 0);

export class OwnSources {
  readonly #feed: (config: GroupConfig) => void;
  readonly #clock: Clock;
  #known: GroupConfig;
  #next: GroupConfig | null = null;
  #cancel: (() => void) | null = null;

  constructor(config: GroupConfig, feed: (config: GroupConfig) => void, clock: Clock) {
    this.#known = config;
    this.#feed = feed;
    this.#clock = clock;
  }

  /** The addresses may have changed. */
  look(config: GroupConfig): void {
    const same = JSON.stringify(config) === JSON.stringify(this.#known);
    this.#next = same ? null : config;
    if (same) this.close();
    else if (lackingIn(config) <= lackingIn(this.#known)) this.now(config);
    else this.#cancel ??= this.#clock.later(LOST_MS, () => this.#next && this.now(this.#next));
  }

  /** Another configuration: it counts at once. */
  now(config: GroupConfig): void {
    this.close();
    this.#known = config;
    this.#feed(config);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#next = null;
  }
}
