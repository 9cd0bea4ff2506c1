/**
 * The adverts that reach a machine's device, with the kernel's own time stamps: how late this program runs does not
 * matter. IPv4 only (the IPv6 advert of a vhid leaves in the same moment).
 *
 *   usage: adverts.ts DEVICE INTERVAL_US DOWN_US LIFETIME_S
 *
 * Commands: mark (forgets what was seen), report: by source address how many, the longest gap between two, how many
 * intervals passed without one, how many gaps were longer than DOWN_US.
 */
import { addressOf, check, libc, Sock } from '../../../src/kernel/libc.ts';
import { numberArgument, obey, tell, textArgument } from './lines.ts';

export interface Heard {
  count: number;
  longest_ms: number;
  missed: number;
  over_down: number;
}

const ETH_P_IP = 0x0800;
const device = textArgument(1);
const intervalUs = numberArgument(2);
const downUs = numberArgument(3);

interface Source extends Heard {
  lastUs: number;
}
const sources = new Map<string, Source>();

/** Classic BPF: half word at 12 is IPv4, byte at 23 is protocol 112, else nothing. */
const FILTER = Buffer.concat(
  (
    [
      [0x28, 0, 0, 12],
      [0x15, 0, 3, ETH_P_IP],
      [0x30, 0, 0, 23],
      [0x15, 0, 1, 112],
      [0x06, 0, 0, 0xffff],
      [0x06, 0, 0, 0],
    ] as const
  ).map(([code, yes, no, k]) => {
    const line = Buffer.alloc(8);
    line.writeUInt16LE(code, 0);
    line.writeUInt8(yes, 2);
    line.writeUInt8(no, 3);
    line.writeUInt32LE(k, 4);
    return line;
  }),
);

function take(frame: Buffer, atUs: number): void {
  const from = [...frame.subarray(26, 30)].join('.');
  const seen = sources.get(from);
  if (seen === undefined) {
    sources.set(from, { count: 1, longest_ms: 0, missed: 0, over_down: 0, lastUs: atUs });
    return;
  }
  const gap = atUs - seen.lastUs;
  seen.lastUs = atUs;
  seen.count += 1;
  seen.longest_ms = Math.max(seen.longest_ms, gap / 1000);
  seen.missed += Math.max(0, Math.round(gap / intervalUs) - 1);
  if (gap > downUs) seen.over_down += 1;
}

const SIOCGSTAMP = 0x8906;
const SO_ATTACH_FILTER = 26;
const DRAIN_MS = 10;

/** struct sockaddr_ll: family, protocol (network order), device index; the rest does not matter for bind. */
function open(): number {
  const fd = check(libc().socket(Sock.AF_PACKET, Sock.SOCK_RAW | Sock.SOCK_NONBLOCK, 0), 'open a packet socket');
  const program = Buffer.alloc(16);
  program.writeUInt16LE(FILTER.length / 8, 0);
  program.writeBigUInt64LE(BigInt(addressOf(FILTER)), 8);
  check(libc().setsockopt(fd, Sock.SOL_SOCKET, SO_ATTACH_FILTER, program, program.length), 'attach the filter');
  const address = Buffer.alloc(20);
  address.writeUInt16LE(Sock.AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_IP, 2);
  address.writeInt32LE(libc().if_nametoindex(device), 4);
  check(libc().bind(fd, address, address.length), `bind to ${device}`);
  return fd;
}

/** struct timeval of the packet that was read last: 64-bit seconds, 64-bit microseconds. */
function stamp(fd: number, buffer: Buffer): number | null {
  if (libc().ioctl(fd, SIOCGSTAMP, buffer) < 0) return null;
  return Number(buffer.readBigInt64LE(0)) * 1e6 + Number(buffer.readBigInt64LE(8));
}

function main(): void {
  const fd = open();
  const [frame, time] = [Buffer.alloc(2048), Buffer.alloc(16)];
  stamp(fd, time); // the first question switches the kernel's time stamps on
  setInterval(() => {
    while (Number(libc().recv(fd, frame, frame.length, Sock.MSG_DONTWAIT)) > 34) {
      const at = stamp(fd, time);
      if (at !== null) take(frame, at);
    }
  }, DRAIN_MS);
  obey(({ cmd }) => {
    const report = Object.fromEntries(
      [...sources].map(([from, { count, longest_ms, missed, over_down }]) => [
        from,
        { count, longest_ms: Math.round(longest_ms * 10) / 10, missed, over_down },
      ]),
    );
    if (cmd === 'mark') sources.clear();
    return { sources: report };
  }, numberArgument(4));
  tell({ type: 'ready' });
}

main();
