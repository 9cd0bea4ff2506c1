/** The calling thread's place in the kernel's queue (sched(7)). */
import { check, libc } from './libc.ts';

const SCHED_RR = 2;
/** What the thread starts (helper threads, nft, hooks) runs as anybody: only the election has a deadline. */
const SCHED_RESET_ON_FORK = 0x40000000;

/** The guardian must run when the election does not let go of a processor. */
export const GUARD_PRIORITY = 20;

/**
 * Puts the calling thread before everything that is not real-time. RR and not FIFO, so that two nodes on one machine share
 * a processor; the kernel keeps 5 % of each second for the others (sched_rt_runtime_us).
 * @param priority 1..99
 * @throws SysError EPERM without CAP_SYS_NICE (or RLIMIT_RTPRIO)
 */
export function makeRealTime(priority: number): void {
  const param = Buffer.alloc(4);
  param.writeInt32LE(priority);
  check(libc().sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, param), `take real-time priority ${priority}`);
}
