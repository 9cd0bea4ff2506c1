/**
 * npm start, second half (scripts/start.mjs has set up and built): opens the page's port in this machine's own network,
 * then goes into the lab's namespaces and hands the listening socket along.
 */
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { enterLab } from '../lab/enter.ts';

const PORT = 8180;

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1' }, () => resolve(server));
  });
}

async function openPort(): Promise<{ server: Server; page: string }> {
  let server: Server;
  try {
    server = await listen(PORT);
  } catch (error) {
    process.stdout.write(`port ${PORT} is not free here (${(error as NodeJS.ErrnoException).code}), taking another\n`);
    server = await listen(0);
  }
  const { port } = server.address() as { port: number };
  return { server, page: `http://127.0.0.1:${port}/` };
}

const { server, page } = await openPort();
const child = enterLab(fileURLToPath(new URL('inside.ts', import.meta.url)), process.argv.slice(2), { ipc: true });
child.once('message', () => {
  child.send({ page }, server, () => {
    // From here on the lab's process alone accepts.
    server.close();
  });
  process.stdout.write(`the page: ${page}\n`);
});
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
child.on('error', (error) => {
  process.stderr.write(`error: ${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code) => process.exit(code ?? 1));
