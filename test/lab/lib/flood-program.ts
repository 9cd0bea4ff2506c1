/**
 * A flood of whole IPv4 frames out of a device: bounded in rate and time.  usage: flood-program.ts DEVICE RATE MS
 * random|same HEX `random`: each frame from another source address. Prints how many were sent.
 */
import { libc } from '../../../src/kernel/libc.ts';
import { PacketSocket } from '../../../src/kernel/packet-socket.ts';
import { internetChecksum } from '../../../src/net/checksum.ts';

const MOST_A_SECOND = 20_000;
const MOST_MS = 10_000;
const [device = '', rate = '', ms = '', kind = '', hex = ''] = process.argv.slice(2);
const perMs = Math.min(Number(rate), MOST_A_SECOND) / 1000;
const until = Math.min(Number(ms), MOST_MS);
const frame = Buffer.from(hex, 'hex');
const socket = new PacketSocket({ ifindex: libc().if_nametoindex(device), name: device });
const begun = performance.now();
let sent = 0;
for (let now = 0; now < until; now = performance.now() - begun) {
  for (; sent < now * perMs; sent++) {
    if (kind === 'random') {
      frame.writeUInt16BE(1 + (sent % 65_000), 14 + 14);
      frame.writeUInt16BE(0, 14 + 10);
      frame.writeUInt16BE(internetChecksum(frame.subarray(14, 34)), 14 + 10);
    }
    try {
      socket.send(frame);
    } catch {
      // the device's queue is full: that one is lost
    }
  }
  libc().usleep(1000);
}
socket.close();
process.stdout.write(`${sent}\n`);
