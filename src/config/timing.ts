/**
 * The times that follow from advbase and advskew. Microseconds are integers, as in the kernels of the BSDs, so that two
 * implementations agree on the last digit. Pure.
 */

export interface Timers {
  /** Seconds, 0..254. */
  advbase: number;
  /** 1/256 s, 0..254. */
  advskew: number;
}

/** The shortest interval there is: 1/256 s, which also stands for "0 s" (advbase 0, advskew 0), as OpenBSD does it. */
const TICK_US = Math.floor(1_000_000 / 256);

function skewUs(advskew: number): number {
  return Math.floor((advskew * 1_000_000) / 256);
}

/** Time between two adverts of a master, in ms. */
export function advertIntervalMs(vip: Timers): number {
  const us = vip.advbase * 1_000_000 + skewUs(vip.advskew);
  return (us === 0 ? TICK_US : us) / 1000;
}

/**
 * How long a master may be silent before this node takes over, in ms: 3 * advbase + advskew/256 s. With advbase 0 the
 * skew *is* the interval, so it counts three times (OpenBSD's rule of 2008 to 2015): one interval of patience would make a
 * backup take over at the first late advert.
 */
export function takeoverMs(vip: Timers): number {
  if (vip.advbase === 0) return (3 * Math.max(TICK_US, skewUs(vip.advskew))) / 1000;
  return (3 * vip.advbase * 1_000_000 + skewUs(vip.advskew)) / 1000;
}
