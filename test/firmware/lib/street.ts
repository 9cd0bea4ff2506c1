/**
 * Bridges, a client and a server around virtual boxes, inside this process's own network namespace (see
 * scripts/lab/enter.ts).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

const NETWORKS = ['wan', 'lan', 'sync'] as const;

export function ip(...args: string[]): void {
  const done = spawnSync('ip', args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`ip ${args.join(' ')}: ${done.stderr}`);
}

/** Three bridges; `client` behind lan with the shared address as its gateway, `server` on wan. */
export function buildStreet(): void {
  for (const net of NETWORKS) {
    ip('link', 'add', `br-${net}`, 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0', 'mcast_snooping', '0');
    ip('link', 'set', `br-${net}`, 'up');
  }
  for (const [name, net, address] of [
    ['client', 'lan', '192.168.1.10/24'],
    ['server', 'wan', '203.0.113.10/24'],
  ] as const) {
    ip('netns', 'add', name);
    ip('link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('link', 'set', `to-${name}`, 'master', `br-${net}`, 'up');
    for (const device of ['lo', 'eth0']) ip('-n', name, 'link', 'set', device, 'up');
    ip('-n', name, 'address', 'add', address, 'dev', 'eth0');
  }
  ip('-n', 'client', 'route', 'add', 'default', 'via', '192.168.1.1');
}

/** One tap on each bridge. @returns what a Machine takes as its nets */
export function tapsFor(box: string): string[] {
  return NETWORKS.map((net) => {
    const tap = `${box}-${net}`;
    ip('tuntap', 'add', tap, 'mode', 'tap');
    ip('link', 'set', tap, 'master', `br-${net}`, 'up');
    return `tap,ifname=${tap},script=no,downscript=no`;
  });
}

const node = process.execPath;
export const inside = (netns: string, script: string, ...args: string[]): ChildProcess =>
  spawn('ip', ['netns', 'exec', netns, node, '-e', script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });

const ECHO = `require('net').createServer((s) => { s.on('error', () => {}); s.pipe(s); }).listen(7777, () => console.log('listening'))`;

/** A number out every 250 ms over one connection that is never opened again; prints the answers as they come. */
const TALK = `const s = require('net').connect(7777, '203.0.113.10'); let n = 0;
s.on('connect', () => { console.log('from ' + s.localPort); setInterval(() => s.write(++n + '\\n'), 250); });
s.on('data', (d) => console.log('answer ' + d.toString().trim().split('\\n').pop()));
s.on('error', (e) => { console.log('error ' + e.code); process.exit(1); });
s.on('close', () => { console.log('closed'); process.exit(1); });`;

export class Talk {
  private server: ChildProcess | null = null;
  private client: ChildProcess | null = null;
  private last = 0;
  private lastAt = 0;
  private gap = 0;
  private ended = '';

  /** After buildStreet(). */
  async begin(): Promise<void> {
    const server = inside('server', ECHO);
    this.server = server;
    await new Promise((resolve) => server.stdout?.once('data', resolve));
    this.client = inside('client', TALK);
    this.client.stdout?.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n')) {
        if (line.startsWith('answer ')) this.heard(Number(line.slice(7)));
        if (/^(error|closed)/.test(line)) this.ended = line;
      }
    });
  }

  /** The number of the last answer; throws when the connection has ended. */
  get answered(): number {
    if (this.ended) throw new Error(`the connection ended: ${this.ended}`);
    return this.last;
  }

  private heard(number: number): void {
    const now = performance.now();
    if (this.lastAt > 0) this.gap = Math.max(this.gap, now - this.lastAt);
    this.last = number;
    this.lastAt = now;
  }

  /** Seconds of the longest silence since the last call. */
  longestGap(): number {
    const { gap } = this;
    this.gap = 0;
    return gap / 1000;
  }

  end(): void {
    this.client?.kill('SIGKILL');
    this.server?.kill('SIGKILL');
  }
}

const FILES = `const fs = require('fs'); require('http').createServer((q, r) => {
  const path = process.argv[1] + q.url; r.writeHead(200, { 'content-length': fs.statSync(path).size }); fs.createReadStream(path).pipe(r);
}).listen(8000, () => console.log('listening'))`;

/** Serves the files of a folder to the boxes, at the client's address and port 8000. */
export async function serveFiles(folder: string): Promise<ChildProcess> {
  const server = inside('client', FILES, folder);
  await new Promise((resolve) => server.stdout?.once('data', resolve));
  return server;
}

const GET = `fetch('http://' + process.argv[1] + ':8180/status', { headers: { authorization: 'Bearer ' + process.argv[2] }, signal: AbortSignal.timeout(8000) })
.then((r) => r.text()).then((t) => console.log(t)).catch((e) => { console.error(String(e.cause ?? e)); process.exit(1); })`;

/** A box's status over the inner network; null when it does not answer. */
export function statusOf(
  address: string,
  token: string,
): Promise<import('../../../src/contract/status.ts').NodeStatus | null> {
  const child = spawn('ip', ['netns', 'exec', 'client', node, '-e', GET, address, token], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  return new Promise((resolve) =>
    child.on('close', (code) => {
      try {
        resolve(code === 0 ? JSON.parse(text) : null);
      } catch {
        resolve(null);
      }
    }),
  );
}
