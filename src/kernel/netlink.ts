/**
 * Netlink messages: building, parsing, and one synchronous request at a time.
 *
 * Layout (linux/netlink.h): nlmsghdr { u32 len, u16 type, u16 flags, u32 seq, u32 pid }, then the family's fixed body,
 * then attributes { u16 len, u16 type, value }, everything padded to 4 bytes. Numbers are in host order, which is
 * little endian on every machine this product is built for. Building and parsing are pure; parsing never reads past
 * what it was given and gives up at the first length that does not fit.
 */
import { check, closeQuietly, Errno, errno, libc, Sock, SysError, sendAsync } from './libc.ts';

export const NLMSG_HEADER = 16;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const NLMSGERR_ATTR_MSG = 1;

const align4 = (n: number): number => (n + 3) & ~3;

/** One message under construction. The length field is set by `finish`. */
export class MessageBuilder {
  #bytes: Buffer = Buffer.alloc(512);
  #length = NLMSG_HEADER;

  /** @param body the family's fixed structure (ifinfomsg, ifaddrmsg, …) */
  constructor(type: number, flags: number, body: Uint8Array) {
    this.#bytes.writeUInt16LE(type, 4);
    this.#bytes.writeUInt16LE(flags, 6);
    this.#append(body);
  }

  #append(value: Uint8Array): void {
    const end = this.#length + align4(value.length);
    if (end > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(value, this.#length);
    this.#length = end;
  }

  #header(type: number, length: number): void {
    const head = Buffer.alloc(4);
    head.writeUInt16LE(length, 0);
    head.writeUInt16LE(type, 2);
    this.#append(head);
  }

  attr(type: number, value: Uint8Array): this {
    this.#header(type, 4 + value.length);
    this.#append(value);
    return this;
  }

  u8(type: number, value: number): this {
    return this.attr(type, Uint8Array.of(value));
  }

  u32(type: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value >>> 0);
    return this.attr(type, bytes);
  }

  /** A string with its terminating zero. */
  string(type: number, value: string): this {
    return this.attr(type, Buffer.from(`${value}\0`));
  }

  /** Nested attributes: everything `fill` adds stands inside this one. */
  nest(type: number, fill: (inside: this) => void): this {
    const start = this.#length;
    this.#header(type | NLA_F_NESTED, 4);
    fill(this);
    this.#bytes.writeUInt16LE(this.#length - start, start);
    return this;
  }

  /** The finished message with sequence number `seq`. The builder may be used again with another number. */
  finish(seq: number): Buffer {
    this.#bytes.writeUInt32LE(this.#length, 0);
    this.#bytes.writeUInt32LE(seq >>> 0, 8);
    return this.#bytes.subarray(0, this.#length);
  }
}

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly pid: number;
  /** what follows the header: fixed body and attributes */
  readonly payload: Buffer;
}

/**
 * Splits what one recv gave into messages. Stops at the first header whose length does not fit.
 * @returns the messages before that point, and whether all bytes were used (`intact`)
 */
export function parseMessages(bytes: Uint8Array): { messages: Message[]; intact: boolean } {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: Message[] = [];
  let at = 0;
  while (view.length - at >= NLMSG_HEADER) {
    const length = view.readUInt32LE(at);
    if (length < NLMSG_HEADER || length > view.length - at) return { messages, intact: false };
    messages.push({
      type: view.readUInt16LE(at + 4),
      flags: view.readUInt16LE(at + 6),
      seq: view.readUInt32LE(at + 8),
      pid: view.readUInt32LE(at + 12),
      payload: view.subarray(at + NLMSG_HEADER, at + length),
    });
    at += align4(length);
  }
  return { messages, intact: at >= view.length };
}

export type Attributes = ReadonlyMap<number, Buffer>;

/** Attributes from `offset` on; the last of a repeated type wins, as in the kernel. Bad lengths end the walk. */
export function parseAttributes(payload: Buffer, offset = 0): Attributes {
  const found = new Map<number, Buffer>();
  let at = offset;
  while (payload.length - at >= 4) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || length > payload.length - at) break;
    found.set(payload.readUInt16LE(at + 2) & NLA_TYPE_MASK, payload.subarray(at + 4, at + length));
    at += align4(length);
  }
  return found;
}

