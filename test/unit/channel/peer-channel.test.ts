/** The peer channel on real sockets: two ends on loopback addresses, and those that are not the peer. */
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WebSocket } from 'ws';
import { CallError } from '../../../src/channel/calls.ts';
import { PeerChannel } from '../../../src/channel/channel.ts';
import { peerKey } from '../../../src/channel/key.ts';
import { dialPeer } from '../../../src/channel/socket.ts';
import type { PeerEvent } from '../../../src/contract/events.ts';
import type { Json } from '../../../src/contract/values.ts';

const SECRET = randomBytes(32);
/** fw-b listens and is dialled: the lower address dials. */
const [A, B, THIRD] = ['127.0.0.2', '127.0.0.3', '127.0.0.4'] as const;

interface End {
  channel: PeerChannel;
  events: PeerEvent[];
  warnings: string[];
}

const open: PeerChannel[] = [];
let port = 0;

function end(node: string, own: string, peer: string | null, secret: Uint8Array = SECRET, version = '1'): End {
  const events: PeerEvent[] = [];
  const warnings: string[] = [];
  const channel = new PeerChannel(
    { node, version, secrets: [secret], port, peer },
    { publish: (event) => events.push(event), warn: (text) => warnings.push(text) },
  );
  open.push(channel);
  channel.setOwn([`${own}/8`]);
  return { channel, events, warnings };
}

async function until<T>(what: string, look: () => T | null | false | undefined, ms = 15_000): Promise<T> {
  const by = Date.now() + ms;
  for (;;) {
    const found = look();
    if (found) return found;
    if (Date.now() > by) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const opened = (...ends: End[]): Promise<unknown> =>
  until('the channel', () => ends.every(({ channel }) => channel.peer !== null));

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, B, resolve));
  const found = (server.address() as { port: number }).port;
  await new Promise((resolve) => server.close(resolve));
  return found;
}

const peerChannel = suite('peer channel');
peerChannel.before.each(async () => {
  port = await freePort();
});
peerChannel.after.each(() => {
  for (const channel of open.splice(0)) channel.close();
});

peerChannel('both ends find each other, ask each other, and say how the channel is sealed', async () => {
  const [a, b] = [end('fw-a', A, B), end('fw-b', B, A, SECRET, '2')];
  b.channel.handle('echo', (body, caller) => ({ body, node: caller.node }));
  a.channel.handle('add', (body) => (body as number[]).reduce((x, y) => x + y));
  a.channel.handle('fail', () => {
    throw new Error('no,\nnot now');
  });
  await opened(a, b);
  assert.equal(await a.channel.call('echo', { x: [1, null, 'ä'] }, 2000), {
    body: { x: [1, null, 'ä'] },
    node: 'fw-a',
  });
  assert.is(await b.channel.call('add', [1, 2, 3], 2000), 6);
  const error = await b.channel.call('fail', null, 2000).catch((e) => e);
  assert.instance(error, CallError);
  assert.equal([error.trouble, error.message], ['refused', 'no, not now']);
  const unknown = await b.channel.call('nothing', null, 2000).catch((e) => e);
  assert.match(unknown.message, 'does not know the call "nothing"');
  const status = a.channel.status();
  assert.equal(
    [status.state, status.node, status.version, status.seal, status.reason],
    ['open', 'fw-b', '2', 'TLSv1.3 TLS_AES_128_GCM_SHA256', null],
  );
  assert.equal(a.events[0], { kind: 'peer.channel', up: true, node: 'fw-b', version: '2' });
  assert.equal(status.refused, {});
});

peerChannel('a large body goes both ways; one that is too large is refused before it is sent', async () => {
  const [a, b] = [end('fw-a', A, B), end('fw-b', B, A)];
  b.channel.handle('size', (body) => (body as string).length);
  b.channel.handle('huge', () => 'x'.repeat(5 * 1024 * 1024));
  await opened(a, b);
  assert.is(await a.channel.call('size', 'ä'.repeat(1024 * 1024), 10_000), 1024 * 1024);
  const error = await a.channel.call('size', 'x'.repeat(4 * 1024 * 1024), 5000).catch((e) => e);
  assert.is(error.trouble, 'too_large');
  const answer = await a.channel.call('huge', null, 10_000).catch((e) => e);
  assert.equal([answer.trouble, answer.message.includes('4 MiB')], ['refused', true]);
  assert.is(a.channel.peer?.node, 'fw-b');
});

peerChannel('a call has a deadline, and ends with the channel', async () => {
  const [a, b] = [end('fw-a', A, B), end('fw-b', B, A)];
  let aborted = 0;
  b.channel.handle('never', (_body, { signal }) => {
    signal.addEventListener('abort', () => aborted++);
    return new Promise<Json>(() => {});
  });
  await opened(a, b);
  assert.is((await a.channel.call('never', null, 50).catch((e) => e)).trouble, 'timeout');
  await until('the handler to hear of the deadline', () => aborted === 1);
  const lost = a.channel.call('never', null, 20_000).catch((e) => e);
  await until('the second call to arrive', () => b.channel.status().received >= 3);
  b.channel.close();
  assert.is((await lost).trouble, 'lost');
  assert.is((await a.channel.call('never', null, 50).catch((e) => e)).trouble, 'closed');
  const last = a.events.at(-1);
  assert.ok(last?.kind === 'peer.channel' && !last.up);
});

