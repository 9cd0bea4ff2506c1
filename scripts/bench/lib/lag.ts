/**
 * Sync lag from two curves over the same clock: how many flows the generator had sent, and how many states the backup's
 * kernel held. The lag of a sample is its horizontal distance: how long before it the generator had sent as many.
 */

type Curve = readonly (readonly [ns: number, count: number])[];

/** Lines `monotonic_ns count`. */
export function readCurve(text: string): Curve {
  return text
    .split('\n')
    .map((line) => line.split(' ').map(Number))
    .filter((pair): pair is [number, number] => pair.length === 2 && pair.every(Number.isFinite));
}

/** ms for each sample of the backup between nothing and everything. */
export function lags(sent: Curve, held: Curve, base: number): number[] {
  const last = Math.max(...held.map(([, count]) => count)) - base;
  const found: number[] = [];
  let at = 0;
  let done = false;
  for (const [ns, count] of held) {
    const n = count - base;
    if (n <= 0 || done) continue;
    done = n >= last;
    while (at < sent.length && (sent[at]?.[1] ?? 0) < n) at += 1;
    const [high, low] = [sent[at], sent[Math.max(0, at - 1)]];
    if (high === undefined || low === undefined) continue;
    const part = high[1] === low[1] ? 1 : (n - low[1]) / (high[1] - low[1]);
    found.push((ns - (low[0] + (high[0] - low[0]) * part)) / 1e6);
  }
  return found;
}

/** The values below which 0, 1, ... 100 percent of them lie. */
export function percentiles(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  return Array.from({ length: 101 }, (_, p) => sorted[Math.round((p / 100) * (sorted.length - 1))] ?? Number.NaN);
}
