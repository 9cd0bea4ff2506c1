/**
 * Processor time of the calling thread in ns, exact. `process.threadCpuUsage()` is getrusage(RUSAGE_THREAD), which a
 * tick-based kernel brings up to date every few milliseconds only; this is the clock that lib/table.c reads too.
 */
import { loadKoffi } from '../../../src/kernel/natives.ts';

const CLOCK_THREAD_CPUTIME_ID = 3;

const read = loadKoffi().load(null).func('int clock_gettime(int, void *)') as (
  clock: number,
  out: Uint8Array,
) => number;
const bytes = new Uint8Array(16);
const view = new DataView(bytes.buffer);

export function threadNs(): number {
  if (read(CLOCK_THREAD_CPUTIME_ID, bytes) !== 0) throw new Error('clock_gettime(CLOCK_THREAD_CPUTIME_ID) failed');
  // Seconds of processor time fit into 32 bits; no BigInt, so that reading the clock makes no garbage.
  return view.getUint32(0, true) * 1e9 + view.getUint32(8, true);
}
