/**
 * Who may hold a place at a listener. The places are few, and whoever connects holds one before it has shown anything:
 * so no source may have all of them, and a connection that has shown nothing yet gives way to a newcomer. Pure.
 */
import { formatAddress, networkOf, parseAddress } from './cidr.ts';

interface PlaceLimits {
  total: number;
  /** Of one source, see `sourceOf`. */
  perSource: number;
}

interface Place {
  source: string;
  /** Has shown what the listener asks for, and so never gives way. */
  proven: boolean;
}

/** What one machine can call itself at will counts as one source: an IPv4 address, the /64 of an IPv6 address. */
export function sourceOf(address: string): string {
  const parsed = parseAddress(address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, ''));
  if (parsed === null) return address;
  return formatAddress(parsed.family === 4 ? parsed : networkOf({ ...parsed, prefix: 64 }));
}

/** The places of one listener. `T` is a connection; a connection is in it once. */
export class Places<T extends object> {
  readonly #limits: PlaceLimits;
  /** In the order in which they came: a Map keeps it. */
  readonly #held = new Map<T, Place>();

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#held.size;
  }

  /**
   * Gives a newcomer a place.
   * @returns who has to go for it: nobody (null), an older connection, or the newcomer itself, which then has no place
   */
  enter(who: T, address: string): T | null {
    const source = sourceOf(address);
    let leaves: T | null = null;
    if (this.#count(source, () => true) >= this.#limits.perSource) leaves = this.#oldestSilent(source) ?? who;
    else if (this.#held.size >= this.#limits.total) leaves = this.#oldestSilent(this.#mostSilent()) ?? who;
    if (leaves === who) return who;
    if (leaves !== null) this.#held.delete(leaves);
    this.#held.set(who, { source, proven: false });
    return leaves;
  }

  /** It has shown what is asked for. */
  proven(who: T): void {
    const place = this.#held.get(who);
    if (place !== undefined) place.proven = true;
  }

  /** It is idle again: it may stay as long as nobody needs the place. */
  rest(who: T): void {
    const place = this.#held.get(who);
    if (place === undefined) return;
    this.#held.delete(who);
    this.#held.set(who, { ...place, proven: false });
  }

  leave(who: T): void {
    this.#held.delete(who);
  }

  #count(source: string, counts: (place: Place) => boolean): number {
    let count = 0;
    for (const place of this.#held.values()) if (place.source === source && counts(place)) count++;
    return count;
  }

  #oldestSilent(source: string | null): T | null {
    for (const [who, place] of this.#held) if (place.source === source && !place.proven) return who;
    return null;
  }

  /** The source with the most connections that have shown nothing: a flood pushes itself out, not others. */
  #mostSilent(): string | null {
    let most: string | null = null;
    let count = 0;
    for (const source of new Set([...this.#held.values()].map((place) => place.source))) {
      const silent = this.#count(source, (place) => !place.proven);
      if (silent > count) [most, count] = [source, silent];
    }
    return most;
  }
}
