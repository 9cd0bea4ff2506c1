/**
 * A flood of bytes that are no protocol's, at a bounded rate: random ones, near misses of CARP, of VRRP and of the sync
 * link's datagrams. Raw packets with TTL 255, because others are refused before anybody looks at them.
 *
 *   usage: junk.ts PROTOCOL FROM TO RATE COUNT SEED; prints one JSON line: {"sent": N}
 */
import { check, closeQuietly, libc, Sock } from '../../../src/kernel/libc.ts';
import { type Random, seeded } from '../../lib/random.ts';

const IPPROTO_RAW = 255;
const IP_MULTICAST_IF = 32;
const MOST = { rate: 20_000, count: 1_000_000, bytes: 1400 };
const CARP = 112;
const SYNC_MAGIC = 0xca12;

const ip = (text: string): Buffer => Buffer.from(text.split('.').map(Number));

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.int(0, 255)));
}

/** 36 bytes with a sound checksum, so that the packet gets as far as the digest. */
function nearlyCarp(random: Random): Buffer {
  const bytes = randomBytes(random, 36);
  bytes[0] = random.pick([0x21, 0x21, 0x21, 0x31, 0x22, 0x20]);
  bytes[1] = random.pick([1, 2, 1, 2, random.int(0, 255)]);
  bytes[3] = random.pick([7, 7, 7, random.int(0, 255)]);
  bytes.writeUInt16BE(0, 6);
  let sum = 0;
  for (let i = 0; i < 36; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes.writeUInt16BE(~sum & 0xffff, 6);
  return random.chance(0.2) ? bytes.subarray(0, random.int(0, 36)) : bytes;
}

/** A right header with anything behind it: the seal is what refuses it. */
function nearlySync(random: Random): Buffer {
  const bytes = randomBytes(random, random.int(16, MOST.bytes));
  bytes.writeUInt16BE(SYNC_MAGIC, 0);
  bytes[2] = random.pick([1, 1, 1, 2, 0]);
  bytes[3] = random.pick([1, 2, 1, 2, random.int(0, 255)]);
  return bytes;
}

function junk(protocol: number, random: Random): Buffer {
  if (random.chance(0.3)) return randomBytes(random, random.int(0, MOST.bytes));
  return protocol === CARP ? nearlyCarp(random) : nearlySync(random);
}

/** The kernel fills in length, identification and checksum of the IP header. */
function packet(protocol: number, from: Buffer, to: Buffer, payload: Buffer): Buffer {
  const header = Buffer.from([0x45, 0, 0, 0, 0, 0, 0x40, 0, 255, protocol, 0, 0, ...from, ...to]);
  return Buffer.concat([header, payload]);
}

function main(): void {
  const [protocol = '', from = '', to = '', rate = '', count = '', seed = '1'] = process.argv.slice(2);
  const random = seeded(Number(seed));
  const total = Math.min(Number(count), MOST.count);
  const perMs = Math.min(Number(rate), MOST.rate) / 1000;
  const fd = check(libc().socket(Sock.AF_INET, Sock.SOCK_RAW | Sock.SOCK_CLOEXEC, IPPROTO_RAW), 'open a raw socket');
  check(libc().setsockopt(fd, 0, IP_MULTICAST_IF, ip(from), 4), 'choose the interface for multicast');
  const packets = Array.from({ length: Math.min(total, 500) }, () =>
    packet(Number(protocol), ip(from), ip(to), junk(Number(protocol), random)),
  );
  const name = Buffer.alloc(16);
  name.writeUInt16LE(Sock.AF_INET, 0);
  ip(to).copy(name, 4);
  const begun = performance.now();
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, Math.floor((performance.now() - begun) * perMs) + 1);
    for (; sent < due; sent++) {
      const bytes = packets[sent % packets.length]!;
      libc().sendto(fd, bytes, bytes.length, 0, name, name.length);
    }
    libc().usleep(1000);
  }
  closeQuietly(fd);
  process.stdout.write(`${JSON.stringify({ sent })}\n`);
}

if (process.argv[1]?.endsWith('junk.ts')) main();
