/**
 * Sends raw IP packets from inside a machine of the lab.  usage: inject.ts FILE
 * FILE: JSON lines {"protocol":112,"to":"224.0.0.18","ttl":255,"hex":"…"}
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

interface Packet {
  protocol: number;
  to: string;
  ttl: number;
  hex: string;
}

const raw = createRequire(import.meta.url)('raw-socket');
const IPPROTO_IP = 0;
const IP_TTL = 2;
const IP_MULTICAST_TTL = 33;
const sockets = new Map<string, ReturnType<typeof raw.createSocket>>();

function socketFor({ protocol, ttl }: Packet): ReturnType<typeof raw.createSocket> {
  const name = `${protocol} ${ttl}`;
  let socket = sockets.get(name);
  if (!socket) {
    socket = raw.createSocket({ protocol, addressFamily: raw.AddressFamily.IPv4 });
    socket.setOption(IPPROTO_IP, IP_TTL, ttl);
    socket.setOption(IPPROTO_IP, IP_MULTICAST_TTL, ttl);
    socket.on('error', () => {});
    sockets.set(name, socket);
  }
  return socket;
}

const lines = readFileSync(process.argv[2] ?? '', 'utf8')
  .split('\n')
  .filter(Boolean);
let sent = 0;
for (const line of lines) {
  const packet = JSON.parse(line) as Packet;
  const bytes = Buffer.from(packet.hex, 'hex');
  await new Promise<void>((resolve) => {
    socketFor(packet).send(bytes, 0, bytes.length, packet.to, (error: Error | null) => {
      if (!error) sent++;
      resolve();
    });
  });
}
process.stdout.write(`${sent}\n`);
process.exit(0);
