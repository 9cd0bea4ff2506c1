/**
 * The raw socket of the probes on one NIC and one family: protocol 240 with TTL 255, bound to the device. On the main
 * thread, on purpose: an answer shall prove that the control thread turns.
 */

import { check, closeQuietly, Errno, errno, libc, Sock, SysError } from '../../kernel/libc.ts';
import { type FdWatch, watchFd } from '../../kernel/uv-poll.ts';
import { addressBytes, formatIp } from '../../net/ip.ts';

const PROTOCOL = 240;
const SOL_IP = 0;
const IP_TTL = 2;
const SOL_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const READS_PER_WAKE = 64;
const BUFFER = 2048;
const HOPS = int32(255);
const IP_MULTICAST_TTL = 33;
const IP_MULTICAST_LOOP = 34;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const OFF = int32(0);

export interface ProbeSocket {
  readonly device: string;
  readonly ifindex: number;
  readonly family: 4 | 6;
  /** False when the kernel took nothing: link down, neighbour unknown, no route. */
  send(bytes: Buffer, to: string): boolean;
  close(): void;
}

export interface ProbeSocketOptions {
  device: string;
  ifindex: number;
  family: 4 | 6;
  /** `bytes`: the payload behind the IP header. */
  onPacket(bytes: Buffer, from: string): void;
  onError(error: Error): void;
}

/** @throws SysError */
export function openProbeSocket(options: ProbeSocketOptions): ProbeSocket {
  const { device, ifindex, family } = options;
  const v4 = family === 4;
  const type = Sock.SOCK_RAW | Sock.SOCK_CLOEXEC | Sock.SOCK_NONBLOCK;
  const fd = check(
    libc().socket(v4 ? Sock.AF_INET : Sock.AF_INET6, type, PROTOCOL),
    `open a probe socket on ${device}`,
  );
  let watch: FdWatch;
  try {
    const name = Buffer.from(`${device}\0`);
    const bound = libc().setsockopt(fd, Sock.SOL_SOCKET, Sock.SO_BINDTODEVICE, name, name.length);
    check(bound, `bind a probe socket to ${device}`);
    const hops = v4
      ? libc().setsockopt(fd, SOL_IP, IP_TTL, HOPS, 4)
      : libc().setsockopt(fd, SOL_IPV6, IPV6_UNICAST_HOPS, HOPS, 4);
    check(hops, `set the TTL of a probe socket on ${device}`);
    setMulticast(fd, v4);
    watch = watchFd(fd, () => readAll(fd, options), options.onError);
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
  return {
    device,
    ifindex,
    family,
    send: (bytes, to) => sendTo(fd, family, ifindex, bytes, to),
    close: () => watch.close(() => closeQuietly(fd)),
  };
}

/** For probes to CARP's group; without these they would be refused there (TTL) or heard here. */
function setMulticast(fd: number, v4: boolean): void {
  const [level, hops, loop] = v4
    ? [SOL_IP, IP_MULTICAST_TTL, IP_MULTICAST_LOOP]
    : [SOL_IPV6, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP];
  check(libc().setsockopt(fd, level, hops, HOPS, 4), 'set the multicast TTL of a probe socket');
  check(libc().setsockopt(fd, level, loop, OFF, 4), 'keep own multicast probes out');
}

function readAll(fd: number, options: ProbeSocketOptions): void {
  const v4 = options.family === 4;
  const buffer = Buffer.alloc(BUFFER);
  const name = Buffer.alloc(28);
  const nameLength = Buffer.alloc(4);
  for (let i = 0; i < READS_PER_WAKE; i++) {
    nameLength.writeUInt32LE(name.length, 0);
    const length = Number(libc().recvfrom(fd, buffer, BUFFER, 0, name, nameLength));
    if (length < 0) {
      const error = errno();
      if (error === Errno.EINTR) continue;
      // The device went down: the link watch tells what that means.
      if (error === Errno.EAGAIN || error === Errno.ENETDOWN) return;
      throw new SysError(`read probes on ${options.device}`, error);
    }
    // A raw IPv4 socket hands over the header too; an IPv6 one does not, and Carpio's own table has checked its hop
    // limit.
    const head = v4 ? ((buffer[0] ?? 0) & 0x0f) * 4 : 0;
    if (v4 && (head < 20 || length < head || buffer[8] !== 255)) continue;
    const from = v4 ? formatIp(name.subarray(4, 8)) : formatIp(name.subarray(8, 24));
    options.onPacket(Buffer.from(buffer.subarray(head, length)), from);
  }
}

function sendTo(fd: number, family: 4 | 6, ifindex: number, bytes: Buffer, to: string): boolean {
  const target = addressBytes(to);
  if (target === null || (target.length === 4) !== (family === 4)) return false;
  const name = Buffer.alloc(family === 4 ? 16 : 28);
  name.writeUInt16LE(family === 4 ? Sock.AF_INET : Sock.AF_INET6, 0);
  target.copy(name, family === 4 ? 4 : 8);
  if (family === 6) name.writeUInt32LE(ifindex, 24);
  return Number(libc().sendto(fd, bytes, bytes.length, Sock.MSG_DONTWAIT, name, name.length)) >= 0;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
