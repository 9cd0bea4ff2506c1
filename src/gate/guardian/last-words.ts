/**
 * Sends complete IP packets out of a NIC without Node's help: the goodbye of a daemon that can no longer say it itself.
 * They leave with the NIC's own MAC, on purpose: the switches must not learn the virtual MAC on this port once more.
 */

import type { LastWord } from '../../carp/adverts.ts';
import { check, closeQuietly, errno, libc, Sock, SysError } from '../../kernel/libc.ts';
import { addressBytes } from '../../net/ip.ts';

const IPPROTO_RAW = 255; // complete packets, header included; receives nothing
const SOL_IP = 0;
const IP_MULTICAST_LOOP = 34;
const SOL_IPV6 = 41;
const IPV6_MULTICAST_LOOP = 19;
const ZERO = Buffer.alloc(4);

export class Speaker {
  readonly #fds: Record<4 | 6, number>;

  /**
   * Opens its sockets now, because later there may be no room for them. A kernel without IPv6 is no trouble. @throws
   * SysError
   */
  constructor() {
    const type = Sock.SOCK_RAW | Sock.SOCK_NONBLOCK | Sock.SOCK_CLOEXEC;
    const v4 = check(libc().socket(Sock.AF_INET, type, IPPROTO_RAW), 'open the socket for last words');
    const v6 = libc().socket(Sock.AF_INET6, type, IPPROTO_RAW);
    this.#fds = { 4: v4, 6: v6 };
    // Or else this machine's own daemon, if it only hung, would hear its own goodbye.
    libc().setsockopt(v4, SOL_IP, IP_MULTICAST_LOOP, ZERO, 4);
    if (v6 >= 0) libc().setsockopt(v6, SOL_IPV6, IPV6_MULTICAST_LOOP, ZERO, 4);
  }

  /** @throws SysError */
  say(word: LastWord): void {
    const fd = this.#fds[word.family];
    const attempted = `send last words on ${word.device} to ${word.to}`;
    const name = Buffer.from(`${word.device}\0`);
    check(libc().setsockopt(fd, Sock.SOL_SOCKET, Sock.SO_BINDTODEVICE, name, name.length), attempted);
    const packet = Buffer.from(word.packet, 'hex');
    const address = socketAddress(word);
    if (Number(libc().sendto(fd, packet, packet.length, Sock.MSG_DONTWAIT, address, address.length)) >= 0) return;
    throw new SysError(attempted, errno());
  }

  close(): void {
    closeQuietly(this.#fds[4]);
    closeQuietly(this.#fds[6]);
  }
}

/** sockaddr_in (16 bytes: family, port, address) or sockaddr_in6 (28 bytes: family, port, flow, address, scope). */
function socketAddress(word: LastWord): Buffer {
  const bytes = addressBytes(word.to) ?? Buffer.alloc(word.family === 4 ? 4 : 16);
  if (word.family === 4) {
    const address = Buffer.alloc(16);
    address.writeUInt16LE(Sock.AF_INET, 0);
    bytes.copy(address, 4);
    return address;
  }
  const address = Buffer.alloc(28);
  address.writeUInt16LE(Sock.AF_INET6, 0);
  bytes.copy(address, 8);
  address.writeUInt32LE(libc().if_nametoindex(word.device), 24);
  return address;
}
