/**
 * The kernel's connection tracking over ctnetlink: three sockets, all non-blocking.
 *
 * `events` gets what the kernel reports of its table (multicast groups NEW, UPDATE, DESTROY); `control` carries the
 * messages that change the table and the kernel's refusals; `dump` reads the table. They are apart so that a dump of a
 * million entries never fills the buffer that refusals come in.
 */
import type { WasmMemory } from './batch.ts';
import type { Instruction } from './event-filter.ts';
import { attachFilter } from './event-filter.ts';
import { addressOf, check, closeQuietly, Errno, errno, libc, Sock, SysError } from './libc.ts';

const NETLINK_NETFILTER = 12;
const GROUPS = { new: 1, update: 2, destroy: 3 } as const;
const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const NLM_F_REQUEST = 0x1;
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NETLINK_CAP_ACK = 10;

const CONTROL_BUFFER = 8 * 1024 * 1024;

type FilterFor = (controlPort: number) => readonly Instruction[] | null;

export interface ConntrackSockets {
  events: number;
  control: number;
  dump: number;
  /** Netlink port of `control`: the kernel puts it on the events that this node's own changes cause. */
  controlPort: number;
  close(): void;
}

/**
 * @param eventBuffer bytes of room for events; the kernel accounts for more than the bare bytes of a message, so 64 MiB
 *   hold about 100,000
 * @param filterFor which events are wanted at all, by `controlPort`; null: all of them
 * @throws SysError without CAP_NET_ADMIN, or when the kernel has no ctnetlink
 */
export function openConntrack(eventBuffer: number, filterFor: FilterFor): ConntrackSockets {
  const opened: number[] = [];
  const closeAll = (): void => {
    for (const fd of opened) closeQuietly(fd);
  };
  try {
    const control = netlinkSocket(CONTROL_BUFFER, opened);
    setInt(control, Sock.SOL_NETLINK, NETLINK_CAP_ACK, 1, 'ask for short netlink answers');
    const controlPort = portOf(control);
    const events = netlinkSocket(eventBuffer, opened);
    const filter = filterFor(controlPort);
    if (filter !== null) attachFilter(events, filter);
    for (const [name, group] of Object.entries(GROUPS)) {
      setInt(events, Sock.SOL_NETLINK, Sock.NETLINK_ADD_MEMBERSHIP, group, `join conntrack's ${name} events`);
    }
    const dump = netlinkSocket(CONTROL_BUFFER, opened);
    return { events, control, dump, controlPort, close: closeAll };
  } catch (error) {
    closeAll();
    throw error;
  }
}

function netlinkSocket(buffer: number, opened: number[]): number {
  const type = Sock.SOCK_RAW | Sock.SOCK_CLOEXEC | Sock.SOCK_NONBLOCK;
  const fd = check(libc().socket(Sock.AF_NETLINK, type, NETLINK_NETFILTER), 'open a conntrack netlink socket');
  opened.push(fd);
  const address = Buffer.alloc(12);
  address.writeUInt16LE(Sock.AF_NETLINK, 0);
  check(libc().bind(fd, address, address.length), 'bind a conntrack netlink socket');
  const wanted = Buffer.alloc(4);
  wanted.writeInt32LE(buffer);
  // Not allowed in a user namespace: then as much as net.core.rmem_max allows, and what overflows is read again.
  if (libc().setsockopt(fd, Sock.SOL_SOCKET, Sock.SO_RCVBUFFORCE, wanted, wanted.length) < 0) {
    setInt(fd, Sock.SOL_SOCKET, Sock.SO_RCVBUF, buffer, 'enlarge the buffer of a conntrack netlink socket');
  }
  return fd;
}

function setInt(fd: number, level: number, option: number, value: number, what: string): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  check(libc().setsockopt(fd, level, option, bytes, bytes.length), what);
}

function portOf(fd: number): number {
  const address = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(address.length);
  check(libc().getsockname(fd, address, length), 'read the port of a netlink socket');
  return address.readUInt32LE(4);
}

/**
 * Asks for the whole table, both families; the answer comes in pieces on the dump socket and ends with NLMSG_DONE
 * (`dumpState`).
 */
export function requestDump(fd: number, sequence: number): void {
  const request = Buffer.alloc(20);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET, 4);
  request.writeUInt16LE(NLM_F_REQUEST | NLM_F_DUMP, 6);
  request.writeUInt32LE(sequence, 8);
  check(Number(libc().send(fd, request, request.length, 0)), 'ask the kernel for its connection table');
}

/** Which request a received piece answers: the kernel gives its sequence number back in each message. */
export function dumpSequence(piece: Buffer): number {
  return piece.length < 12 ? 0 : piece.readUInt32LE(8);
}

/**
 * Whether a received piece of a dump ends it. NLMSG_DONE is always in a message of its own or the last of one.
 * @returns 'more', 'done', or the errno with which the kernel refused
 */
export function dumpState(piece: Buffer): 'more' | 'done' | number {
  let offset = 0;
  while (offset + 16 <= piece.length) {
    const length = piece.readUInt32LE(offset);
    const type = piece.readUInt16LE(offset + 4);
    if (length < 16) break;
    if (type === NLMSG_DONE) return 'done';
    if (type === NLMSG_ERROR && offset + 20 <= piece.length) return -piece.readInt32LE(offset + 16);
    offset += (length + 3) & ~3;
  }
  return 'more';
}

let lastAddress: { buffer: ArrayBufferLike; offset: number; at: bigint } | null = null;

// Asked for hundreds of times a second, and nearly always the same.
function addressIn({ buffer }: WasmMemory, offset: number): bigint {
  if (lastAddress === null || lastAddress.buffer !== buffer || lastAddress.offset !== offset) {
    lastAddress = { buffer, offset, at: addressOf(new Uint8Array(buffer)) + BigInt(offset) };
  }
  return lastAddress.at;
}

/**
 * Gives `length` bytes of netlink messages at `offset` of `memory` to the kernel, which has worked on all of them when
 * this returns (nfnetlink runs in the caller's context); only refusals are answered.
 */
export function sendMessages(fd: number, memory: WasmMemory, offset: number, length: number): void {
  const at = addressIn(memory, offset);
  for (let attempt = 0; attempt < 8; attempt++) {
    if (Number(libc().send(fd, at, length, 0)) === length) return;
    const error = errno();
    if (error !== Errno.EINTR && error !== Errno.EAGAIN) throw new SysError('change the connection table', error);
  }
  throw new SysError('change the connection table', Errno.EAGAIN);
}