/** How an attribute's value is read; a value too short for its kind reads as if it were absent. */
const READERS = {
  u8: (value: Buffer): number | undefined => (value.length >= 1 ? value.readUInt8(0) : undefined),
  u16: (value: Buffer): number | undefined => (value.length >= 2 ? value.readUInt16LE(0) : undefined),
  u32: (value: Buffer): number | undefined => (value.length >= 4 ? value.readUInt32LE(0) : undefined),
  bytes: (value: Buffer): Buffer | undefined => Buffer.from(value),
  string: (value: Buffer): string | undefined => {
    const end = value.indexOf(0);
    return value.toString('utf8', 0, end < 0 ? value.length : end);
  },
  nest: (value: Buffer): Attributes | undefined => parseAttributes(value),
} as const;

type Kind = keyof typeof READERS;
/** name -> [attribute type, how to read it] */
export type AttributeTable = Readonly<Record<string, readonly [number, Kind]>>;
export type Decoded<T extends AttributeTable> = { [K in keyof T]?: ReturnType<(typeof READERS)[T[K][1]]> };

/** Reads the attributes that a table names; all others are ignored. Values are copies, except nests. */
export function decode<T extends AttributeTable>(table: T, attributes: Attributes): Decoded<T> {
  const out: Record<string, unknown> = {};
  for (const [name, [type, kind]] of Object.entries(table)) {
    const value = attributes.get(type);
    if (value === undefined) continue;
    const read = READERS[kind](value);
    if (read !== undefined) out[name] = read;
  }
  return out as Decoded<T>;
}

/**
 * An NLMSG_ERROR: `error` 0 is an acknowledgement, else a positive errno; `text` is the kernel's own explanation, if
 * any.
 */
export function parseAck(message: Message): { error: number; text: string | undefined } {
  if (message.payload.length < 4) return { error: Errno.EIO, text: 'truncated acknowledgement' };
  const error = -message.payload.readInt32LE(0);
  let text: string | undefined;
  if (message.flags & NLM_F_ACK_TLVS && message.payload.length >= 4 + NLMSG_HEADER) {
    const echoed = message.flags & NLM_F_CAPPED ? NLMSG_HEADER : message.payload.readUInt32LE(4);
    if (echoed <= message.payload.length - 4) {
      text = decode({ text: [NLMSGERR_ATTR_MSG, 'string'] }, parseAttributes(message.payload, 4 + align4(echoed))).text;
    }
  }
  return { error, text };
}

const SOL_TIMEOUT_MS = 1000;
const BUFFER = 64 * 1024;
const DUMP_ATTEMPTS = 4;

/**
 * Opens a netlink socket of a protocol (0: rtnetlink, 12: netfilter) that listens to `groups` (a bit mask, legacy
 * groups 1..32).
 */
