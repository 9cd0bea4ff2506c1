/**
 * The guardian: a second process of the same program that outlives the daemon by a moment. It holds one end of a socket
 * pair; when the daemon dies, however it dies, the kernel closes the other end, and the addresses go. When the daemon
 * hangs for longer than a vhid's master-down time, they go down as well.
 *
 * It never returns to Node's loop: one blocking poll(2) after the other, nothing between the news and the system call.
 */
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { messageOf } from '../../contract/message-of.ts';
import { closeQuietly, Errno, errno, libc, Sock } from '../../kernel/libc.ts';
import { Rtnetlink } from '../../kernel/rtnetlink.ts';
import { GUARD_PRIORITY, makeRealTime, runSooner } from '../../kernel/scheduling.ts';
import { Speaker } from './last-words.ts';
import type { FromGuard, GuardedVhid, ToGuard } from './messages.ts';
import { decode, encode, MESSAGE_BYTES } from './messages.ts';
import type { GuardAction, GuardEvent } from './watchman.ts';
import { createGuard, guardDeadline, stepGuard } from './watchman.ts';

/** The descriptor that the daemon gives (keeper.ts). */
const GUARD_FD = 3;
const MESSAGES_PER_WAKE = 256;
const LONGEST_SLEEP_MS = 10_000;

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

/**
 * @returns the exit code: 0 the daemon said goodbye, 1 it died and its addresses were removed, 2 not started by a
 * daemon
 */
export function runGuard(): number {
  // A signal to the whole group (a terminal, a service manager) is for the daemon: it hands over first, then says bye.
  // SIGABRT: a service manager's watchdog sends it to all of a service, and then the addresses must go.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGABRT'] as const) process.on(signal, () => {});
  preferOurselves();
  const type = Buffer.alloc(4);
  if (libc().getsockopt(GUARD_FD, Sock.SOL_SOCKET, SO_TYPE, type, Buffer.from(Uint32Array.of(4).buffer)) < 0) {
    process.stderr.write('carpio guard: carpio run starts its guardian itself\n');
    return 2;
  }
  const guard = new Guard();
  return guard.run();
}

const SO_TYPE = 3;

// The last to be chosen when memory is short, the first to run when time is. Without the privilege it works as well.
function preferOurselves(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '-1000');
  } catch {
    // not allowed
  }
  runSooner(constants.priority.PRIORITY_HIGHEST);
  try {
    makeRealTime(GUARD_PRIORITY);
  } catch {
    // not allowed
  }
}

class Guard {
  private readonly state = createGuard();
  private readonly rtnl = new Rtnetlink();
  private readonly speaker = new Speaker();
  private readonly buffer = Buffer.alloc(MESSAGE_BYTES);
  private readonly pollSet = Buffer.alloc(8);
  private exitCode: number | null = null;

  run(): number {
    this.pollSet.writeInt32LE(GUARD_FD, 0);
    this.pollSet.writeUInt16LE(Sock.POLLIN, 4);
    this.tell({ type: 'ready', pid: process.pid });
    while (this.exitCode === null) {
      const deadline = guardDeadline(this.state);
      const ms = deadline === null ? LONGEST_SLEEP_MS : Math.ceil((deadline - nowUs()) / 1000) + 1;
      libc().poll(this.pollSet, 1, Math.max(0, Math.min(LONGEST_SLEEP_MS, ms)));
      this.read();
      if (this.exitCode === null) this.feed({ type: 'tick' });
    }
    closeQuietly(GUARD_FD);
    return this.exitCode;
  }

  private read(): void {
    for (let i = 0; i < MESSAGES_PER_WAKE && this.exitCode === null; i++) {
      const length = Number(libc().recv(GUARD_FD, this.buffer, MESSAGE_BYTES, Sock.MSG_DONTWAIT));
      if (length < 0) {
        const error = errno();
        if (error === Errno.EINTR) continue;
        if (error !== Errno.EAGAIN) this.feed({ type: 'end' });
        return;
      }
      if (length === 0) {
        this.feed({ type: 'end' });
        return;
      }
      const message = decode<ToGuard>(this.buffer.subarray(0, length));
      if (message !== null) this.feed({ type: 'message', message });
    }
  }

  private feed(event: GuardEvent): void {
    for (const action of stepGuard(this.state, event, nowUs())) this.perform(action);
  }

  private perform(action: GuardAction): void {
    switch (action.type) {
      case 'clear':
        this.attempt(() => this.rtnl.deleteGroup());
        break;
      case 'down':
        this.attempt(() => this.down(action.vhid));
        break;
      case 'speak':
        for (const word of action.vhid.lastWords) this.attempt(() => this.speaker.say(word));
        break;
      case 'remove': {
        const { addresses, device } = action.vhid;
        if (addresses === null) this.attempt(() => this.rtnl.deleteLink(device.index, device.name));
        break;
      }
      case 'fell':
        this.tell({ type: 'fell', keys: action.keys, silentUs: action.silentUs });
        break;
      case 'exit':
        this.exitCode = action.died ? 1 : 0;
        break;
    }
  }

  private down({ device, addresses }: GuardedVhid): void {
    if (addresses === null) {
      this.rtnl.setUp(device.index, false, device.name);
      return;
    }
    for (const { bytes, prefix } of addresses) {
      this.attempt(() => this.rtnl.deleteAddress(device.index, Buffer.from(bytes, 'hex'), prefix, device.name));
    }
  }

  // One thing that fails (a device that was pulled) must not keep the others.
  private attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.tell({ type: 'failed', message: messageOf(error) });
    }
  }

  private tell(message: FromGuard): void {
    const bytes = encode(message);
    libc().send(GUARD_FD, bytes, bytes.length, Sock.MSG_DONTWAIT);
  }
}
