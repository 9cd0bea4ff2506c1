/**
 * Sleeps 5 ms again and again at real-time priority, and tells when it woke late: then the machine stood still.
 *
 *   usage: still.ts LIMIT_US LIFETIME_S
 *
 * Commands: mark (forgets), report: the longest delay in ms, and how many were longer than LIMIT_US.
 */
import { libc } from '../../../src/kernel/libc.ts';
import { makeRealTime } from '../../../src/kernel/scheduling.ts';
import { numberArgument, obey, tell } from './lines.ts';

/** Above the daemon's: what is looked for is a machine that stands still, not a loop that is busy. */
const PRIORITY = 20;
const SLEEP_US = 5000;
/** Between two looks at the commands. */
const NAPS = 20;
const limitUs = numberArgument(1);
let longestMs = 0;
let over = 0;

function watch(): void {
  for (let nap = 0; nap < NAPS; nap++) {
    const begun = performance.now();
    libc().usleep(SLEEP_US);
    const lateMs = performance.now() - begun - SLEEP_US / 1000;
    longestMs = Math.max(longestMs, lateMs);
    if (lateMs * 1000 > limitUs) over += 1;
  }
  setImmediate(watch);
}

obey(({ cmd }) => {
  const report = { longest_ms: Math.round(longestMs * 10) / 10, over };
  if (cmd === 'mark') {
    longestMs = 0;
    over = 0;
  }
  return report;
}, numberArgument(2));
makeRealTime(PRIORITY);
tell({ type: 'ready' });
watch();
