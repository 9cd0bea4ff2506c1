/**
 * How long one slice of background work (repair, sweep, the end of an audit) kept the dataplane loop. No event is taken
 * meanwhile, so it bounds the sync lag. A histogram in the shared array.
 */

/** Upper bounds of the counts, ms; the last count has none. */
export const SLICE_BOUNDS = [0.5, 1, 2, 5, 10, 20, 50] as const;
/** Places the histogram takes: a count for each bound, one beyond them, the sum of all in ms. */
export const SLICE_PLACES = SLICE_BOUNDS.length + 2;

export class Slices {
  private readonly stats: Float64Array;
  private readonly at: number;

  /** @param at first of its places */
  constructor(stats: Float64Array, at: number) {
    this.stats = stats;
    this.at = at;
  }

  /** One slice took so many ms. */
  add(ms: number): void {
    const found = SLICE_BOUNDS.findIndex((bound) => ms <= bound);
    this.bump(found < 0 ? SLICE_BOUNDS.length : found, 1);
    this.bump(SLICE_PLACES - 1, ms);
  }

  private bump(place: number, by: number): void {
    this.stats[this.at + place] = (this.stats[this.at + place] ?? 0) + by;
  }
}
