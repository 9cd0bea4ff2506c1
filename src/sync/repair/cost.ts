/** What a repair costs compared with the plain list of all states, and the limits that both nodes keep. Pure. */
import { BUCKETS, ID_SIZE, SYMBOL_SIZE } from '../wire/repair.ts';

export const REPAIR = {
  /** With fewer states than this the plain list is as cheap. */
  least: 200,
  /** After so many repairs in a row that left a difference, everything is sent. */
  rounds: 2,
  /** A repair is given up after so many milliseconds without progress while the peer is heard. */
  patience: 5000,
  /** Bytes of a state in a plain list, of a symbol, of an id. */
  stateCost: 26,
  symbolCost: SYMBOL_SIZE,
  idCost: ID_SIZE,
  /** Symbols for each difference, as published. */
  overhead: 1.4,
  /** Symbols that are sent at least, and asked for at least. */
  first: 24,
  more: 48,
} as const;

/** Is a repair cheaper than the plain list, as far as the two counts show? */
export function worthwhile(owned: number, mirrored: number): boolean {
  if (owned < REPAIR.least || mirrored === 0) return false;
  const least = Math.abs(owned - mirrored);
  const each = REPAIR.overhead * REPAIR.symbolCost + (owned > mirrored ? REPAIR.idCost + REPAIR.stateCost : 0);
  return least * each < owned * REPAIR.stateCost;
}

/** With more symbols the plain list is cheaper. Half of the differences also cost an id and an update each. */
export function mostSymbols(owned: number): number {
  const each = REPAIR.symbolCost + (REPAIR.idCost + REPAIR.stateCost) / (2 * REPAIR.overhead);
  return Math.max(512, Math.ceil((owned * REPAIR.stateCost) / each));
}

/**
 * How many symbols to send at first: as many as the differences will need, by the two counts and the number of
 * differing buckets. Differences fall into the 256 buckets at random, so about -256 ln(1 - b/256) of them make b
 * buckets differ.
 */
export function firstSymbols(differing: number, owned: number, mirrored: number): number {
  const full = Math.min(differing, 250);
  const guess = Math.max(-BUCKETS * Math.log(1 - full / BUCKETS), Math.abs(owned - mirrored));
  return Math.min(mostSymbols(owned), REPAIR.first + Math.ceil(REPAIR.overhead * guess));
}
