/**
 * The daemon's side of its guardian: starts it before any address can come up, feeds it, starts it again when it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import sea from 'node:sea';
import { messageOf } from '../../contract/message-of.ts';
import { check, closeQuietly, libc, Sock } from '../../kernel/libc.ts';
import { start } from '../../kernel/spawn.ts';
import { type FdWatch, watchFd } from '../../kernel/uv-poll.ts';
import type { FromGuard, GuardedVhid, ToGuard } from './messages.ts';
import { decode, encode, MESSAGE_BYTES } from './messages.ts';

/** A beat at most this often, us. */
const BEAT_US = 20_000;
/** How long a guardian may take until it is ready, ms. */
const READY_MS = 5000;
/** Waits before another try, ms; the last one again and again. */
const RETRY_MS = [50, 200, 1000, 5000];

export interface KeeperPorts {
  /** The guardian has ended although nobody told it to. */
  lost(reason: string): void;
  /** A guardian is there (again). */
  ready(pid: number): void;
  /** It took addresses down because this process did not turn. */
  fell(keys: string[], silentMs: number): void;
  warn(message: string): void;
}

interface Running {
  child: ChildProcess;
  fd: number;
  watch: FdWatch;
}

export class GuardKeeper {
  private readonly ports: KeeperPorts;
  private readonly vhids = new Map<string, GuardedVhid>();
  /** What could not be sent because the guardian did not read. */
  private unsent = false;
  private running: Running | null = null;
  private masters: string[] = [];
  private beatAt = 0;
  private failures = 0;
  private timer: NodeJS.Timeout | null = null;
  private closing = false;
  private onReady: (() => void) | null = null;

  constructor(ports: KeeperPorts) {
    this.ports = ports;
  }

  /** Resolves when the guardian is ready; also when it could not be started, which `lost` tells. Never throws. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      const limit = setTimeout(resolve, READY_MS);
      this.onReady = () => {
        clearTimeout(limit);
        resolve();
      };
      this.launch();
    });
  }

  /** Before the device or address can come up. */
  set(vhid: GuardedVhid): void {
    this.vhids.set(vhid.key, vhid);
    this.send({ type: 'set', vhid });
  }

  drop(key: string): void {
    if (this.vhids.delete(key)) this.send({ type: 'drop', key });
  }

  /** The loop turns. `atUs`: monotonic; `masters`: keys of the vhids that are MASTER. Cheap: throttled. */
  beat(atUs: number, masters: string[]): void {
    const same = masters.length === this.masters.length && masters.every((key, i) => key === this.masters[i]);
    if (same && atUs - this.beatAt < BEAT_US) return;
    this.masters = masters;
    this.beatAt = atUs;
    if (this.unsent) this.sendAll();
    this.send({ type: 'beat', atUs, masters });
  }

  /** The addresses are gone as they should be: the guardian ends. */
  async stop(): Promise<void> {
    this.closing = true;
    if (this.timer !== null) clearTimeout(this.timer);
    const { running } = this;
    if (running === null) return;
    const gone = new Promise<void>((resolve) => running.child.once('exit', () => resolve()));
    this.send({ type: 'bye' });
    let limit: NodeJS.Timeout | undefined;
    await Promise.race([
      gone,
      new Promise<void>((resolve) => {
        limit = setTimeout(resolve, 500);
      }),
    ]);
    clearTimeout(limit);
    this.release();
  }

  private launch(): void {
    try {
      this.running = this.spawn();
    } catch (error) {
      this.again(messageOf(error));
      return;
    }
    const { child } = this.running;
    child.on('error', (error) => this.again(error.message));
    child.on('exit', (code, signal) => this.again(`it ended with ${signal ?? `exit ${code}`}`));
    child.unref();
  }

  private spawn(): Running {
    const ends = Buffer.alloc(8);
    const type = Sock.SOCK_SEQPACKET | Sock.SOCK_CLOEXEC | Sock.SOCK_NONBLOCK;
    check(libc().socketpair(Sock.AF_UNIX, type, 0, ends), 'make a socket pair for the guardian');
    const [mine, theirs] = [ends.readInt32LE(0), ends.readInt32LE(4)];
    try {
      const { program, args } = guardProgram();
      // A session of its own: what a terminal sends to the daemon's group does not reach it.
      const child = start(program, args, (file, argv) =>
        spawn(file, argv, { stdio: ['ignore', 'ignore', 'inherit', theirs], detached: true, cwd: '/' }),
      );
      const watch = watchFd(
        mine,
        () => this.read(mine),
        (error) => this.ports.warn(`guardian: ${error.message}`),
      );
      return { child, fd: mine, watch };
    } catch (error) {
      closeQuietly(mine);
      throw error;
    } finally {
      closeQuietly(theirs);
    }
  }

  private read(fd: number): void {
    const buffer = Buffer.alloc(MESSAGE_BYTES);
    for (;;) {
      const length = Number(libc().recv(fd, buffer, buffer.length, Sock.MSG_DONTWAIT));
      if (length === 0) this.release(); // its `exit` follows
      if (length <= 0) return;
      const message = decode<FromGuard>(buffer.subarray(0, length));
      if (message !== null) this.onMessage(message);
    }
  }

  private onMessage(message: FromGuard): void {
    switch (message.type) {
      case 'ready':
        this.failures = 0;
        this.sendAll();
        this.ports.ready(message.pid);
        this.onReady?.();
        break;
      case 'fell':
        this.ports.fell(message.keys, Math.round(message.silentUs / 1000));
        break;
      case 'failed':
        this.ports.warn(`guardian: ${message.message}`);
        break;
    }
  }

  private again(reason: string): void {
    if (this.running === null && this.timer !== null) return;
    this.release();
    if (this.closing) return;
    this.ports.lost(reason);
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)] ?? 1000;
    this.failures += 1;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.launch();
    }, wait);
  }

  private release(): void {
    const { running } = this;
    this.running = null;
    running?.watch.close(() => closeQuietly(running.fd));
  }

  private sendAll(): void {
    this.unsent = false;
    for (const vhid of this.vhids.values()) this.send({ type: 'set', vhid });
    if (this.beatAt > 0) this.send({ type: 'beat', atUs: this.beatAt, masters: this.masters });
  }

  private send(message: ToGuard): void {
    const fd = this.running?.fd ?? -1;
    if (fd < 0) return;
    const bytes = encode(message);
    const sent = Number(libc().send(fd, bytes, bytes.length, Sock.MSG_DONTWAIT));
    // A beat that is lost is no loss: the socket is full of others.
    if (sent < 0 && message.type !== 'beat') this.unsent = true;
  }
}

/** In the single executable this very program; from a checkout the runtime with the entry script. */
function guardProgram(): { program: string; args: string[] } {
  if (sea.isSea()) return { program: process.execPath, args: ['guard'] };
  const source = process.env.CARPIO_SOURCE;
  const entry = source === undefined ? (process.argv[1] ?? 'src/main.ts') : join(source, 'main.ts');
  return {
    program: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', '--disable-sigusr1', entry, 'guard'],
  };
}
