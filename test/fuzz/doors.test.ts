/**
 * The doors that programs knock on: the control socket with the commands as the daemon has them, and the feed's port
 * with plain requests and upgrades. Damaged requests over real sockets; each is answered or let go of, and the next
 * sound one is served.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seeded } from '../../scripts/lib/random.ts';
import { createGroup } from '../../src/carp/machine.ts';
import { makeHandlers } from '../../src/node/control/handlers.ts';
import { sysctl } from '../../src/node/control/oids.ts';
import { startControl } from '../../src/node/control/server.ts';
import { fakeFeed, fakeStatus } from '../unit/feed/fake-node.ts';
import { makeWork, mutate } from './lib/mutate.ts';

const doors = suite('fuzz: doors');
const SEED = Number(process.env.SEED ?? 1);
const REQUESTS = 1500;
const dir = mkdtempSync(join(tmpdir(), 'carpio-doors-'));
doors.after(() => rmSync(dir, { recursive: true, force: true }));

const bytes = (list: readonly string[]): Buffer[] => list.map((text) => Buffer.from(text));

/** Sends, closes its side, and takes what comes until the other side has closed. */
async function knock(where: { path: string } | { port: number; host: string }, input: Uint8Array): Promise<string> {
  const socket = connect(where);
  let said = '';
  socket.on('error', () => {});
  socket.setEncoding('latin1').on('data', (text: string) => {
    said += text;
  });
  socket.end(input);
  await once(socket, 'close', { signal: AbortSignal.timeout(20_000) });
  return said;
}

doors(`control socket: ${REQUESTS} damaged requests (seed ${SEED})`, async () => {
  const status = () => fakeStatus('fw-a', 'master');
  const group = createGroup({ preempt: true, startHoldUs: 0, vips: [] });
  const faults: string[] = [];
  const handlers = makeHandlers({
    status,
    feed: () => {},
    sync: () => null,
    maintenance: async (on) => ({ done: on, reason: 'told' }),
    peerCheck: () => Promise.reject(new Error('no peer')),
    replicate: () => null,
    sysctl: (name, value) => sysctl({ group, log: 1, setLog: () => {}, feed: () => {} }, name, value),
  });
  const path = join(dir, 'control.sock');
  const onFault = (cmd: string, error: Error): void => void faults.push(`${cmd}: ${error.message}`);
  const server = await startControl(path, handlers, { idleMs: 2000, onFault });
  const requests = bytes([
    '{"cmd":"status","args":{}}\n',
    '{"cmd":"demote","args":{"weight":10,"reason":"x"}}\n',
    '{"cmd":"sysctl","args":{"name":"net.inet.carp.log","value":2}}\n',
    '{"cmd":"sysctl","args":{"name":"net.inet.carp.demotion","value":{"valueOf":1,"toString":1}}}\n',
    '{"cmd":"maintenance","args":{"on":true}}\n{"cmd":"states","args":{"filter":"proto=tcp","count":true}}\n',
    '{"cmd":"verify","args":{"deep":true}}\n',
  ]);
  const words = bytes([
    'null',
    '{}',
    '[]',
    '\n',
    '"__proto__":',
    '"constructor"',
    '{"toString":1}',
    '1e999',
    '\0',
    '"args":',
  ]);
  const random = seeded(SEED);
  const work = makeWork(2048);
  try {
    for (let i = 0; i < REQUESTS; i++) {
      mutate(work, random, requests, words);
      const said = await knock({ path }, work.bytes.subarray(0, work.length));
      for (const line of said.split('\n').slice(0, -1)) {
        const answer = JSON.parse(line) as { ok: boolean; error?: string };
        assert.ok(answer.ok === true || typeof answer.error === 'string', line);
      }
    }
    assert.equal(faults, [], 'no mistake of ours was met');
    assert.match(await knock({ path }, requests[0]!), /^\{"ok":true/);
  } finally {
    await server.close();
  }
});

doors(`feed: ${REQUESTS} damaged requests and upgrades (seed ${SEED})`, async () => {
  const { feed, host } = await fakeFeed();
  const [address = '', port = ''] = host.split(/:(?=\d+$)/);
  const where = { host: address, port: Number(port) };
  const request = (line: string, more = ''): string =>
    `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more}\r\n`;
  const upgrade =
    'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\n';
  const sound = request('GET /healthz');
  const requests = bytes([
    sound,
    request('GET /status?token=x'),
    request('HEAD /metrics', 'Authorization: Bearer abc\r\n'),
    request('GET /feed?since=77&recent=10&status=1', upgrade),
    `${request('POST /', 'Content-Length: 5\r\n')}hello`,
    request('GET /feed', `${upgrade}Origin: http://${host}\r\n`),
    `${request('GET /feed', upgrade)}\u0081\u0085\u0000\u0000\u0000\u0000hello`,
  ]);
  const words = bytes([
    '\r\n',
    '\r\n\r\n',
    '%00',
    '?since=',
    '-1',
    '99999999999999999999',
    '\0',
    'Host: evil\r\n',
    'Transfer-Encoding: chunked\r\n',
    '//',
    '/../',
  ]);
  const random = seeded(SEED + 1);
  const work = makeWork(2048);
  let answered = 0;
  try {
    for (let i = 0; i < REQUESTS; i++) {
      mutate(work, random, requests, words);
      const said = await knock(where, work.bytes.subarray(0, work.length));
      if (said.startsWith('HTTP/1.1 ')) answered++;
      assert.not.match(said, /^HTTP\/1.1 500/, work.bytes.toString('latin1', 0, work.length));
    }
    assert.ok(answered > REQUESTS / 2, `${answered} were answered`);
    assert.match(await knock(where, Buffer.from(sound)), /^HTTP\/1.1 200/);
  } finally {
    await feed.close();
  }
});

doors.run();
