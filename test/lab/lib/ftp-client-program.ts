/**
 * An FTP client that is told what to do line by line and answers each line with one of JSON:
 * login, noop, pasv, port, get. `pasv` and `port` agree on a data connection; `get` opens it. usage: SERVER OWN_ADDRESS
 */
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [server = '', own = ''] = process.argv.slice(2);
const control = connect(21, server);
const lines: string[] = [];
let wake: (() => void) | null = null;
createInterface({ input: control }).on('line', (line) => {
  lines.push(line);
  wake?.();
});
control.on('error', (error) => tell({ error: error.message }));

function tell(what: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ type: 'done', ...what })}\n`);
}

/** The next line of the server's, which must begin with this code. */
async function expect(code: string): Promise<string> {
  while (lines.length === 0) await new Promise<void>((resolve) => (wake = resolve));
  const line = lines.shift() ?? '';
  if (!line.startsWith(code)) throw new Error(`the server said ${line}`);
  return line;
}

const order = (text: string): boolean => control.write(`${text}\r\n`);
let data: (() => Promise<Socket>) | null = null;
let nextPort = 40_000;

const orders: Record<string, () => Promise<Record<string, unknown>>> = {
  login: async () => {
    await expect('220');
    order('USER a');
    await expect('331');
    order('PASS b');
    await expect('230');
    return {};
  },
  noop: async () => {
    order('NOOP');
    await expect('200');
    return {};
  },
  pasv: async () => {
    order('PASV');
    const numbers =
      /\(([\d,]+)\)/
        .exec(await expect('227'))?.[1]
        ?.split(',')
        .map(Number) ?? [];
    const [a, b, c, d, high = 0, low = 0] = numbers;
    const to = { host: [a, b, c, d].join('.'), port: high * 256 + low };
    data = () =>
      new Promise((resolve, reject) => {
        const socket = connect(to, () => resolve(socket));
        socket.on('error', reject);
      });
    return { to };
  },
  port: async () => {
    const port = nextPort++;
    const arrives = new Promise<Socket>((resolve) => {
      const listener = createServer((socket) => {
        listener.close();
        resolve(socket);
      }).listen(port, own);
    });
    order(`PORT ${own.replaceAll('.', ',')},${port >> 8},${port & 255}`);
    const seen = (await expect('200')).slice(4);
    data = () => arrives;
    return { seen };
  },
  get: async () => {
    const opening = data?.();
    order('RETR file');
    await expect('150');
    const socket = await opening;
    let bytes = 0;
    for await (const piece of socket as Socket) bytes += (piece as Buffer).length;
    await expect('226');
    return { bytes };
  },
};

createInterface({ input: process.stdin }).on('line', async (line) => {
  try {
    tell(await (orders[line] ?? (async () => ({ error: 'unknown' })))());
  } catch (error) {
    tell({ error: (error as Error).message });
  }
});
