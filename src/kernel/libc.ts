/**
 * The C library: the only file that declares its functions. Everything that makes a system call without Node's help
 * goes through here. Works on the main thread and in workers (each thread declares its own functions at the first use).
 *
 * The functions of `libc()` are the C functions: they return -1 and set errno. Read `errno()` in the very next
 * expression; anything between may change it. `check()` does so and throws a SysError.
 */
import { getSystemErrorMap } from 'node:util';
import { loadKoffi } from './natives.ts';

/** Bytes, or an address (of WebAssembly memory, say). Bytes are used in place, not copied. */
type Pointer = Uint8Array | bigint | number | null;

/**
 * Done callback of an asynchronous call: `rc` as the C function returned it, `err` is errno when rc is negative, else
 * 0.
 */
type AsyncDone = (rc: number, err: number) => void;

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  /** `ends`: two i32 that receive the descriptors. */
  socketpair(domain: number, type: number, protocol: number, ends: Pointer): number;
  bind(fd: number, address: Pointer, length: number): number;
  connect(fd: number, address: Pointer, length: number): number;
  getsockname(fd: number, address: Pointer, length: Pointer): number;
  setsockopt(fd: number, level: number, option: number, value: Pointer, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Pointer, length: Pointer): number;
  send(fd: number, bytes: Pointer, length: number, flags: number): number;
  sendto(fd: number, bytes: Pointer, length: number, flags: number, address: Pointer, addressLength: number): number;
  recv(fd: number, bytes: Pointer, length: number, flags: number): number;
  recvfrom(fd: number, bytes: Pointer, length: number, flags: number, address: Pointer, addressLength: Pointer): number;
  /** `vector`: array of struct mmsghdr (64 bytes each on 64-bit); `timeout`: struct timespec or null. */
  recvmmsg(fd: number, vector: Pointer, count: number, flags: number, timeout: Pointer): number;
  sendmmsg(fd: number, vector: Pointer, count: number, flags: number): number;
  /** `fds`: array of struct pollfd (fd i32, events i16, revents i16); timeout in ms, -1 for ever. Blocks the thread. */
  poll(fds: Pointer, count: number, timeoutMs: number): number;
  ppoll(fds: Pointer, count: number, timeout: Pointer, mask: null): number;
  read(fd: number, bytes: Pointer, length: number): number;
  write(fd: number, bytes: Pointer, length: number): number;
  close(fd: number): number;
  eventfd(initial: number, flags: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  ioctl(fd: number, request: number, argument: Pointer): number;
  if_nametoindex(name: string): number;
  getpid(): number;
  /** Microseconds. Blocks the thread. */
  usleep(microseconds: number): number;
  syscall(number: number, a: number, b: number, c: number): number;
  prctl(option: number, a: bigint | number, b: bigint | number, c: bigint | number, d: bigint | number): number;
  /** `pid` 0: the calling thread; `param`: struct sched_param, one i32. */
  sched_setscheduler(pid: number, policy: number, param: Pointer): number;
}

const PROTOTYPES: Record<keyof Libc, string> = {
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, void *)',
  bind: 'int bind(int, void *, uint32_t)',
  connect: 'int connect(int, void *, uint32_t)',
  getsockname: 'int getsockname(int, void *, void *)',
  setsockopt: 'int setsockopt(int, int, int, void *, uint32_t)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  send: 'int64_t send(int, void *, size_t, int)',
  sendto: 'int64_t sendto(int, void *, size_t, int, void *, uint32_t)',
  recv: 'int64_t recv(int, void *, size_t, int)',
  recvfrom: 'int64_t recvfrom(int, void *, size_t, int, void *, void *)',
  recvmmsg: 'int recvmmsg(int, void *, unsigned int, int, void *)',
  sendmmsg: 'int sendmmsg(int, void *, unsigned int, int)',
  poll: 'int poll(void *, uint64_t, int)',
  ppoll: 'int ppoll(void *, uint64_t, void *, void *)',
  read: 'int64_t read(int, void *, size_t)',
  write: 'int64_t write(int, void *, size_t)',
  close: 'int close(int)',
  eventfd: 'int eventfd(unsigned int, int)',
  // Declared with fixed arguments: on the two architectures of this product a variadic call passes integers the same
  // way.
  fcntl: 'int fcntl(int, int, int64_t)',
  ioctl: 'int ioctl(int, uint64_t, void *)',
  if_nametoindex: 'unsigned int if_nametoindex(const char *)',
  getpid: 'int getpid()',
  usleep: 'int usleep(unsigned int)',
  // As with fcntl: fixed arguments where C has a variadic function.
  syscall: 'int64_t syscall(int64_t, int64_t, int64_t, int64_t)',
  prctl: 'int prctl(int, uint64_t, uint64_t, uint64_t, uint64_t)',
  sched_setscheduler: 'int sched_setscheduler(int, int, void *)',
};

