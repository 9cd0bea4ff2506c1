/** Sends whole frames out of a device.  usage: play-program.ts DEVICE HEX… */
import { libc } from '../../../src/kernel/libc.ts';
import { PacketSocket } from '../../../src/kernel/packet-socket.ts';

const [device = '', ...frames] = process.argv.slice(2);
const socket = new PacketSocket({ ifindex: libc().if_nametoindex(device), name: device });
for (const hex of frames) socket.send(Buffer.from(hex, 'hex'));
socket.close();