peerChannel('connections with the address of the peer that say nothing give way to the peer', async () => {
  const b = end('fw-b', B, A);
  const silent: Socket[] = [];
  const idle = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: B, localAddress: A });
      silent.push(socket);
      socket.once('connect', () => resolve()).once('error', reject);
      socket.on('error', () => {});
    });
  for (let up = false; !up; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    up = await idle().then(
      () => true,
      () => false,
    );
  }
  for (let n = 0; n < 40; n++) await idle();
  const a = end('fw-a', A, B);
  await opened(a, b);
  assert.ok((b.channel.status().refused.crowd ?? 0) >= 32);
  for (const socket of silent) socket.destroy();
});

peerChannel('a peer that starts anew is met again; more calls than the limit are refused at once', async () => {
  const [a, b] = [end('fw-a', A, B), end('fw-b', B, A)];
  b.channel.handle('never', () => new Promise<Json>(() => {}));
  await opened(a, b);
  const calls = Array.from({ length: 70 }, () => a.channel.call('never', null, 3000).catch((e) => e.trouble));
  const over = await Promise.all(calls.slice(64));
  assert.equal(over, Array(6).fill('busy'));
  b.channel.close();
  await until('the loss', () => a.channel.peer === null);
  const again = end('fw-b', B, A);
  await opened(a, again);
  again.channel.handle('here', () => true);
  assert.is(await a.channel.call('here', null, 2000), true);
  assert.is(a.channel.status().connects, 2);
});

peerChannel('another key is refused on both sides, named, and counted', async () => {
  const [a, b] = [end('fw-a', A, B, randomBytes(32)), end('fw-b', B, A)];
  await until('the refusal', () => (b.channel.status().refused.identity ?? 0) >= 2);
  assert.is(a.channel.peer, null);
  assert.match(a.channel.status().reason ?? '', "refuses this node's key");
  const told = b.events.filter((event) => event.kind === 'peer.refused');
  assert.is(told.length, 1, 'said once, counted each time');
  assert.equal([told[0]?.cause, told[0]?.from], ['identity', A]);
});

peerChannel("the pair's identity without its key is refused and counted", async () => {
  const b = end('fw-b', B, A);
  await until('b to listen', () => b.channel.status().listening);
  const forged = { psk: randomBytes(32), identity: peerKey(SECRET).identity };
  const reason = await new Promise<string>((resolve) => {
    dialPeer(forged, A, { address: B, port }, { opened: () => resolve('opened'), failed: resolve });
  });
  assert.match(reason, 'refuses');
  assert.is(b.channel.status().refused.key, 1);
});

peerChannel(
  'a third machine is refused by its address, and by its name when it holds the key and the address',
  async () => {
    const [a, b] = [end('fw-a', A, B), end('fw-b', B, A)];
    await opened(a, b);
    const dial = (from: string): Promise<WebSocket | string> =>
      new Promise((resolve) => {
        dialPeer(peerKey(SECRET), from, { address: B, port }, { opened: resolve, failed: resolve });
      });
    assert.type(await dial(THIRD), 'string');
    assert.is(b.channel.status().refused.address, 1);
    const third = await dial(A);
    if (typeof third === 'string') throw new Error(third);
    const ended = new Promise((resolve) => third.once('close', resolve));
    third.send(JSON.stringify({ v: 1, t: 'hello', node: 'fw-c', version: '1', boot: 'x' }));
    await ended;
    assert.is(b.channel.status().refused.third, 1);
    assert.is(b.channel.peer?.node, 'fw-a', 'the peer has not noticed');
  },
);