let functions: Libc | null = null;
let library: ReturnType<ReturnType<typeof loadKoffi>['load']> | null = null;

// The process itself already has its C library, whatever its file name (glibc or musl).
function ownLibrary(): NonNullable<typeof library> {
  library ??= loadKoffi().load(null);
  return library;
}

/** The C functions, declared at the first call. Throws if koffi cannot be loaded. */
export function libc(): Libc {
  if (functions === null) {
    const own = ownLibrary();
    const table: Record<string, unknown> = {};
    for (const [name, prototype] of Object.entries(PROTOTYPES)) table[name] = own.func(prototype);
    functions = table as unknown as Libc;
  }
  return functions;
}

/** errno of this thread. Only meaningful in the expression right after a failed call. */
export function errno(): number {
  return loadKoffi().errno();
}

/**
 * Address of the first byte. Take it again whenever the memory may have moved (WebAssembly memory growth), and keep a
 * reference to `bytes` as long as the address is in use.
 */
export function addressOf(bytes: Uint8Array): bigint {
  return loadKoffi().address(bytes);
}

/**
 * poll(2) on a thread of libuv's pool. The pool has few threads and Node waits for them when it exits: give a finite
 * time, or wake it (an eventfd in the set) before exit.
 */
export function pollAsync(fds: Uint8Array, count: number, timeoutMs: number, done: AsyncDone): void {
  const poll = libc().poll as unknown as {
    async(a: bigint, b: number, c: number, d: (error: Error | null, rc: number) => void): void;
  };
  poll.async(addressOf(fds), count, timeoutMs, (error, rc) => {
    const code = rc < 0 ? errno() : 0;
    void fds; // held until here: the kernel writes into it
    done(error === null ? rc : -1, error === null ? code : Errno.EIO);
  });
}

/** send(2) on a thread of libuv's pool: for a request that the kernel answers when others let go of a lock. */
export function sendAsync(fd: number, bytes: Uint8Array, done: AsyncDone): void {
  const send = libc().send as unknown as {
    async(fd: number, bytes: bigint, length: number, flags: number, d: (error: Error | null, rc: number) => void): void;
  };
  send.async(fd, addressOf(bytes), bytes.length, 0, (error, rc) => {
    const code = rc < 0 ? errno() : 0;
    void bytes; // held until here: the kernel reads it
    done(error === null ? Number(rc) : -1, error === null ? code : Errno.EIO);
  });
}

/** The numbers this project compares with; the same on x86-64 and arm64. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
} as const;

/** Socket constants of Linux (asm-generic: x86-64 and arm64 agree). */
export const Sock = {
  AF_UNSPEC: 0,
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_SEQPACKET: 5,
  SOCK_NONBLOCK: 0x800,
  SOCK_CLOEXEC: 0x80000,
  SOL_SOCKET: 1,
  SO_RCVBUF: 8,
  SO_SNDBUF: 7,
  SO_RCVTIMEO: 20,
  SO_BINDTODEVICE: 25,
  SO_RCVBUFFORCE: 33,
  SOL_NETLINK: 270,
  NETLINK_ADD_MEMBERSHIP: 1,
  NETLINK_EXT_ACK: 11,
  NETLINK_GET_STRICT_CHK: 12,
  MSG_DONTWAIT: 0x40,
  MSG_TRUNC: 0x20,
  POLLIN: 1,
  POLLOUT: 4,
  POLLERR: 8,
  EFD_NONBLOCK: 0x800,
  EFD_CLOEXEC: 0x80000,
} as const;

/**
 * A system call that failed: what was attempted, and errno as number and name. The message is one line for a person.
 */
export class SysError extends Error {
  readonly errno: number;
  readonly code: string;
  readonly attempted: string;

  /** @param detail what the kernel said beyond the number (netlink's extended acknowledgement), if anything */
  constructor(attempted: string, error: number, detail?: string) {
    const [name, text] = getSystemErrorMap().get(-error) ?? [`errno ${error}`, 'unknown error'];
    super(`${attempted}: ${detail ? `${detail} (${name})` : `${text} (${name})`}`);
    this.name = 'SysError';
    this.errno = error;
    this.code = name;
    this.attempted = attempted;
  }
}

/** Returns `rc` if it is not negative, else throws SysError with the errno of the call just made. */
export function check(rc: number, attempted: string): number {
  if (rc < 0) throw new SysError(attempted, errno());
  return rc;
}

/** close(2) whose failure nobody can mend. */
export function closeQuietly(fd: number): void {
  if (fd >= 0) libc().close(fd);
}
