/**
 * New UDP flows at a given rate, one packet each, from the client through the firewall: what fills a state table. Raw
 * packets, because no program opens 20,000 sockets a second. Bounded in count; goes to one address of the lab only.
 *
 * Usage: storm.ts FROM TO RATE COUNT FIRST [curve]; prints one JSON line: how many were sent, and how long it took;
 * with `curve` before it, about every ms, `monotonic_ns sent`.
 */
import { check, closeQuietly, libc, Sock } from '../../../src/kernel/libc.ts';

const IPPROTO_RAW = 255;
const MOST = 2_000_000;
/** Destination ports, which the server's rules drop without an answer. */
export const STORM_PORTS = { low: 20_000, high: 29_999 };
const SOURCE_LOW = 1024;
const SOURCES = 60_000;

const ip = (text: string): Buffer => Buffer.from(text.split('.').map(Number));

/** IPv4 (20) + UDP (8) + 4 bytes; the kernel fills in length, identification and checksum of the IP header. */
function packet(from: Buffer, to: Buffer): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.set([0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17]);
  from.copy(bytes, 12);
  to.copy(bytes, 16);
  bytes.writeUInt16BE(12, 24);
  return bytes;
}

function main(): void {
  const [from = '', to = '', rate = '', count = '', first = '0', curve = ''] = process.argv.slice(2);
  const total = Math.min(Number(count), MOST);
  const perMs = Number(rate) / 1000;
  const fd = check(libc().socket(Sock.AF_INET, Sock.SOCK_RAW | Sock.SOCK_CLOEXEC, IPPROTO_RAW), 'open a raw socket');
  const bytes = packet(ip(from), ip(to));
  const name = Buffer.alloc(16);
  name.writeUInt16LE(Sock.AF_INET, 0);
  ip(to).copy(name, 4);
  const begun = performance.now();
  let sent = 0;
  const curveLines: string[] = [];
  while (sent < total) {
    const due = Math.min(total, Math.floor((performance.now() - begun) * perMs) + 1);
    // Before and after: what is sent late is sent in a burst, and not evenly since the last one.
    if (curve !== '') curveLines.push(`${process.hrtime.bigint()} ${sent}\n`);
    for (; sent < due; sent++) {
      const n = Number(first) + sent;
      bytes.writeUInt16BE(SOURCE_LOW + (n % SOURCES), 20);
      bytes.writeUInt16BE(STORM_PORTS.low + (Math.floor(n / SOURCES) % 10_000), 22);
      libc().sendto(fd, bytes, bytes.length, 0, name, name.length);
    }
    if (curve !== '') curveLines.push(`${process.hrtime.bigint()} ${sent}\n`);
    libc().usleep(200);
  }
  closeQuietly(fd);
  process.stdout.write(curveLines.join(''));
  process.stdout.write(`${JSON.stringify({ sent, ms: performance.now() - begun })}\n`);
}

if (process.argv[1]?.endsWith('storm.ts')) main();
