/**
 * Writes what arrives on the sync link as JSON lines of hex, without the IP header. usage: record-sync.ts DEVICE FILE
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { libc } from '../../../src/kernel/libc.ts';
import { openSyncSocket } from '../../../src/kernel/sync-socket.ts';

const [device = '', file = ''] = process.argv.slice(2);
const { fd } = openSyncSocket(device, Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'utf8')));
const packet = Buffer.alloc(2048);

function drain(): void {
  for (;;) {
    const length = libc().recv(fd, packet, packet.length, 0);
    if (length <= 0) return;
    const header = ((packet[0] ?? 0) & 0x0f) * 4;
    appendFileSync(file, `${JSON.stringify(packet.subarray(header, length).toString('hex'))}\n`);
  }
}

setInterval(drain, 5);
