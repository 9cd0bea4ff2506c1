/** A made-up node for the tests of feed and page, and the small tools they share. */
import { once } from 'node:events';
import WebSocket, { type ClientOptions } from 'ws';
import type { NodeStatus, SyncStatus, VipStatus } from '../../../src/contract/status.ts';
import type { NodeRole } from '../../../src/contract/values.ts';
import { type FeedOptions, startFeed } from '../../../src/feed/server.ts';

export type Frame = { type: string; seq: number; [field: string]: unknown };

function fakeVip(vhid: number, role: 'MASTER' | 'BACKUP', changes: Partial<VipStatus> = {}): VipStatus {
  return {
    vhid,
    interface: vhid === 1 ? 'wan' : 'lan',
    device: `eth${vhid - 1}`,
    addresses: vhid === 1 ? ['203.0.113.1/24', '2001:db8::1/64'] : ['192.168.1.1/24'],
    state: role,
    since: '2026-01-01T00:00:00.000Z',
    reason: role === 'MASTER' ? 'no advert for 3390 ms' : 'a better master was heard',
    advbase: 1,
    advskew: 0,
    effective_advskew: 0,
    mac: `00:00:5e:00:01:0${vhid}`,
    takeover_ms: 3000,
    heard: role === 'MASTER' ? null : { from: '203.0.113.3', advbase: 1, advskew: 0, ms_ago: 312 },
    ...changes,
  };
}

export function fakeStatus(node: string, role: 'master' | 'backup', changes: Partial<SyncStatus> = {}): NodeStatus {
  const master = role === 'master';
  const peerRole: NodeRole = master ? 'backup' : 'master';
  return {
    node,
    version: '0.1.0',
    time: '2026-01-01T00:00:12.000Z',
    uptime_s: 12.5,
    role,
    carp: {
      preempt: true,
      maintenance: false,
      demotion: { total: 0, reasons: [] },
      vips: [fakeVip(1, master ? 'MASTER' : 'BACKUP'), fakeVip(2, master ? 'MASTER' : 'BACKUP')],
      counters: { ipackets: 10, badauth: 0 },
    },
    sync: {
      dialect: 'carpio',
      sealed: true,
      peer: {
        node: node === 'fw-a' ? 'fw-b' : 'fw-a',
        address: '10.99.0.2',
        alive: true,
        heard_ms_ago: 40,
        role: peerRole,
      },
      states: { total: 1200, own: master ? 1200 : 0, mirrored: master ? 0 : 1200, kernel: 1200 },
      in_step: true,
      in_step_reason: null,
      checked_ms_ago: 210,
      digest: '00ff',
      lag_ms: 1.2,
      sent: 5,
      received: 6,
      sent_bytes: 500,
      received_bytes: 600,
      repairs: 0,
      repair_bytes: 0,
      overruns: 0,
      refused: {},
      ...changes,
    },
  };
}

/** A feed on a free loopback port over a status that the test may change. */
export async function fakeFeed(changes: Partial<FeedOptions> = {}) {
  const node = { status: fakeStatus('fw-a', 'master') };
  const feed = await startFeed({
    listen: ['127.0.0.1:0'],
    token: null,
    tls: null,
    getStatus: () => node.status,
    getSample: () => ({ states: 1200 }),
    page: '<!doctype html><title>page</title><style>a{}</style><script>1</script>',
    sampleMs: 3_600_000,
    ...changes,
  });
  return { feed, node, host: feed.addresses[0]!, http: `http://${feed.addresses[0]}` };
}

/** A reader that keeps every frame in order; `next` waits for the next one not yet taken. */
export function reader(url: string, options: ClientOptions = {}) {
  const ws = new WebSocket(url, options);
  const frames: Frame[] = [];
  const waiting: ((frame: Frame) => void)[] = [];
  ws.on('message', (data) => {
    const frame = JSON.parse(String(data)) as Frame;
    const take = waiting.shift();
    if (take) take(frame);
    else frames.push(frame);
  });
  ws.on('error', () => {});
  const closed = once(ws, 'close').then(([code]) => code as number);
  const next = (): Promise<Frame> =>
    new Promise((resolve) => {
      const frame = frames.shift();
      if (frame) resolve(frame);
      else waiting.push(resolve);
    });
  const nextOf = async (type: string): Promise<Frame> => {
    for (;;) {
      const frame = await next();
      if (frame.type === type) return frame;
    }
  };
  return { ws, frames, next, nextOf, closed };
}

/** The HTTP status with which an upgrade is refused; 101 when it was taken. */
export function upgradeStatus(url: string, options: ClientOptions = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url, options);
    ws.on('open', () => {
      ws.terminate();
      resolve(101);
    });
    ws.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve(response.statusCode ?? 0);
    });
    ws.on('error', reject);
  });
}
