/**
 * The raw IPv4 socket of the sync link (IP protocol 240), bound to its device, TTL 255 so that the receiver can tell
 * that a datagram has not crossed a router.
 */
import { isIPv4 } from 'node:net';
import { check, closeQuietly, Errno, errno, libc, Sock } from './libc.ts';

const IPPROTO_PFSYNC = 240;
export const SYNC_GROUP = '224.0.0.240';
const IPPROTO_IP = 0;
const IP_TTL = 2;
const IP_MTU_DISCOVER = 10;
/** Never in pieces, and whatever ICMP says of the path is not believed: anybody can forge it. */
const IP_PMTUDISC_PROBE = 3;
const IP_MULTICAST_TTL = 33;
const IP_MULTICAST_LOOP = 34;
const IP_ADD_MEMBERSHIP = 35;
const IP_MULTICAST_IF = 32;
const BUFFER = 16 * 1024 * 1024;

type SendResult = 'sent' | 'lost' | 'too_long';

export interface SyncSocket {
  fd: number;
  /**
   * `lost`: the kernel took nothing (link down, no route, buffer full), and the stream sends it again. `too_long`: the
   * device takes no packet of that size, now or later.
   */
  send(datagram: Buffer, address: string): SendResult;
  /**
   * The device was made anew, with another index: the kernel binds by index, so this socket is deaf until then.
   * @throws SysError when it is gone again
   */
  follow(ifindex: number): void;
  close(): void;
}

/** @throws SysError without CAP_NET_RAW or when the device does not exist */
export function openSyncSocket(device: string, ifindex: number): SyncSocket {
  const type = Sock.SOCK_RAW | Sock.SOCK_CLOEXEC | Sock.SOCK_NONBLOCK;
  const fd = check(libc().socket(Sock.AF_INET, type, IPPROTO_PFSYNC), 'open the sync socket');
  try {
    for (const [option, value] of [
      [IP_TTL, 255],
      [IP_MULTICAST_TTL, 255],
      [IP_MULTICAST_LOOP, 0],
      [IP_MTU_DISCOVER, IP_PMTUDISC_PROBE],
    ] as const) {
      check(libc().setsockopt(fd, IPPROTO_IP, option, int32(value), 4), `set option ${option} of the sync socket`);
    }
    bindTo(fd, device, ifindex);
    libc().setsockopt(fd, Sock.SOL_SOCKET, Sock.SO_RCVBUFFORCE, int32(BUFFER), 4);
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
  const nameOf = namer();
  return {
    fd,
    send: (datagram, address) => sendTo(fd, datagram, nameOf(address)),
    follow: (index) => bindTo(fd, device, index),
    close: () => closeQuietly(fd),
  };
}

/** Device and group. The membership in the group went with the device that was before. */
function bindTo(fd: number, device: string, ifindex: number): void {
  const name = Buffer.from(`${device}\0`);
  check(
    libc().setsockopt(fd, Sock.SOL_SOCKET, Sock.SO_BINDTODEVICE, name, name.length),
    `bind the sync socket to ${device}`,
  );
  const membership = Buffer.alloc(12);
  ipv4(SYNC_GROUP).copy(membership, 0);
  membership.writeInt32LE(ifindex, 8);
  check(libc().setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership, 12), `join ${SYNC_GROUP} on ${device}`);
  check(libc().setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, membership, 12), `send ${SYNC_GROUP} on ${device}`);
}

function sendTo(fd: number, datagram: Buffer, name: Buffer): SendResult {
  for (let attempt = 0; attempt < 2; attempt++) {
    if (Number(libc().sendto(fd, datagram, datagram.length, 0, name, name.length)) >= 0) return 'sent';
    const error = errno();
    if (error === Errno.EMSGSIZE) return 'too_long';
    if (error !== Errno.EINTR) break;
  }
  return 'lost';
}

/** The last address as struct sockaddr_in: a datagram's way leads nearly always to the same node. */
function namer(): (address: string) => Buffer {
  const name = Buffer.alloc(16);
  name.writeUInt16LE(Sock.AF_INET, 0);
  let last = '';
  return (address) => {
    if (address !== last) {
      ipv4(address).copy(name, 4);
      last = address;
    }
    return name;
  };
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

export function ipv4(address: string): Buffer {
  if (!isIPv4(address)) throw new Error(`${address} is no IPv4 address`);
  return Buffer.from(address.split('.').map(Number));
}

/** The address in a sockaddr_in. */
export function addressOfName(name: Buffer): string {
  return [...name.subarray(4, 8)].join('.');
}
