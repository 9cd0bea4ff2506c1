/**
 * No descriptor but 0 to 2 reaches a program that this process starts. Sockets that are opened here say so themselves
 * (SOCK_CLOEXEC), but those of raw-socket and of other libraries do not: a program that inherits one sends CARP packets
 * with no rights of its own.
 */
import { readdirSync } from 'node:fs';
import { libc } from './libc.ts';

/** close_range(2): Linux 5.9, the flag 5.11; the number is the same on x86-64 and arm64. */
const SYS_CLOSE_RANGE = 436;
const CLOSE_RANGE_CLOEXEC = 4;
const FIRST = 3;
const LAST = 0x7fff_ffff;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/**
 * Marks every open descriptor from 3 on. What spawn(2) hands over as standard streams is a copy that it makes later.
 */
export function closeOnExec(): void {
  const c = functions();
  if (c === null || c.syscall(SYS_CLOSE_RANGE, FIRST, LAST, CLOSE_RANGE_CLOEXEC) === 0) return;
  for (const fd of readdirSync('/proc/self/fd').map(Number)) if (fd >= FIRST) c.fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/** Null where no native code can be loaded: then nothing was opened but by Node, which marks all that it opens. */
function functions(): ReturnType<typeof libc> | null {
  try {
    return libc();
  } catch {
    return null;
  }
}
