/**
 * Prints every frame that a device receives as a line of JSON: {"at": ms, "hex": "…"}. usage: sniff-program.ts DEVICE
 */
import { libc } from '../../../src/kernel/libc.ts';
import { ETH_P_ALL, PacketSocket } from '../../../src/kernel/packet-socket.ts';

const device = process.argv[2] ?? '';
const socket = new PacketSocket({ ifindex: libc().if_nametoindex(device), name: device }, ETH_P_ALL);
socket.receive(
  (frame) =>
    process.stdout.write(
      `${JSON.stringify({ at: performance.timeOrigin + performance.now(), hex: frame.toString('hex') })}\n`,
    ),
  (error) => process.stderr.write(`${error.message}\n`),
);
process.stdout.write('{}\n');
process.stdin.on('end', () => process.exit(0)).resume();
