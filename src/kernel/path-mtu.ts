/**
 * How large a packet may be on the way to the peer, by trying: ICMP echo requests of several sizes that nobody may cut
 * (DF, and the kernel's own idea of the path is left aside). An answer has the size of its request, so one that comes
 * says that the size passes there and, unless the peer's kernel cuts it, back.
 */
import { randomBytes } from 'node:crypto';
import { addressBytes } from '../net/ip.ts';
import { check, closeQuietly, Errno, errno, libc, Sock, SysError } from './libc.ts';
import { watchFd } from './uv-poll.ts';

const ICMP = 1;
const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_PROBE = 3;
const IP_HEADER = 20;
const ECHO_REQUEST = 8;
const MARK_BYTES = 8;
const ROUNDS = 3;

interface PathMtu {
  /** Of the sizes that were tried the largest that was answered; null: none, so nothing is known. */
  largest: number | null;
  /** ms until the first answer. */
  rtt_ms: number | null;
  /** Sizes that this box's own device refused. */
  refused: number[];
}

/** The sum of RFC 1071. */
export function inetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** @param size of the whole IP packet, bytes; `mark` makes the answer ours */
export function echoRequest(size: number, id: number, sequence: number, mark: Buffer): Buffer {
  const out = Buffer.alloc(Math.max(size - IP_HEADER, 8 + mark.length));
  out.writeUInt8(ECHO_REQUEST, 0);
  out.writeUInt16BE(id, 4);
  out.writeUInt16BE(sequence, 6);
  mark.copy(out, 8);
  out.writeUInt16BE(inetChecksum(out), 2);
  return out;
}

/** The sequence number of an echo answer that belongs to us, or null. @param packet with its IP header */
export function echoAnswer(packet: Buffer, from: Buffer, id: number, mark: Buffer): number | null {
  const head = ((packet[0] ?? 0) & 0x0f) * 4;
  if (head < IP_HEADER || packet.length < head + 8 + mark.length) return null;
  if (!packet.subarray(12, 16).equals(from) || packet[head] !== 0 || packet.readUInt16BE(head + 4) !== id) return null;
  if (!packet.subarray(head + 8, head + 8 + mark.length).equals(mark)) return null;
  return packet.readUInt16BE(head + 6);
}

function open(device: string): number {
  const type = Sock.SOCK_RAW | Sock.SOCK_CLOEXEC | Sock.SOCK_NONBLOCK;
  const fd = check(libc().socket(Sock.AF_INET, type, ICMP), 'open a socket for ICMP');
  try {
    const name = Buffer.from(`${device}\0`);
    check(libc().setsockopt(fd, Sock.SOL_SOCKET, Sock.SO_BINDTODEVICE, name, name.length), `bind to ${device}`);
    const probe = Buffer.alloc(4);
    probe.writeInt32LE(IP_PMTUDISC_PROBE);
    check(libc().setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, probe, 4), 'set the DF bit');
    return fd;
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

/**
 * Three requests of each size, over `withinMs`.
 * @param target IPv4
 * @throws SysError without CAP_NET_RAW or when there is no such device
 */
export async function pathMtu(
  device: string,
  target: string,
  sizes: readonly number[],
  withinMs: number,
): Promise<PathMtu> {
  const to = addressBytes(target);
  if (to?.length !== 4) throw new Error(`${target} is no IPv4 address`);
  const fd = open(device);
  const [id, mark] = [randomBytes(2).readUInt16BE(), randomBytes(MARK_BYTES)];
  const answered = new Set<number>();
  const refused = new Set<number>();
  const began = performance.now();
  let rtt: number | null = null;
  let done: () => void = () => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const watch = watchFd(
    fd,
    () => {
      for (const sequence of answers(fd, to, id, mark)) {
        rtt ??= Math.round((performance.now() - began) * 100) / 100;
        answered.add(sequence);
      }
      if (answered.size + refused.size >= sizes.length) done();
    },
    done,
  );
  const name = Buffer.alloc(16);
  name.writeUInt16LE(Sock.AF_INET, 0);
  to.copy(name, 4);
  const round = (): void => {
    sizes.forEach((size, i) => {
      if (answered.has(i)) return;
      const bytes = echoRequest(size, id, i, mark);
      const sent = Number(libc().sendto(fd, bytes, bytes.length, Sock.MSG_DONTWAIT, name, name.length));
      if (sent < 0 && errno() === Errno.EMSGSIZE) refused.add(i);
    });
  };
  round();
  const again = setInterval(round, withinMs / ROUNDS);
  const over = setTimeout(done, withinMs);
  await all;
  clearInterval(again);
  clearTimeout(over);
  watch.close(() => closeQuietly(fd));
  const sizesOf = (set: Set<number>): number[] => [...set].flatMap((i) => sizes[i] ?? []);
  return {
    largest: answered.size === 0 ? null : Math.max(...sizesOf(answered)),
    rtt_ms: rtt,
    refused: sizesOf(refused),
  };
}

function answers(fd: number, from: Buffer, id: number, mark: Buffer): number[] {
  const found: number[] = [];
  const buffer = Buffer.alloc(65_536);
  for (let i = 0; i < 256; i++) {
    const length = Number(libc().recv(fd, buffer, buffer.length, 0));
    if (length < 0) {
      const error = errno();
      if (error === Errno.EINTR) continue;
      if (error === Errno.EAGAIN || error === Errno.ENETDOWN || error === Errno.EMSGSIZE) return found;
      throw new SysError('read ICMP answers', error);
    }
    const sequence = echoAnswer(buffer.subarray(0, length), from, id, mark);
    if (sequence !== null) found.push(sequence);
  }
  return found;
}

/** Sizes worth a try up to `most`: a plain packet, what tunnels and PPPoE leave of 1500, and `most` itself. */
export function sizesUpTo(most: number): number[] {
  const usual = [84, 576, 1280, 1400, 1420, 1450, 1472, 1480, 1492, 1500, 4000, 8000, 9000];
  return [...usual.filter((size) => size < most), most];
}
