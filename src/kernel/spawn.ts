/**
 * Starting programs from a thread of real-time priority.
 *
 * The thread that forks waits until the child has called exec. A child that is put back to ordinary priority at the
 * fork (SCHED_RESET_ON_FORK) calls it when the other programs let it: with every core busy the election stood still for
 * up to 1.5 s each time that the rules were read back. So the child keeps the priority for as long as it takes to
 * become `chrt`, which gives it back and then becomes the program. (sched(7); libuv's uv_spawn waits on a pipe that
 * exec closes.)
 */
import { closeOnExec } from './close-on-exec.ts';
import { findProgram } from './programs.ts';
import { inheritPriority } from './scheduling.ts';

const LOWER = 'chrt';
const LOWER_ARGS = ['--other', '0'];

/**
 * Starts a program so that it runs at ordinary priority, that its start does not wait for its turn, and that it
 * inherits nothing but its standard streams.
 * @param spawn starts what it is given; called exactly once
 */
export function start<T>(program: string, args: readonly string[], spawn: (program: string, args: string[]) => T): T {
  closeOnExec();
  const plain = (): T => spawn(program, [...args]);
  // What cannot be started is left to spawn, whose words for it are the clear ones.
  const found = findProgram(program);
  const lower = found === null ? null : findProgram(LOWER);
  if (found === null || lower === null) return plain();
  const restore = inheritPriority();
  if (restore === null) return plain();
  try {
    return spawn(lower, [...LOWER_ARGS, found, ...args]);
  } finally {
    restore();
  }
}
