/** Time as the control thread sees it. The daemon has the machine's, the simulator one of its own. */

export interface Clock {
  /** Monotonic microseconds. */
  nowUs(): number;
  /** Calls once after at least `ms`; what it returns takes the call back. */
  later(ms: number, call: () => void): () => void;
}

/** Monotonic microseconds. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export const REAL_CLOCK: Clock = {
  nowUs,
  later: (ms, call) => {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
