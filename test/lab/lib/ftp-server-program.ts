/** As much of an FTP server (RFC 959) as a transfer takes: PORT, PASV, RETR. Passive ports 30000 to 30099. */
import { connect, createServer, type Server, type Socket } from 'node:net';

const DATA = 'x'.repeat(20_000);
let nextPort = 30_000;

createServer((control) => {
  let passive: Server | null = null;
  let active: { host: string; port: number } | null = null;
  let waiting: ((data: Socket) => void) | null = null;
  let arrived: Socket | null = null;
  const say = (line: string): void => void control.write(`${line}\r\n`);
  const send = (data: Socket): void => {
    data.on('error', () => {});
    data.end(DATA, () => say('226 done'));
  };
  const listen = (): void => {
    const port = nextPort++;
    passive = createServer((data) => {
      passive?.close();
      if (waiting) waiting(data);
      else arrived = data;
    });
    const address = (control.localAddress ?? '').replace('::ffff:', '').replaceAll('.', ',');
    passive.listen(port, '0.0.0.0', () => say(`227 Entering Passive Mode (${address},${port >> 8},${port & 255})`));
  };
  const retrieve = (): void => {
    say('150 here it comes');
    if (active) {
      const data = connect(active, () => send(data));
      data.on('error', () => say('425 cannot connect'));
      active = null;
    } else if (arrived) {
      send(arrived);
      arrived = null;
    } else waiting = send;
  };
  const orders: Record<string, (argument: string) => void> = {
    USER: () => say('331 password'),
    PASS: () => say('230 welcome'),
    NOOP: () => say('200 fine'),
    PASV: listen,
    PORT: (argument) => {
      const [a, b, c, d, high = 0, low = 0] = argument.split(',').map(Number);
      active = { host: [a, b, c, d].join('.'), port: high * 256 + low };
      say(`200 ${active.host}:${active.port}`);
    },
    RETR: retrieve,
  };
  let text = '';
  control.on('error', () => {});
  control.on('data', (piece) => {
    text += piece.toString();
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      const [order = '', argument = ''] = text.slice(0, end).split(' ');
      text = text.slice(end + 2);
      (orders[order] ?? (() => say('502 no')))(argument);
    }
  });
  say('220 ready');
}).listen(21, '0.0.0.0', () => console.log('{"type":"ready"}'));
