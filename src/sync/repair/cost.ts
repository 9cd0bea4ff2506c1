/** What a repair by difference costs beside the plain list of all states: the limits both sides of it keep. */

export const REPAIR = {
  /** With fewer states than this the plain list is as cheap. */
  least: 200,
  /** Repairs in a row after which the digests still differ; then everything is sent. */
  rounds: 2,
  /** Milliseconds without any progress, the peer being there, after which a repair is given up. */
  patience: 5000,
  /** Bytes of a state in a plain list, of a symbol, of an id. */
  stateCost: 26,
  symbolCost: 16,
  idCost: 8,
  /** Symbols for each difference, as published. */
  overhead: 1.4,
  /** Symbols that are sent at least, and asked for at least. */
  first: 24,
  more: 48,
} as const;

/** Is a repair by difference cheaper than the plain list, as far as the two counts tell? */
export function worthwhile(owned: number, mirrored: number): boolean {
  if (owned < REPAIR.least || mirrored === 0) return false;
  const least = Math.abs(owned - mirrored);
  const each = REPAIR.overhead * REPAIR.symbolCost + (owned > mirrored ? REPAIR.idCost + REPAIR.stateCost : 0);
  return least * each < owned * REPAIR.stateCost;
}

/** The symbols beyond which the plain list is cheaper: each difference also costs an id or a record, at half of them. */
export function mostSymbols(owned: number): number {
  const each = REPAIR.symbolCost + (REPAIR.idCost + REPAIR.stateCost) / (2 * REPAIR.overhead);
  return Math.max(512, Math.ceil((owned * REPAIR.stateCost) / each));
}

/**
 * Symbols sent at once: as many as the differences will take by what the counts and the differing buckets (of 256) say.
 * Differences fall into buckets at random, so -256 ln(1 - b/256) of them make b buckets differ.
 */
export function firstSymbols(differing: number, owned: number, mirrored: number): number {
  const full = Math.min(differing, 250);
  const guess = Math.max(-256 * Math.log(1 - full / 256), Math.abs(owned - mirrored));
  return Math.min(mostSymbols(owned), REPAIR.first + Math.ceil(REPAIR.overhead * guess));
}
