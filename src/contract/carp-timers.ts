/**
 * CARP's timer formulas in integer microseconds; every division is an integer division as in the kernels.
 * Skew counts in 1/256 s.
 */

const SECOND = 1_000_000;

/**
 * The gate (src/gate/): a set element in the kernel that each beat renews. Microseconds.
 *
 * `timeoutUs` after the last beat the kernel closes the gate by itself. It counts time in ticks of up to 10 ms
 * (CONFIG_HZ 100), so a peer may rely on `closedUs` only.
 */
export const GATE = { timeoutUs: 120_000, closedUs: 135_000 } as const;

/**
 * Two Carpio boxes with a sealed sync link between them, microseconds. The kernel must have closed the gate of a daemon
 * that stands still before its peer opens its own. From the moment at which the daemon stands still (the peer may have
 * received its last sign of life a heartbeat, 50 ms, before):
 *
 *   135  `GATE.closedUs`: the kernel has closed the gate
 *   150  `nap`: a daemon that runs again after longer than this is backup first, and opens nothing
 *   200  after the last sign: `dead`, the peer may take over (it has probed since `silence`)
 *   240  after the last report: `fresh`, an older report no longer holds a backup whose adverts are missing
 */
export const PAIRED = { napUs: 150_000, silenceUs: 125_000, deadUs: 200_000, freshUs: 240_000 } as const;

/** The loop looks at its clock, and beats for the gates that are open, at least this often, us. */
export const LOOK_US = 40_000;

/** OpenBSD's interval for advbase 0 and advskew 0: 1/256 s. */
const SHORTEST_US = 3906;
/** Ceiling of an advertised skew that demotion produces. */
export const DEMOTED_SKEW = 240;

/** advskew in microseconds. */
function skewUs(advskew: number): number {
  return Math.floor((advskew * SECOND) / 256);
}

/** Time between two advertisements; never 0 (OpenBSD's rule, used by Carpio too). */
export function advertIntervalUs(advbase: number, advskew: number): number {
  return advbase * SECOND + skewUs(advskew) || SHORTEST_US;
}

/** advbase and advskew as one number for comparisons: no special case for 0/0. */
export function compareUs(advbase: number, advskew: number): number {
  return advbase * SECOND + skewUs(advskew);
}

/** How long other systems wait, by their own rules. Carpio's rule is `masterDownUs`. */
export const masterDown = {
  openbsd: (advbase: number, advskew: number): number => 3 * advertIntervalUs(advbase, advskew),
  /** About 2008 to 2015. */
  openbsd2008: (advbase: number, advskew: number): number => {
    if (advbase > 0) return 3 * advbase * SECOND + skewUs(advskew);
    return Math.floor((3 * (advskew || 1) * SECOND) / 256);
  },
  freebsd: (advbase: number, advskew: number): number => 3 * advbase * SECOND + skewUs(advskew),
  /** `deadRatio`: UCarp's -r. */
  ucarp: (advbase: number, advskew: number, deadRatio = 3): number => deadRatio * advbase * SECOND + skewUs(advskew),
};

/**
 * How long Carpio waits for a master: 3 * advbase s + the skew part of the *configured* advskew, as FreeBSD, NetBSD and
 * UCarp. With advbase 0 that would be a single interval, so that equal timers would take over from each other for
 * ever; there it is three intervals, as OpenBSD has it (0/0: three times 3906 us).
 */
export function masterDownUs(advbase: number, advskew: number): number {
  if (advbase === 0) return 3 * advertIntervalUs(0, advskew);
  return masterDown.freebsd(advbase, advskew);
}

/** The demotion byte of an advertisement: the sum, 0..255. A negative sum counts as none. */
export function demoteByte(demotion: number): number {
  return Math.min(255, Math.max(0, demotion));
}

/**
 * Skew as Carpio advertises and compares it: advskew + demotion, at most 240, never below the configured one, so that
 * a negative sum changes nothing.
 */
export function effectiveSkew(advskew: number, demotion: number): number {
  return Math.max(advskew, Math.min(DEMOTED_SKEW, advskew + demotion));
}

/** FreeBSD 10+: clamp(advskew + demotion, 0, 240). */
export function freebsdSkew(advskew: number, demotion: number): number {
  return Math.min(DEMOTED_SKEW, Math.max(0, advskew + demotion));
}

/** NetBSD, FreeBSD up to 9, UCarp: 240 while suppressed, unless the configured one is higher. */
export function suppressedSkew(advskew: number, suppress: number): number {
  return suppress > 0 ? Math.max(advskew, DEMOTED_SKEW) : advskew;
}
