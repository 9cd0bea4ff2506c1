/** The calling thread's place in the kernel's queue (sched(7)). */
import { readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { check, Errno, libc, SysError } from './libc.ts';

const SCHED_RR = 2;
/** What the thread starts (helper threads, nft, hooks) runs as anybody: only the election has a deadline. */
const SCHED_RESET_ON_FORK = 0x40000000;

/**
 * Puts the calling thread before everything that is not real-time. RR and not FIFO, so that two nodes on one machine
 * share a processor; the kernel keeps 5 % of each second for the others (sched_rt_runtime_us).
 * @param priority 1..99
 * @throws SysError EPERM without CAP_SYS_NICE (or RLIMIT_RTPRIO)
 */
export function makeRealTime(priority: number): void {
  setScheduler(SCHED_RR | SCHED_RESET_ON_FORK, priority);
  held = priority;
}

/** Of the calling thread (every thread has this module for itself); 0: an ordinary one. */
let held = 0;

/**
 * Until the result is called, what this thread starts has its priority too.
 * @returns null when it has none to give, or may not (CAP_SYS_NICE is needed to take the flag away)
 */
export function inheritPriority(): (() => void) | null {
  if (held === 0) return null;
  try {
    setScheduler(SCHED_RR, held);
  } catch {
    return null;
  }
  return () => setScheduler(SCHED_RR | SCHED_RESET_ON_FORK, held);
}

/** @param thread its id; 0: the calling one */
function setScheduler(policy: number, priority: number, thread = 0): void {
  const param = Buffer.alloc(4);
  param.writeInt32LE(priority);
  check(libc().sched_setscheduler(thread, policy, param), `take real-time priority ${priority}`);
}

/**
 * For the main thread, before it starts threads of its own: makes the threads of the runtime that it waits for urgent,
 * too.
 *
 * V8's collect garbage and compile for it. At ordinary priority, with every core busy, it waited for half a second;
 * first among the ordinary ones, it still waited as long as a real-time thread (the own dataplane) had the core that
 * the helper was on.
 *
 * libuv's pool wakes it from inside a locked mutex (worker() in threadpool.c calls uv_async_send with wq_mutex held):
 * woken, it takes the core from the thread that holds the mutex, and then waits for that thread, which waits for a
 * core.
 * @param priority below the thread's that waits; 0: first among the ordinary ones
 * @throws SysError EPERM as `makeRealTime`
 */
export async function hurryHelpers(priority: number): Promise<void> {
  // The pool makes all its threads with the first piece of work.
  await stat('/');
  for (const thread of readdirSync('/proc/self/task').map(Number)) {
    if (thread !== process.pid) hurryThread(thread, priority);
  }
}

/**
 * One helper thread; one that has ended since it was listed needs nothing.
 * @param priority as for `hurryHelpers`
 * @throws SysError EPERM
 */
export function hurryThread(thread: number, priority: number): void {
  if (priority === 0) {
    runSooner(constants.priority.PRIORITY_HIGHEST, thread);
    return;
  }
  try {
    setScheduler(SCHED_RR | SCHED_RESET_ON_FORK, priority, thread);
  } catch (error) {
    if (!(error instanceof SysError && error.errno === Errno.ESRCH)) throw error;
  }
}

/**
 * Puts a thread before other ordinary ones; without the right to it nothing changes.
 * @param nice -20 to 19
 * @param thread its id; 0: the calling one (Linux sets it for the one thread alone)
 */
export function runSooner(nice: number, thread = 0): void {
  try {
    setPriority(thread, nice);
  } catch {
    // not allowed, or the thread has ended
  }
}
