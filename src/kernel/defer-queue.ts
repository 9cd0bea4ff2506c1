/**
 * The queue for `defer`: first answers of connections wait in the kernel until they are released (nfnetlink_queue).
 *
 * The hook is postrouting, behind all NAT: what is seen there is the answer as its receiver will see it, so the
 * connection's original tuple turned round. The connection is read from the kernel by that tuple. Its event can't be
 * waited for: the kernel reports an answer in the confirmation, which has the largest priority there is, and of two
 * hooks with one priority the one made *later* runs *first* (tried on 6.18; nf_hook_entries_grow), so before its report
 * is where a packet is held.
 *
 * Everything fails open: nobody listening (bypass), a full queue or socket (FAIL_OPEN), this program gone.
 *
 * nfnetlink_queue (uapi nfnetlink_queue.h): subsystem 3; PACKET 0, CONFIG 2, VERDICT_BATCH 3; the queue's number stands
 * in nfgenmsg, big endian. The rules that send packets here are defer-rules.ts's.
 */
import { readConnection } from './conntrack-get.ts';
import { tupleAnswered } from './defer-tuple.ts';
import { closeQuietly, Errno, errno, libc, Sock } from './libc.ts';
import {
  MessageBuilder,
  NetlinkClient,
  NLM_F_REQUEST,
  openNetlink,
  parseAttributes,
  parseMessages,
} from './netlink.ts';

const NETLINK_NETFILTER = 12;
/** The queue's number. */
export const DEFER_QUEUE = 24_011;
const PACKET = 0x300;
const CONFIG = 0x302;
const VERDICT_BATCH = 0x303;
const PAYLOAD = 10;
/** Packets that may wait; more pass at once. */
const MOST_WAITING = 8192;
const MOST_RECEIVED = 512;
/** Bytes of a packet that are looked at: an IPv6 header and ports, or an IPv4 header with options and ports. */
const COPIED = 64;
/** Room for packets that wait to be read; what finds none passes at once. Bytes. */
const SOCKET_BUFFER = 8 * 1024 * 1024;
const NF_ACCEPT = 1;
const LAST_ID = 0xffff_ffff;

export interface HeldPacket {
  /** Rising. */
  id: number;
  /** The packet's first bytes, IP header first. */
  head: Buffer;
}

export interface DeferQueue {
  readonly fd: number;
  /** Packets that have begun to wait. Never blocks. */
  receive(): HeldPacket[];
  /** The connection that this packet answers, as a message of the kernel's; null: there is none that could be found. */
  connection(head: Buffer): Buffer | null;
  /** Lets this packet and all before it go. */
  release(id: number): void;
  /** Lets everything go. */
  close(): void;
}

const queueMessage = (type: number, flags: number): MessageBuilder =>
  new MessageBuilder(type, NLM_F_REQUEST | flags, Buffer.of(0, 0, DEFER_QUEUE >> 8, DEFER_QUEUE & 0xff));

function be32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}

function bindQueue(): number {
  const fd = openNetlink(NETLINK_NETFILTER, 0, true);
  const configure = (message: MessageBuilder): void => {
    const bytes = message.finish(1);
    if (libc().send(fd, bytes, bytes.length, 0) >= 0) return;
    const error = errno();
    closeQuietly(fd);
    throw new Error(`cannot bind packet queue ${DEFER_QUEUE}: errno ${error}`);
  };
  const room = Buffer.from(Int32Array.of(SOCKET_BUFFER).buffer);
  libc().setsockopt(fd, Sock.SOL_SOCKET, Sock.SO_RCVBUFFORCE, room, 4);
  configure(queueMessage(CONFIG, 0).attr(1, Buffer.of(1, 0, 0, 0)));
  configure(queueMessage(CONFIG, 0).attr(2, Buffer.concat([be32(COPIED), Buffer.of(2)])));
  configure(queueMessage(CONFIG, 0).attr(3, be32(MOST_WAITING)).attr(4, be32(1)).attr(5, be32(1)));
  return fd;
}

/** @throws Error when the kernel has no queue */
export function openDeferQueue(): DeferQueue {
  const client = new NetlinkClient(NETLINK_NETFILTER);
  let fd = -1;
  try {
    fd = bindQueue();
  } catch (error) {
    if (fd >= 0) closeQuietly(fd);
    client.close();
    throw error;
  }
  const buffer = Buffer.alloc(4096);
  const release = (id: number): void => {
    const header = Buffer.concat([be32(NF_ACCEPT), be32(id)]);
    const verdict = queueMessage(VERDICT_BATCH, 0).attr(2, header).finish(1);
    libc().send(fd, verdict, verdict.length, 0);
  };
  return {
    fd,
    receive: () => receive(fd, buffer),
    connection: (head) => {
      const asked = tupleAnswered(head);
      return asked === null ? null : readConnection(client, Buffer.of(asked.family, 0, 0, 0), asked.tuple);
    },
    release,
    close: () => {
      release(LAST_ID);
      closeQuietly(fd);
      client.close();
    },
  };
}

function receive(fd: number, buffer: Buffer): HeldPacket[] {
  const held: HeldPacket[] = [];
  while (held.length < MOST_RECEIVED) {
    const length = libc().recv(fd, buffer, buffer.length, 0);
    if (length < 0) {
      const error = errno();
      // ENOBUFS: some passed unseen, which the socket says once.
      if (error === Errno.EINTR || error === Errno.ENOBUFS) continue;
      break;
    }
    for (const { type, payload } of parseMessages(buffer.subarray(0, length)).messages) {
      if (type !== PACKET) continue;
      const attributes = parseAttributes(payload, 4);
      const header = attributes.get(1);
      if (header === undefined || header.length < 4) continue;
      held.push({ id: header.readUInt32BE(0), head: Buffer.from(attributes.get(PAYLOAD) ?? []) });
    }
  }
  return held;
}