/** Lets one connection pass and keeps what the dialling side sent. */
async function recorder(): Promise<{ server: Server; recorded: Buffer[] }> {
  const recorded: Buffer[] = [];
  const server = createServer((socket: Socket) => {
    const on = connect({ host: B, port, localAddress: A });
    socket.on('data', (bytes) => {
      recorded.push(bytes);
      on.write(bytes);
    });
    on.pipe(socket);
    for (const one of [socket, on]) one.on('error', () => one.destroy());
    socket.on('close', () => on.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, THIRD, resolve));
  return { server, recorded };
}

peerChannel('a recorded connection played again is refused and counted', async () => {
  const b = end('fw-b', B, A);
  let served = 0;
  b.channel.handle('count', () => ++served);
  await until('b to listen', () => b.channel.status().listening);
  const { server, recorded } = await recorder();
  const at = server.address() as { port: number };
  const socket = await new Promise<WebSocket>((resolve, reject) => {
    dialPeer(peerKey(SECRET), A, { address: THIRD, port: at.port }, { opened: resolve, failed: reject });
  });
  const answered = new Promise((resolve) =>
    socket.on('message', (data) => String(data).includes('answer') && resolve(0)),
  );
  socket.send(JSON.stringify({ v: 1, t: 'hello', node: 'fw-a', version: '1', boot: 'x' }));
  socket.send(JSON.stringify({ v: 1, t: 'call', id: 1, name: 'count', ms: 1000 }));
  await answered;
  assert.is(served, 1);
  socket.terminate();
  await until('the end of the recorded one', () => b.channel.peer === null);
  const again = connect({ host: B, port, localAddress: A });
  const ended = new Promise((resolve) => again.once('close', resolve));
  again.on('error', () => {});
  again.resume();
  again.write(Buffer.concat(recorded));
  await ended;
  assert.is(served, 1, 'nothing was done again');
  assert.is(b.channel.status().refused.tls, 1);
  server.close();
});

peerChannel('what is no message is refused and counted, and the channel lives on', async () => {
  const b = end('fw-b', B, A);
  b.channel.handle('here', () => true);
  await until('b to listen', () => b.channel.status().listening);
  const socket = await new Promise<WebSocket>((resolve, reject) => {
    dialPeer(peerKey(SECRET), A, { address: B, port }, { opened: resolve, failed: reject });
  });
  socket.send('{"v":1,"t":"call","id":1,"name":"here","ms":1000}');
  socket.send(JSON.stringify({ v: 1, t: 'hello', node: 'fw-a', version: '1', boot: 'x' }));
  for (const text of ['', '{', '[]', 'null', '{"t":"call"}', '{"v":2,"t":"call","id":1,"name":"x","ms":1}']) {
    socket.send(text);
  }
  socket.send(Buffer.from([0, 1, 2]), { binary: true });
  socket.send('{"v":1,"t":"song"}');
  const answered = new Promise<string>((resolve) =>
    socket.on('message', (data) => String(data).includes('"id":7') && resolve(String(data))),
  );
  socket.send('{"v":1,"t":"call","id":7,"name":"here","ms":1000}');
  assert.equal(JSON.parse(await answered), { v: 1, t: 'answer', id: 7, ok: true, body: true });
  assert.equal(b.channel.status().refused, { before_hello: 1, malformed: 7, unknown: 1 });
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.send('x'.repeat(4 * 1024 * 1024 + 1));
  await ended;
  assert.is(b.channel.status().refused.too_large, 1);
});

peerChannel('another format and the same name are refused by name', async () => {
  const b = end('fw-b', B, A);
  await until('b to listen', () => b.channel.status().listening);
  for (const hello of [
    { v: 2, node: 'fw-a' },
    { v: 1, node: 'fw-b' },
  ]) {
    const socket = await new Promise<WebSocket>((resolve, reject) => {
      dialPeer(peerKey(SECRET), A, { address: B, port }, { opened: resolve, failed: reject });
    });
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.send(JSON.stringify({ t: 'hello', version: '9', boot: 'x', ...hello }));
    await ended;
  }
  assert.equal(b.channel.status().refused, { version: 1, own_name: 1 });
  const reasons = b.events.map((event) => (event.kind === 'peer.refused' ? event.reason : ''));
  assert.match(reasons[0]!, 'speaks format 2');
  assert.match(reasons[1]!, 'is called fw-b too');
});

peerChannel('a port that is taken is said, and listened on when it is free', async () => {
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(port, B, resolve));
  const b = end('fw-b', B, A);
  await until('the warning', () => b.warnings.length > 0);
  assert.match(b.warnings[0] ?? '', 'the port is taken');
  await new Promise((resolve) => squatter.close(resolve));
  await until('b to listen', () => b.channel.status().listening);
  assert.is(b.warnings.length, 1);
});

peerChannel(
  'the key is changed on one end, then on the other: it stays until the old one is dropped, then begins anew',
  async () => {
    const next = randomBytes(32);
    const [a, b] = [end('fw-a', A, B), end('fw-b', B, A)];
    await opened(a, b);
    a.channel.setSecrets([next, SECRET]);
    b.channel.setSecrets([next, SECRET]);
    assert.ok(a.channel.peer !== null && b.channel.peer !== null);
    assert.equal([...a.channel.secret], [...SECRET], 'both know under which key it was opened');
    a.channel.setSecrets([next]);
    const under = ({ channel }: End): boolean => channel.peer !== null && next.equals(channel.secret);
    await until('the channel under the new key', () => under(a) && under(b));
    b.channel.setSecrets([next]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(under(a) && under(b), 'nothing to end');
    assert.equal([a.channel.status().connects, b.channel.status().connects], [2, 2]);
    assert.equal([a.channel.status().refused, b.channel.status().refused], [{}, {}]);
  },
);

peerChannel('who dials has the new key already, the other not yet: it opens under the one before', async () => {
  const b = end('fw-b', B, A);
  const a = end('fw-a', A, B);
  a.channel.setSecrets([randomBytes(32), SECRET]);
  await opened(a, b);
  assert.equal([...a.channel.secret], [...SECRET]);
  assert.equal(a.channel.status().refused, {});
});

peerChannel.run();
