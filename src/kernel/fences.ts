/**
 * What this process gives up for good, also when it was started by hand: nothing that gets a foot into it, or into a
 * program that it starts, gets further. A systemd unit adds its own fences; these hold without one.
 */
import { addressOf, check, libc } from './libc.ts';

const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
/** seccomp(2) */
const SYS_SECCOMP = { x64: 317, arm64: 277 } as const;
const SECCOMP_SET_MODE_FILTER = 1;
/** Every thread of the process, those of the runtime included. */
const SECCOMP_FILTER_FLAG_TSYNC = 1;

const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
const X32_BIT = 0x40000000;
const ALLOW = 0x7fff0000;
const REFUSE_EPERM = 0x00050001;
const KILL_PROCESS = 0x80000000;

/** What neither a firewall daemon nor nft nor a hook does. Number on x86-64 and on arm64; null: not there. */
const REFUSED = {
  // another process's memory
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  kcmp: [312, 272],
  userfaultfd: [323, 282],
  perf_event_open: [298, 241],
  // the kernel's own code
  bpf: [321, 280],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  // A new ring; libuv goes on with the one that its loop has made already, and without one in a loop that begins later.
  io_uring_setup: [425, 425],
  iopl: [172, null],
  ioperm: [173, null],
  modify_ldt: [154, null],
  personality: [135, 92],
  // file systems and namespaces
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  setns: [308, 268],
  unshare: [272, 97],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  fanotify_init: [300, 262],
  quotactl: [179, 60],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  // the machine
  reboot: [169, 142],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  clock_adjtime: [305, 266],
  adjtimex: [159, 171],
  syslog: [103, 116],
  vhangup: [153, 58],
  // the kernel's key rings
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
} as const satisfies Record<string, readonly [number, number | null]>;

type Arch = 'x64' | 'arm64';

/** One instruction of classic BPF: operation, jump when true, jump when false, operand. */
function instruction(code: number, yes: number, no: number, k: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(yes, 2);
  bytes.writeUInt8(no, 3);
  bytes.writeUInt32LE(k >>> 0, 4);
  return bytes;
}

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER_EQUAL = 0x35;
const RETURN = 0x06;

/** The filter over struct seccomp_data: system call at 0, architecture at 4. */
function refusalFilter(arch: Arch): Buffer {
  const numbers = Object.values(REFUSED)
    .map(([x64, arm64]) => (arch === 'x64' ? x64 : arm64))
    .filter((number) => number !== null);
  return Buffer.concat([
    instruction(LOAD, 0, 0, 4),
    instruction(JUMP_EQUAL, 1, 0, AUDIT_ARCH[arch]),
    instruction(RETURN, 0, 0, KILL_PROCESS),
    instruction(LOAD, 0, 0, 0),
    // x32 has numbers of its own for the same calls; nothing here uses them.
    instruction(JUMP_GREATER_EQUAL, numbers.length + 1, 0, X32_BIT),
    ...numbers.map((number, i) => instruction(JUMP_EQUAL, numbers.length - i, 0, number)),
    instruction(RETURN, 0, 0, ALLOW),
    instruction(RETURN, 0, 0, REFUSE_EPERM),
  ]);
}

/**
 * Raises the fences: no new privileges by exec, no memory dump and no debugger of the same account, and a filter that
 * refuses the calls above with EPERM in every thread and in every program that is started.
 * @throws SysError when the kernel has no seccomp; the others are raised then
 */
export function raiseFences(): void {
  const c = libc();
  check(c.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 'forbid dumps of the memory');
  check(c.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'give up new privileges');
  if (process.arch !== 'x64' && process.arch !== 'arm64') return;
  const filter = refusalFilter(process.arch);
  // struct sock_fprog: number of instructions, then the address of the first.
  const program = Buffer.alloc(16);
  program.writeUInt16LE(filter.length / 8, 0);
  program.writeBigUInt64LE(BigInt(addressOf(filter)), 8);
  const at = Number(addressOf(program));
  check(
    Number(c.syscall(SYS_SECCOMP[process.arch], SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, at)),
    'filter system calls',
  );
}
