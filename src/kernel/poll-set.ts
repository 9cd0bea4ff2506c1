/**
 * ppoll(2) on a fixed set of descriptors, with times finer than poll's milliseconds. What it has said of each
 * descriptor is kept: no look at one that has nothing costs less than a look.
 *
 * struct pollfd: fd i32, events i16, revents i16; a negative fd is passed over. struct timespec: seconds and
 * nanoseconds, 64 bits each.
 */
import { libc, Sock } from './libc.ts';

const POLLFD = 8;
const REVENTS_AT = 6;

export interface Ready {
  is: boolean;
}

export class PollSet {
  /** In the order of the descriptors; whoever has read one empty says so here. */
  readonly ready: readonly Ready[];
  private readonly all: Buffer;
  private readonly others: Buffer[];
  private readonly count: number;
  /** Seconds at 0, nanoseconds at 2; the upper halves stay 0. */
  private readonly time = new Uint32Array(4);
  private readonly timeBytes = Buffer.from(this.time.buffer);

  constructor(fds: readonly number[]) {
    this.count = fds.length;
    this.all = setOf(fds);
    // A pause without the first one, without the first two, and so on.
    this.others = fds.map((_, last) => setOf(fds.map((fd, i) => (i <= last ? -1 : fd))));
    this.ready = fds.map(() => ({ is: true }));
  }

  /** Sleeps until one of them has something, at most this many ms. */
  wait(ms: number): void {
    this.poll(this.all, ms);
  }

  /**
   * The same without the first `patient` ones (1 or more), of which is supposed afterwards that they have something.
   * Whether another one has.
   */
  pause(ms: number, patient: number): boolean {
    const woken = this.poll(this.others[patient - 1] ?? this.all, ms);
    for (let i = 0; i < patient; i++) {
      const one = this.ready[i];
      if (one !== undefined) one.is = true;
    }
    return woken;
  }

  private poll(set: Buffer, ms: number): boolean {
    const us = Math.max(0, Math.ceil(ms * 1000));
    this.time[0] = Math.floor(us / 1_000_000);
    this.time[2] = (us % 1_000_000) * 1000;
    const count = libc().ppoll(set, this.count, this.timeBytes, null);
    for (let i = 0; i < this.count; i++) {
      const one = this.ready[i];
      // After an error (EINTR) nothing is known: a look at each is harmless.
      if (one !== undefined) one.is = count < 0 || (count > 0 && set.readUInt16LE(i * POLLFD + REVENTS_AT) !== 0);
    }
    return count !== 0;
  }
}

function setOf(fds: readonly number[]): Buffer {
  const set = Buffer.alloc(fds.length * POLLFD);
  fds.forEach((fd, i) => {
    set.writeInt32LE(fd, i * POLLFD);
    set.writeUInt16LE(Sock.POLLIN, i * POLLFD + 4);
  });
  return set;
}
