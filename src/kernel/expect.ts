/**
 * Expectations of the kernel's connection helpers (NETLINK_NETFILTER, subsystem 2): the connections that a helper has
 * read about in another one (FTP's data connection in its control connection) and will let pass. There are few, and
 * they come and go with a command of a user, so each message is one call.
 *
 * Attributes (uapi nfnetlink_conntrack.h): MASTER 1, TUPLE 2, MASK 3, TIMEOUT 4, ID 5, HELP_NAME 6, ZONE 7, FLAGS 8,
 * CLASS 9, NAT 10, FN 11. Payloads here are nfgenmsg (4 bytes) and attributes, as the kernel sends them.
 */
import { readConnection } from './conntrack-get.ts';
import { closeQuietly, Errno, errno, libc } from './libc.ts';
import {
  MessageBuilder,
  NetlinkClient,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  openNetlink,
  parseAttributes,
  parseMessages,
} from './netlink.ts';

const NETLINK_NETFILTER = 12;
const EXP_NEW = 0x200;
const EXP_GET = 0x201;
const EXP_DELETE = 0x202;
/** Multicast groups 4 (new) and 6 (destroy), as bind's bit mask. */
const GROUPS = (1 << 3) | (1 << 5);
const NFGENMSG = 4;
const NESTED = 0x8000;
const MASTER = 1;
const TUPLE = 2;
const ZONE = 7;
const BUFFER = 16 * 1024;
/** Events that one call takes at most. */
const MOST = 256;

export interface ExpectEvent {
  gone: boolean;
  payload: Buffer;
}

export interface Expectations {
  readonly fd: number;
  /** What the kernel reports; `overrun`: some were lost. Never blocks. */
  receive(): { events: ExpectEvent[]; overrun: boolean };
  /** @throws SysError ENOENT: its master is not here; EOPNOTSUPP: the master has no such helper */
  create(payload: Buffer): void;
  /** @throws SysError ENOENT: it is not here */
  remove(payload: Buffer): void;
  /** All there are now. */
  list(): Buffer[];
  /** The connection that an expectation belongs to, as a whole message of the kernel's; null: it is gone. */
  masterOf(payload: Buffer): Buffer | null;
  close(): void;
}

/** @throws SysError */
export function openExpectations(): Expectations {
  const fd = openNetlink(NETLINK_NETFILTER, GROUPS, true);
  const client = new NetlinkClient(NETLINK_NETFILTER);
  const buffer = Buffer.alloc(BUFFER);
  return {
    fd,
    receive: () => receive(fd, buffer),
    create: (payload) =>
      client.request(
        copyOf(EXP_NEW, NLM_F_CREATE, payload, () => true),
        'create an expectation',
      ),
    remove: (payload) => {
      const key = (type: number): boolean => type === TUPLE || type === ZONE;
      client.request(copyOf(EXP_DELETE, 0, payload, key), 'delete an expectation');
    },
    list: () => {
      const ask = new MessageBuilder(EXP_GET, NLM_F_REQUEST | NLM_F_DUMP, Buffer.alloc(NFGENMSG));
      return client.dump(ask, 'list expectations').map((message) => message.payload);
    },
    masterOf: (payload) => masterOf(client, payload),
    close: () => {
      closeQuietly(fd);
      client.close();
    },
  };
}

/** The same attributes in a request. The kernel marks the nested ones; so does this. */
function copyOf(type: number, flags: number, payload: Buffer, wanted: (type: number) => boolean): MessageBuilder {
  const request = new MessageBuilder(type, NLM_F_REQUEST | NLM_F_ACK | flags, payload.subarray(0, NFGENMSG));
  for (const [name, value] of parseAttributes(payload, NFGENMSG)) {
    if (wanted(name)) request.attr([1, 2, 3, 10].includes(name) ? name | NESTED : name, value);
  }
  return request;
}

function receive(fd: number, buffer: Buffer): { events: ExpectEvent[]; overrun: boolean } {
  const events: ExpectEvent[] = [];
  let overrun = false;
  for (let n = 0; n < MOST; n++) {
    const length = libc().recv(fd, buffer, buffer.length, 0);
    if (length < 0) {
      const error = errno();
      if (error === Errno.ENOBUFS) overrun = true;
      else if (error !== Errno.EINTR) break;
      continue;
    }
    for (const { type, payload } of parseMessages(buffer.subarray(0, length)).messages) {
      if (type === EXP_NEW || type === EXP_DELETE)
        events.push({ gone: type === EXP_DELETE, payload: Buffer.from(payload) });
    }
  }
  return { events, overrun };
}

function masterOf(client: NetlinkClient, payload: Buffer): Buffer | null {
  const attributes = parseAttributes(payload, NFGENMSG);
  const master = attributes.get(MASTER);
  if (master === undefined) return null;
  return readConnection(client, payload.subarray(0, NFGENMSG), master, attributes.get(ZONE));
}
