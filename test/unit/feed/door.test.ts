import { mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LIMITS } from '../../../src/feed/limits.ts';
import { isLoopback, parseListen } from '../../../src/net/listen-address.ts';
import { fakeFeed, reader, upgradeStatus } from './fake-node.ts';

const door = suite('feed: who may read');
const TOKEN = 'correct horse battery staple'.replaceAll(' ', '-');

/** The status code of a plain request with exactly these headers. */
function get(options: { host: string; path?: string; headers?: Record<string, string>; method?: string }) {
  const [hostname, port] = options.host.split(':');
  return new Promise<{ status: number; body: string; headers: Record<string, unknown> }>((resolve, reject) => {
    const asked = request(
      {
        hostname,
        port: Number(port),
        path: options.path ?? '/status',
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        agent: false,
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

door('an address that others reach needs the token, a local one does not', async () => {
  const { feed } = await fakeFeed({ listen: ['0.0.0.0:0', '127.0.0.1:0'], token: () => TOKEN });
  const open = feed.addresses[0]!.replace('0.0.0.0', '127.0.0.1');
  const local = feed.addresses[1]!;
  for (const path of ['/', '/status', '/metrics', '/healthz', '/nothing']) {
    const refused = await get({ host: open, path });
    assert.is(refused.status, 401, path);
    assert.match(String(refused.headers['www-authenticate']), /^Bearer/);
  }
  for (const wrong of ['', 'x', TOKEN.slice(1), `${TOKEN}x`, TOKEN.toUpperCase()]) {
    assert.is((await get({ host: open, headers: { authorization: `Bearer ${wrong}` } })).status, 401, wrong);
    assert.is(await upgradeStatus(`ws://${open}/feed?token=${wrong}`), 401, wrong);
  }
  assert.is((await get({ host: open, headers: { authorization: `Bearer ${TOKEN}` } })).status, 200);
  assert.is((await get({ host: open, path: `/status?token=${TOKEN}` })).status, 200);
  assert.is(await upgradeStatus(`ws://${open}/feed?token=${TOKEN}`), 101);
  assert.is(await upgradeStatus(`ws://${open}/feed`, { headers: { authorization: `Bearer ${TOKEN}` } }), 101);
  assert.is((await get({ host: local })).status, 200);
  assert.is(feed.counters.refused.token, 15);
  await feed.close();
});

door('a token that cannot be read, or is empty, opens to nobody', async () => {
  const token = { read: (): string => TOKEN };
  const { feed } = await fakeFeed({ listen: ['0.0.0.0:0'], token: () => token.read() });
  const host = feed.addresses[0]!.replace('0.0.0.0', '127.0.0.1');
  token.read = () => '';
  assert.is((await get({ host, path: '/status?token=' })).status, 401);
  token.read = () => {
    throw new Error('gone');
  };
  assert.is((await get({ host, path: `/status?token=${TOKEN}` })).status, 401);
  await feed.close();
});

door('an open address without a token, or with a short one, is refused at the start', async () => {
  for (const token of [null, () => 'short']) {
    await fakeFeed({ listen: ['127.0.0.1:0', '0.0.0.0:0'], token }).then(
      () => assert.unreachable(),
      (error: Error) => assert.match(error.message, /0\.0\.0\.0 can be reached by others.*token_file/),
    );
  }
});

door('a page from another origin may not read', async () => {
  const { feed, host } = await fakeFeed();
  const port = host.split(':')[1];
  for (const origin of ['http://evil.example', 'null', `http://127.0.0.1:${Number(port) + 1}`, 'file://', 'x']) {
    assert.is(await upgradeStatus(`ws://${host}/feed`, { headers: { origin } }), 403, origin);
    assert.is((await get({ host, headers: { origin } })).status, 403, origin);
  }
  assert.is(await upgradeStatus(`ws://${host}/feed`, { headers: { origin: `http://${host}` } }), 101);
  assert.is(await upgradeStatus(`ws://${host}/feed`), 101);
  await feed.close();
});

door('a loopback address answers to localhost and IP addresses only (DNS rebinding)', async () => {
  const { feed, host } = await fakeFeed();
  const port = host.split(':')[1];
  for (const name of [
    'evil.example',
    `evil.example:${port}`,
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '@',
  ]) {
    assert.is((await get({ host, headers: { host: name } })).status, 421, name);
    const headers = { host: name, origin: `http://${name}` };
    assert.is(await upgradeStatus(`ws://${host}/feed`, { headers }), 421, name);
  }
  for (const name of ['localhost', `localhost:${port}`, `LOCALHOST:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
    assert.is((await get({ host, headers: { host: name } })).status, 200, name);
  }
  await feed.close();
});

door('at most 64 clients; a place is free again when one has gone', async () => {
  const { feed, host } = await fakeFeed();
  const readers = Array.from({ length: LIMITS.clients }, () => reader(`ws://${host}/feed`));
  await Promise.all(readers.map((r) => r.next()));
  assert.is(feed.counters.clients, LIMITS.clients);
  assert.is(await upgradeStatus(`ws://${host}/feed`), 503);
  assert.is(feed.counters.refused.clients, 1);
  readers[0]!.ws.close();
  await readers[0]!.closed;
  assert.is(await upgradeStatus(`ws://${host}/feed`), 101);
  await feed.close();
});

/** A connection that says nothing. */
function silent(port: number, from: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => {});
  });
}

door('half-open requests of one stranger, or of many, keep nobody out', async () => {
  const { feed } = await fakeFeed({ listen: ['0.0.0.0:0'], token: () => TOKEN });
  const host = feed.addresses[0]!.replace('0.0.0.0', '127.0.0.1');
  const port = Number(host.split(':')[1]);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const witness = reader(`ws://${host}/feed`, { headers });
  await witness.next();
  const held: Socket[] = [];
  for (let n = 0; n < 2 * LIMITS.connections; n++) held.push(await silent(port, '127.0.0.9'));
  assert.is((await get({ host, headers })).status, 200, 'one stranger');
  assert.is(feed.counters.refused.connections, 2 * LIMITS.connections - LIMITS.perSource.connections);
  for (let n = 0; n < 2 * LIMITS.connections; n++) held.push(await silent(port, `127.0.1.${n % 250}`));
  assert.is((await get({ host, headers })).status, 200, 'many strangers');
  feed.publish({ kind: 'still here' });
  assert.is((await witness.nextOf('event')).kind, 'still here', 'who reads is not pushed out');
  for (const socket of held) socket.destroy();
  await feed.close();
});

door('readers on one listen address, or of one machine, leave room for the others', async () => {
  const { feed } = await fakeFeed({ listen: ['127.0.0.1:0', '0.0.0.0:0'], token: () => TOKEN });
  const local = feed.addresses[0]!;
  const open = `ws://${feed.addresses[1]!.replace('0.0.0.0', '127.0.0.1')}/feed?token=${TOKEN}`;
  const readers = Array.from({ length: LIMITS.clients }, () => reader(`ws://${local}/feed`));
  await Promise.all(readers.map((r) => r.next()));
  assert.is(await upgradeStatus(`ws://${local}/feed`), 503);
  assert.is((await get({ host: local })).status, 200, 'the page of a full listener still opens');
  const ours = Array.from({ length: LIMITS.perSource.clients }, () => reader(open, { localAddress: '127.0.0.9' }));
  await Promise.all(ours.map((r) => r.next()));
  assert.is(await upgradeStatus(open, { localAddress: '127.0.0.9' }), 503, 'one machine has its share');
  assert.is(await upgradeStatus(open, { localAddress: '127.0.0.8' }), 101, 'another one reads');
  await feed.close();
});

door('bytes that are not HTTP are counted and answered, and the feed goes on', async () => {
  const { feed, host } = await fakeFeed();
  const [hostname, port] = host.split(':');
  const garbage = [
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET\r\n\r\n',
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    'GET //evil HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    'GET /feed HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'CONNECT evil:1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  ];
  for (const text of garbage) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.resume();
    socket.end(text);
    await new Promise((resolve) => socket.once('close', resolve));
  }
  assert.ok((feed.counters.refused.malformed ?? 0) >= 4);
  assert.is((await get({ host })).status, 200);
  await feed.close();
});

door('noise after the handshake ends that connection only', async () => {
  const { feed, host } = await fakeFeed();
  const [hostname, port] = host.split(':');
  const witness = reader(`ws://${host}/feed`);
  await witness.next();
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed >>> 16;
  };
  for (let n = 0; n < 200; n++) {
    const noise = Buffer.from(Array.from({ length: 1 + (random() % 300) }, () => random() & 255));
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    const head =
      'GET /feed HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
    socket.write(head);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.resume();
    socket.end(noise);
    await new Promise((resolve) => socket.once('close', resolve));
  }
  feed.publish({ kind: 'still here' });
  assert.is((await witness.nextOf('event')).kind, 'still here');
  assert.ok(feed.counters.closed_talking > 100, String(feed.counters.closed_talking));
  while (feed.counters.clients > 1) await new Promise((resolve) => setImmediate(resolve));
  await feed.close();
});

door('listen addresses: what is taken and what is refused', () => {
  assert.equal(parseListen('localhost:80'), { kind: 'tcp', host: '127.0.0.1', port: 80, local: true });
  assert.equal(parseListen('[2001:db8::1]:80'), { kind: 'tcp', host: '2001:db8::1', port: 80, local: false });
  assert.equal(parseListen('unix:/run/x.sock'), { kind: 'unix', path: '/run/x.sock', local: true });
  const bad = ['', '80', ':80', '127.0.0.1', '127.0.0.1:70000', 'example.org:80', '::1:80', '[127.0.0.1]:80', 'unix:x'];
  for (const text of [...bad, `unix:/${'x'.repeat(200)}`, '300.1.1.1:80', '127.1:80']) {
    assert.throws(() => parseListen(text), /^feed\.listen: found ".*", expected "/, text);
  }
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::FFFF:7f00:1']) {
    assert.ok(isLoopback(host), host);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '::2', '::ffff:10.0.0.1', '1::1', '2001:db8::7f']) {
    assert.not.ok(isLoopback(host), host);
  }
});

door('a UNIX socket: for owner and group, taken over when dead, never when alive or no socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'feed-'));
  const path = join(folder, 'feed.sock');
  const first = await fakeFeed({ listen: [`unix:${path}`] });
  assert.is(statSync(path).mode & 0o777, 0o660);
  const r = reader(`ws+unix:${path}:/feed`, { headers: { host: 'fw.example', origin: 'http://fw.example' } });
  assert.is((await r.next()).type, 'snapshot');
  await fakeFeed({ listen: [`unix:${path}`] }).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /another program holds this address/),
  );
  await first.feed.close();
  const file = join(folder, 'precious');
  writeFileSync(file, 'x');
  await fakeFeed({ listen: [`unix:${file}`] }).then(
    () => assert.unreachable(),
    () => assert.is(statSync(file).size, 1),
  );
});

door('an address in use: nothing is left open', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => blocker.once('listening', resolve));
  const { port } = blocker.address() as { port: number };
  const free = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => free.once('listening', resolve));
  const freed = (free.address() as { port: number }).port;
  await new Promise((resolve) => free.close(resolve));
  await fakeFeed({ listen: [`127.0.0.1:${freed}`, `127.0.0.1:${port}`] }).then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, new RegExp(`cannot listen on 127.0.0.1:${port} .EADDRINUSE`)),
  );
  const again = await fakeFeed({ listen: [`127.0.0.1:${freed}`] });
  await again.feed.close();
  await new Promise((resolve) => blocker.close(resolve));
});

door.run();
