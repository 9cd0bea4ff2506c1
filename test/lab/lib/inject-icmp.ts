/** Sends one ICMP message as it is given.  usage: inject-icmp.ts ADDRESS HEX */
import { createRequire } from 'node:module';

const raw = createRequire(import.meta.url)('raw-socket');
const [, , address = '', hex = ''] = process.argv;
const bytes = Buffer.from(hex, 'hex');
const socket = raw.createSocket({ protocol: raw.Protocol.ICMP });
socket.send(bytes, 0, bytes.length, address, (error: Error | null) => {
  if (error !== null) process.stderr.write(`${error.message}\n`);
  process.exit(error === null ? 0 : 1);
});
