/**
 * Devices and addresses as they are now, and a call whenever they change. The kernel's notifications wake the main loop
 * at once (uv-poll.ts); when they overrun (ENOBUFS) or do not parse, everything is listed again.
 */
import { check, closeQuietly, Errno, errno, libc, Sock, SysError } from './libc.ts';
import { NLM_F_DUMP_INTR, openNetlink, parseMessages } from './netlink.ts';
import {
  type Address,
  type Link,
  parseAddress,
  parseLink,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
  Rtnetlink,
} from './rtnetlink.ts';
import { type FdWatch, watchFd } from './uv-poll.ts';

const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV6_IFADDR = 0x100;
const GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;

const BUFFER = 64 * 1024;
/** Datagrams read per wake-up; the rest comes with the next wake-up, so that a storm cannot hold the loop. */
const READS_PER_WAKE = 64;
/** Notifications the kernel keeps for us, bytes. */
const QUEUE = 1 << 20;
/** More than that can hold. */
const DRAIN_READS = 20_000;

export interface LinkInfo extends Link {
  readonly addresses: readonly Address[];
}

export interface LinkWatch {
  /**
   * The devices as last known, by rising index. The kernel does not announce a new alias of a device that is down: to
   * recognise what an earlier run left, list afresh (Rtnetlink.links).
   */
  links(): LinkInfo[];
  close(): void;
}

interface LinkWatchOptions {
  /** what went wrong while watching; the watch goes on */
  readonly onError?: (error: Error) => void;
}

/** The known devices and addresses; applying a notification tells whether it changed anything. Pure. */
export class LinkTable {
  #links = new Map<number, Link>();
  #addresses = new Map<number, Map<string, Address>>();

  reset(links: Iterable<Link>, addresses: Iterable<Address>): void {
    this.#links = new Map(Array.from(links, (link) => [link.index, link]));
    this.#addresses = new Map();
    for (const address of addresses) this.#put(address);
  }

  #put(address: Address): void {
    let own = this.#addresses.get(address.index);
    if (own === undefined) {
      own = new Map();
      this.#addresses.set(address.index, own);
    }
    own.set(key(address), address);
  }

  newLink(link: Link): boolean {
    const before = this.#links.get(link.index);
    this.#links.set(link.index, link);
    return before === undefined || JSON.stringify(before) !== JSON.stringify(link);
  }

  deleteLink(index: number): boolean {
    this.#addresses.delete(index);
    return this.#links.delete(index);
  }

  newAddress(address: Address): boolean {
    const before = this.#addresses.get(address.index)?.get(key(address));
    this.#put(address);
    return before === undefined || before.flags !== address.flags;
  }

  deleteAddress(address: Address): boolean {
    return this.#addresses.get(address.index)?.delete(key(address)) ?? false;
  }

  list(): LinkInfo[] {
    return [...this.#links.values()]
      .sort((a, b) => a.index - b.index)
      .map((link) => ({ ...link, addresses: [...(this.#addresses.get(link.index)?.values() ?? [])] }));
  }
}

const key = (address: Address): string => `${address.address}/${address.prefix}`;

/** Applies what one recv gave. `changed`: something differs now; `intact`: false asks for a new list. Pure. */
export function applyNotifications(table: LinkTable, bytes: Uint8Array): { changed: boolean; intact: boolean } {
  const { messages, intact } = parseMessages(bytes);
  let changed = false;
  for (const message of messages) {
    const link = parseLink(message);
    const address = parseAddress(message);
    // A bridge announces its ports in its own address family; RTM_DELLINK of those means "left the bridge".
    const plain = message.payload.length > 0 && message.payload[0] === 0;
    if (link !== null && plain && message.type === RTM_NEWLINK) changed = table.newLink(link) || changed;
    else if (link !== null && plain && message.type === RTM_DELLINK) changed = table.deleteLink(link.index) || changed;
    else if (address !== null && message.type === RTM_NEWADDR) changed = table.newAddress(address) || changed;
    else if (address !== null && message.type === RTM_DELADDR) changed = table.deleteAddress(address) || changed;
  }
  return { changed, intact: intact && !messages.some((message) => message.flags & NLM_F_DUMP_INTR) };
}

/**
 * Watches devices and addresses. `onChange` gets the whole new list, on the main loop, at most once per wake-up, and
 * never before this function has returned. Does not keep the process alive. Throws SysError when netlink is not
 * available.
 */
export function watchLinks(onChange: (links: LinkInfo[]) => void, options: LinkWatchOptions = {}): LinkWatch {
  return new Watcher(onChange, options.onError ?? ((): void => {}));
}

class Watcher implements LinkWatch {
  readonly #fd: number;
  readonly #lister: Rtnetlink;
  readonly #table = new LinkTable();
  readonly #buffer = Buffer.alloc(BUFFER);
  readonly #onChange: (links: LinkInfo[]) => void;
  #watch: FdWatch | null = null;
  #open = true;

  constructor(onChange: (links: LinkInfo[]) => void, onError: (error: Error) => void) {
    this.#onChange = onChange;
    this.#lister = new Rtnetlink();
    this.#fd = openNetlink(0, GROUPS, true);
    try {
      const size = Buffer.from(Uint32Array.of(QUEUE).buffer);
      const rc = libc().setsockopt(this.#fd, Sock.SOL_SOCKET, Sock.SO_RCVBUF, size, 4);
      check(rc, 'enlarge the device notification buffer');
      this.#relist();
      this.#watch = watchFd(this.#fd, () => this.#onReadable(), onError);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  links(): LinkInfo[] {
    return this.#table.list();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#lister.close();
    if (this.#watch === null) closeQuietly(this.#fd);
    else this.#watch.close(() => closeQuietly(this.#fd));
  }

  /** Bytes of the next notification, or minus EAGAIN or ENOBUFS. */
  #read(): number {
    for (;;) {
      const length = libc().recv(this.#fd, this.#buffer, BUFFER, Sock.MSG_TRUNC);
      if (length >= 0) return length;
      const error = errno();
      if (error === Errno.EAGAIN || error === Errno.ENOBUFS) return -error;
      if (error === Errno.EINTR) continue;
      this.close(); // or else this error would come again with every turn of the loop
      throw new SysError('read device notifications (the watch has ended)', error);
    }
  }

  // What is still queued is older than the list that is about to be made, and must not be applied on top of it. What
  // comes in meanwhile may be applied twice, which does no harm: every notification says what is, not what changed.
  #relist(): void {
    for (let i = 0; i < DRAIN_READS && this.#read() !== -Errno.EAGAIN; i++);
    this.#table.reset(this.#lister.links(), this.#lister.addresses());
  }

  #onReadable(): void {
    let changed = false;
    for (let i = 0; i < READS_PER_WAKE; i++) {
      const length = this.#read();
      if (length === -Errno.EAGAIN) break;
      const whole = length >= 0 && length <= BUFFER;
      const applied = whole ? applyNotifications(this.#table, this.#buffer.subarray(0, length)) : null;
      changed ||= applied?.changed ?? true;
      if (applied?.intact) continue;
      this.#relist();
      changed = true;
      break;
    }
    if (changed && this.#open) this.#onChange(this.#table.list());
  }
}
