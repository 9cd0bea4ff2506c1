/** VRRP's priority and advert_int as CARP's advbase and advskew. Pure. */

/** keepalived's default when a file names none. */
export const DEFAULT_PRIORITY = 100;
/** A demotion ends at this skew, so that a larger one could not be lowered any further. */
const MAX_SKEW = 240;

interface CarpTimers {
  /** s */
  advbase: number;
  /** 1/256 s */
  advskew: number;
}

/**
 * advbase is the whole seconds of advert_int. advskew is 254 - priority, which is what VRRP itself calls the skew time
 * less its two lowest steps, so that the node that won before wins again. What advert_int has behind the point adds 256
 * times itself; below one second the priority's share shrinks with the interval, as VRRPv3's does.
 *
 * @param seconds advert_int, > 0 and below 255
 * @param priority 1..255
 */
export function carpTimers(seconds: number, priority: number): CarpTimers {
  const advbase = Math.floor(seconds);
  const fraction = seconds - advbase;
  const share = (254 - priority) * (advbase === 0 ? fraction : 1);
  const advskew = Math.min(MAX_SKEW, Math.max(0, Math.round(fraction * 256 + share)));
  return { advbase, advskew: advbase === 0 ? Math.max(1, advskew) : advskew };
}
