/** Repeatable chance for soak and fuzzing: the same seed, the same sequence, on every machine. Not for secrets. */

export interface Random {
  /** 0 <= n < 1. */
  next(): number;
  /** A whole number, both ends included. */
  int(low: number, high: number): number;
  pick<T>(list: readonly T[]): T;
  /** One of a list by weight (those without a `weight` count 1). */
  weighted<T extends { weight?: number }>(list: readonly T[]): T;
  chance(probability: number): boolean;
}

/** @param seed 32 bits are used (mulberry32) */
export function seeded(seed: number): Random {
  let a = seed >>> 0;
  const next = (): number => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  return {
    next,
    pick,
    int: (low, high) => low + Math.floor(next() * (high - low + 1)),
    chance: (probability) => next() < probability,
    weighted(list) {
      let rest = next() * list.reduce((sum, one) => sum + (one.weight ?? 1), 0);
      for (const one of list) {
        rest -= one.weight ?? 1;
        if (rest < 0) return one;
      }
      return list.at(-1)!;
    },
  };
}