export function openNetlink(protocol: number, groups: number, nonblocking: boolean): number {
  const type = Sock.SOCK_RAW | Sock.SOCK_CLOEXEC | (nonblocking ? Sock.SOCK_NONBLOCK : 0);
  const fd = check(libc().socket(Sock.AF_NETLINK, type, protocol), `open a netlink socket (protocol ${protocol})`);
  try {
    const address = Buffer.alloc(12);
    address.writeUInt16LE(Sock.AF_NETLINK, 0);
    address.writeUInt32LE(groups >>> 0, 8);
    check(
      libc().bind(fd, address, 12),
      `bind a netlink socket (protocol ${protocol}, groups 0x${groups.toString(16)})`,
    );
    return fd;
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

/**
 * Requests to the kernel, one at a time, each waiting for its answer. The kernel answers within the send call, so this
 * is a matter of microseconds; should it not, the call fails with ETIMEDOUT after a second.
 */
export class NetlinkClient {
  #fd: number;
  #seq = 0;
  readonly #buffer = Buffer.alloc(BUFFER);

  /** @param protocol 0: rtnetlink. Throws SysError. */
  constructor(protocol = 0) {
    this.#fd = openNetlink(protocol, 0, false);
    const one = Buffer.from(Uint32Array.of(1).buffer);
    // Extended acknowledgements carry the kernel's own words; an old kernel without them is no reason to fail.
    libc().setsockopt(this.#fd, Sock.SOL_NETLINK, Sock.NETLINK_EXT_ACK, one, 4);
    const timeout = Buffer.from(BigInt64Array.of(BigInt(SOL_TIMEOUT_MS / 1000), 0n).buffer);
    check(
      libc().setsockopt(this.#fd, Sock.SOL_SOCKET, Sock.SO_RCVTIMEO, timeout, 16),
      'set the receive timeout of a netlink socket',
    );
  }

  /** Sends, waits for the acknowledgement. Throws SysError that begins with `attempted`. */
  request(message: MessageBuilder, attempted: string): void {
    this.#exchange(message, attempted);
  }

  /**
   * As `request`, on a helper thread: a change that waits for other devices, or until every core has let go of what is
   * removed (synchronize_net), does not hold this one. One request of a client at a time.
   */
  async requestAside(message: MessageBuilder, attempted: string): Promise<void> {
    this.#seq = (this.#seq + 1) >>> 0;
    const bytes = message.finish(this.#seq);
    for (let error = Errno.EINTR as number; error !== 0; ) {
      error = await new Promise<number>((resolve) =>
        sendAsync(this.#fd, bytes, (rc, code) => resolve(rc < 0 ? code : 0)),
      );
      if (error !== 0 && error !== Errno.EINTR) throw new SysError(attempted, error);
    }
    // The kernel has answered within the send call.
    const answers: Message[] = [];
    while (!this.#collect(this.#receive(attempted), answers, attempted));
  }

  /**
   * Sends a dump request and returns every answer; asks again when the kernel says that the table changed meanwhile.
   */
  dump(message: MessageBuilder, attempted: string): Message[] {
    for (let attempt = 1; ; attempt++) {
      const answers = this.#exchange(message, attempted);
      if (attempt === DUMP_ATTEMPTS || !answers.some((answer) => answer.flags & NLM_F_DUMP_INTR)) return answers;
    }
  }

  close(): void {
    closeQuietly(this.#fd);
    this.#fd = -1;
  }

  #exchange(message: MessageBuilder, attempted: string): Message[] {
    this.#seq = (this.#seq + 1) >>> 0;
    const bytes = message.finish(this.#seq);
    for (;;) {
      if (libc().send(this.#fd, bytes, bytes.length, 0) >= 0) break;
      const error = errno();
      if (error !== Errno.EINTR) throw new SysError(attempted, error);
    }
    const answers: Message[] = [];
    while (!this.#collect(this.#receive(attempted), answers, attempted));
    return answers;
  }

  /** Adds the answers in one datagram; true when the exchange is complete. Answers to an older request are ignored. */
  #collect(datagram: Buffer, answers: Message[], attempted: string): boolean {
    for (const message of parseMessages(datagram).messages) {
      if (message.seq !== this.#seq) continue;
      if (message.type === NLMSG_DONE) return true;
      if (message.type === NLMSG_ERROR) {
        const { error, text } = parseAck(message);
        if (error !== 0) throw new SysError(attempted, error, text);
        return true;
      }
      answers.push({ ...message, payload: Buffer.from(message.payload) });
    }
    return false;
  }

  #receive(attempted: string): Buffer {
    for (;;) {
      const length = libc().recv(this.#fd, this.#buffer, BUFFER, Sock.MSG_TRUNC);
      if (length > BUFFER) throw new SysError(attempted, Errno.EMSGSIZE, `an answer of ${length} bytes`);
      if (length >= 0) return this.#buffer.subarray(0, length);
      const error = errno();
      if (error === Errno.EAGAIN) {
        throw new SysError(attempted, Errno.ETIMEDOUT, `no answer from the kernel in ${SOL_TIMEOUT_MS} ms`);
      }
      if (error !== Errno.EINTR) throw new SysError(attempted, error);
    }
  }
}
