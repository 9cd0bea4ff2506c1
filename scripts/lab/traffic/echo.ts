/** Echo service over TCP and UDP, IPv4 and IPv6.  usage: echo.ts PORT LIFETIME_S */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { numberArgument, obey, tell } from './lines.ts';

const MAX_CONNECTIONS = 4000;
const port = numberArgument(1);
let served = 0;

const tcp = createServer({ noDelay: true }, (socket) => {
  served++;
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
tcp.maxConnections = MAX_CONNECTIONS;
tcp.listen({ port, host: '::', backlog: 1024 });

const udp = createSocket({ type: 'udp6', recvBufferSize: 1 << 20 });
// Between two masters there may be no way back for a moment; that is what the lab measures, not an error of this
// program.
udp.on('error', () => {});
udp.on('message', (message, from) => udp.send(message, from.port, from.address, () => {}));
udp.bind(port, '::');

await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
obey(() => ({ served }), numberArgument(2));
tell({ type: 'ready' });
