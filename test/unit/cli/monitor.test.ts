/**
 * `carpio monitor`: what it shows, that it comes back after a break without losing an event, and that it says when it
 * is blind.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FeedClient, type Frame, feedUrl } from '../../../src/cli/monitor/feed-client.ts';
import { emptyView, renderView, takeBreak, takeFrame } from '../../../src/cli/monitor/view.ts';
import { painter, width } from '../../../src/cli/text.ts';
import { fakeFeed, fakeStatus } from '../feed/fake-node.ts';

const monitor = suite('cli: monitor');
const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const plain = painter(false);
const SIZE = { rows: 40, columns: 200 };

/** A client whose frames and breaks can be awaited one after the other. */
function listen(url: string, token: string | null = null) {
  const got: (Frame | { broken: string | null })[] = [];
  let wake = (): void => {};
  const client = new FeedClient(
    { url, token, ca: null },
    {
      frame: (frame) => {
        got.push(frame);
        wake();
      },
      broken: (broken) => {
        got.push({ broken });
        wake();
      },
    },
  );
  const next = async (wanted: (one: Frame | { broken: string | null }) => boolean) => {
    for (;;) {
      const at = got.findIndex(wanted);
      if (at >= 0) return got.splice(0, at + 1).at(-1) as Frame & { broken: string | null };
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { client, next };
}

const isEvent = (kind: string) => (one: object) => 'kind' in one && one.kind === kind;
const isBroken = (one: object) => 'broken' in one && one.broken !== null;

monitor('addresses as people write them', () => {
  assert.is(feedUrl('fw-a:8180'), 'ws://fw-a:8180/feed');
  assert.is(feedUrl('https://fw-a:8180/'), 'wss://fw-a:8180/feed');
  assert.is(feedUrl('[::1]:8180'), 'ws://[::1]:8180/feed');
  assert.throws(() => feedUrl('ftp://x'), /expected HOST:PORT/);
  assert.throws(() => feedUrl('fw-a:8180/?token=x'), /--token-file/);
});

monitor('after a break it comes back by itself and has every event, in order', async () => {
  const first = await fakeFeed({ firstSeq: 10 });
  const { client, next } = listen(feedUrl(first.host));
  assert.is((await next((one) => 'type' in one && one.type === 'snapshot')).seq, 9);
  first.feed.publish({ kind: 'one' });
  await next(isEvent('one'));
  await first.feed.close();
  const { broken } = await next(isBroken);
  assert.is(broken, 'the node has stopped');
  const port = Number(first.host.split(':')[1]);
  const second = await fakeFeed({ firstSeq: 11, listen: [`127.0.0.1:${port}`] });
  second.feed.publish({ kind: 'two' });
  second.feed.publish({ kind: 'three' });
  assert.is((await next(isEvent('two'))).seq, 11);
  assert.is((await next(isEvent('three'))).seq, 12);
  client.close();
  await second.feed.close();
});

monitor('a node that cannot be reached, and one that wants a token: said, and tried again', async () => {
  const nobody = listen('ws://127.0.0.1:9/feed');
  assert.match((await nobody.next(isBroken)).broken ?? '', /ECONNREFUSED/);
  nobody.client.close();
  const { feed, host } = await fakeFeed({ token: () => 'a-token-of-many-letters', listen: ['0.0.0.0:0'] });
  const port = host.split(':').at(-1);
  const without = listen(`ws://127.0.0.1:${port}/feed`);
  const refused = (await without.next(isBroken)).broken ?? '';
  assert.match(refused, /--token-file/, refused);
  without.client.close();
  const withToken = listen(`ws://127.0.0.1:${port}/feed`, 'a-token-of-many-letters');
  await withToken.next((one) => 'type' in one && one.type === 'snapshot');
  withToken.client.close();
  await feed.close();
});

monitor('the picture: status, events, and never a line too many or too long', () => {
  const view = emptyView(1000);
  takeBreak(view, null, 1000);
  takeFrame(view, { type: 'snapshot', seq: 1, status: fakeStatus('fw-a', 'master') }, 1000);
  const event = {
    type: 'event',
    seq: 2,
    time: '2026-01-01T00:00:00.000Z',
    kind: 'carp.state',
    vhid: 1,
    interface: 'wan',
  };
  takeFrame(view, { ...event, from: 'BACKUP' }, 1000);
  assert.match(view.events.at(-1) ?? '', 'carp.state vhid=1 interface=wan from=BACKUP', 'a version without sentences');
  for (let i = 0; i < 500; i++)
    takeFrame(view, { ...event, text: `vhid 1 on wan: BACKUP -> MASTER (r${i}\x1b[2J)` }, 1000);
  const lines = renderView(view, 'ws://x/feed', 1500, SIZE, plain);
  assert.ok(lines.some((line) => line.includes('in step') && line.includes('yes')));
  assert.match(lines.at(-1) ?? '', /vhid 1 on wan: BACKUP -> MASTER \(r499/);
  assert.not(lines.join('').includes('\x1b'), 'what a node sends cannot steer the terminal');
  assert.is(lines.length, SIZE.rows - 1);
  for (const line of renderView(view, 'ws://x/feed', 1500, { rows: 10, columns: 20 }, painter(true))) {
    assert.ok(width(line) <= 20);
  }
});

monitor('blind: it says so, for how long, and that the rest is old', () => {
  const view = emptyView(0);
  takeBreak(view, null, 0);
  takeFrame(view, { type: 'snapshot', seq: 1, status: fakeStatus('fw-a', 'master') }, 0);
  takeBreak(view, 'the connection ended', 1000);
  takeBreak(view, 'connect ECONNREFUSED', 3000);
  const text = renderView(view, 'ws://x/feed', 6000, SIZE, plain).join('\n');
  assert.match(text, /NOT CONNECTED: connect ECONNREFUSED \(for 5\.0 s\); what follows is old/);
});

monitor('a node of another version is no end', () => {
  const view = emptyView(0);
  takeFrame(view, { type: 'snapshot', seq: 1, status: { node: 'x' } }, 0);
  assert.match(renderView(view, 'ws://x/feed', 0, SIZE, plain).join('\n'), /another version/);
});

monitor('the program into a pipe: one line an event; SIGTERM ends it with 0', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'carpio-monitor-'));
  const { feed, host } = await fakeFeed({ token: () => 'a-token-of-many-letters', listen: ['0.0.0.0:0'] });
  try {
    writeFileSync(join(directory, 'token'), 'a-token-of-many-letters\n', { mode: 0o600 });
    const args = [MAIN, 'monitor', `127.0.0.1:${host.split(':').at(-1)}`, '--token-file', join(directory, 'token')];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args]);
    const line = new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve));
    const ticking = setInterval(() => feed.publish({ kind: 'node.reload' }), 50);
    assert.match(await line, /^\d\d:\d\d:\d\d\.\d+ node\.reload\n/);
    clearInterval(ticking);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    assert.is(await ended, 0);
  } finally {
    await feed.close();
    rmSync(directory, { recursive: true });
  }
});

monitor.run();
