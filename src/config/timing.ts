/**
 * The times that follow from advbase and advskew, in ms as screens and status show them; the rules are the election's.
 */

import { advertIntervalUs, masterDownUs } from '../contract/carp-timers.ts';

interface Timers {
  /** Seconds, 0..254. */
  advbase: number;
  /** 1/256 s, 0..254. */
  advskew: number;
}

/** Time between two adverts of a master, in ms. */
export function advertIntervalMs(vip: Timers): number {
  return advertIntervalUs(vip.advbase, vip.advskew) / 1000;
}

/** How long a master may be silent before this node takes over, in ms: 3000 for advbase 1 and advskew 0. */
export function takeoverMs(vip: Timers): number {
  return masterDownUs(vip.advbase, vip.advskew) / 1000;
}
