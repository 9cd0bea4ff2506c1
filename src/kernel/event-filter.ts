/**
 * Socket filters for conntrack events: what would not be synced anyway is dropped by the kernel before it takes room in
 * the buffer or wakes anybody. A SYN flood then costs the dataplane nothing, and a mirrored state that this node has
 * just written does not come back to it as an event.
 *
 * Classic BPF (linux/filter.h); loads are big endian, as netlink attributes' contents are. The kernel's extension
 * SKF_AD_NLATTR looks an attribute up: A = where to begin, X = its type, result in A = its offset, 0: not there.
 */
import { addressOf, check, libc, Sock } from './libc.ts';

const SO_ATTACH_FILTER = 26;

/** nlmsghdr (16) and nfgenmsg (4): the first attribute stands behind them. */
const FIRST_ATTRIBUTE = 20;
/** nlmsg_pid of struct nlmsghdr: the port of the socket whose request has caused the event, 0 when traffic has. */
const PORT = 12;
const CTA_STATUS = 3;
const CTA_LABELS = 22;
const ATTRIBUTE_HEADER = 4;
const SKF_AD_NLATTR = 0xfffff000 + 12;

const LD_W_ABS = 0x20;
const LD_W_IND = 0x40;
const LD_IMM = 0x00;
const LDX_IMM = 0x01;
const TAX = 0x07;
const JEQ_K = 0x15;
const JSET_K = 0x45;
const RET_K = 0x06;
const ACCEPT = 0xffffffff;

export interface Instruction {
  code: number;
  /** Instructions to skip when the condition holds, and when it does not. */
  jt: number;
  jf: number;
  k: number;
}

const op = (code: number, k = 0, jt = 0, jf = 0): Instruction => ({ code, jt, jf, k: k >>> 0 });

/**
 * Lets an event pass when its CTA_STATUS has one of the bits, when it has no status at all (in doubt the module
 * decides), and when it names labels: the kernel names them only once, mostly with the first packet. The kernel puts
 * the status into new, update and destroy events alike.
 * @param bits SEEN_REPLY 0x2, ASSURED 0x4
 */
export function statusFilter(bits: number): Instruction[] {
  return [
    op(LD_IMM, FIRST_ATTRIBUTE),
    op(LDX_IMM, CTA_STATUS),
    op(LD_W_ABS, SKF_AD_NLATTR),
    op(JEQ_K, 0, 7, 0),
    op(TAX),
    op(LD_W_IND, ATTRIBUTE_HEADER),
    op(JSET_K, bits, 4, 0),
    op(LD_IMM, FIRST_ATTRIBUTE),
    op(LDX_IMM, CTA_LABELS),
    op(LD_W_ABS, SKF_AD_NLATTR),
    op(JEQ_K, 0, 1, 0),
    op(RET_K, ACCEPT),
    op(RET_K, 0),
  ];
}

/**
 * Drops the events that requests of one socket have caused, and lets `then` decide about the others.
 * @param port netlink port (host order in the message, while a filter loads big endian)
 * @param then null: all others pass
 */
export function echoFilter(port: number, then: readonly Instruction[] | null): Instruction[] {
  const swapped = Buffer.alloc(4);
  swapped.writeUInt32LE(port);
  return [op(LD_W_ABS, PORT), op(JEQ_K, swapped.readUInt32BE(0), 0, 1), op(RET_K, 0), ...(then ?? [op(RET_K, ACCEPT)])];
}

/** struct sock_filter: code u16, jt u8, jf u8, k u32; host order. */
export function encodeFilter(program: readonly Instruction[]): Buffer {
  const out = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jt, jf, k }, i) => {
    out.writeUInt16LE(code, i * 8);
    out.writeUInt8(jt, i * 8 + 2);
    out.writeUInt8(jf, i * 8 + 3);
    out.writeUInt32LE(k, i * 8 + 4);
  });
  return out;
}

/** @throws SysError when the kernel does not take the program */
export function attachFilter(fd: number, program: readonly Instruction[]): void {
  const code = encodeFilter(program);
  const fprog = Buffer.alloc(16);
  fprog.writeUInt16LE(program.length, 0);
  fprog.writeBigUInt64LE(addressOf(code), 8);
  check(libc().setsockopt(fd, Sock.SOL_SOCKET, SO_ATTACH_FILTER, fprog, fprog.length), 'filter conntrack events');
}
