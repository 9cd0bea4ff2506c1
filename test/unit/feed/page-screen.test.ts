/**
 * The page in a real browser: what a person sees while the pair changes roles, is cut off and comes back. With
 * CARPIO_SHOTS=FOLDER each scene is also kept as a picture.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildPage } from '../../../scripts/lib/page.mjs';
import type { NodeStatus } from '../../../src/contract/status.ts';
import type { Feed } from '../../../src/feed/server.ts';
import { fakeFeed, fakeStatus } from './fake-node.ts';
import { openBrowser, openRelay } from './page-browser.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const screen = suite('page: on screen');
const opened = await openBrowser();

interface FakeNode {
  feed: Feed;
  node: { status: NodeStatus };
}

interface Stage {
  nodes: { a: FakeNode; b: FakeNode };
  /** The page's address, watching both nodes. */
  address: string;
  page: Page;
  /** What the browser had to complain about. */
  complaints: string[];
  startNode(name: 'a' | 'b', role: 'master' | 'backup'): Promise<FakeNode>;
  /** Breaks the page's connections. */
  cut(): void;
}

interface Look {
  dark?: boolean;
  width?: number;
  height?: number;
}

/** Two nodes behind one relay, and a browser page that may watch them. */
async function onStage(browser: Browser, look: Look, run: (stage: Stage) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'page-'));
  const html = await buildPage(ROOT);
  const feeds: Feed[] = [];
  const startNode = async (name: 'a' | 'b', role: 'master' | 'backup'): Promise<FakeNode> => {
    const load = fakeLoad(() => fake.node.status.role);
    const fake = await fakeFeed({
      listen: [`unix:${join(folder, `${name}.sock`)}`],
      page: html,
      sampleMs: 100,
      getSample: load,
    });
    fake.node.status = fakeStatus(`fw-${name}`, role);
    feeds.push(fake.feed);
    return fake;
  };
  const nodes = { a: await startNode('a', 'master'), b: await startNode('b', 'backup') };
  const relay = await openRelay({ 'fw-a': join(folder, 'a.sock'), 'fw-b': join(folder, 'b.sock') });
  const page = await browser.newPage({
    viewport: { width: look.width ?? 1600, height: look.height ?? 900 },
    colorScheme: look.dark ? 'dark' : 'light',
  });
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/WebSocket connection/.test(message.text())) complaints.push(message.text());
  });
  try {
    const address = `${relay.base}/?feeds=/fw-a/feed,/fw-b/feed`;
    await run({ nodes, address, page, complaints, startNode, cut: relay.cut });
  } finally {
    await page.close();
    await Promise.all(feeds.map((feed) => feed.close()));
    await relay.close();
  }
}

/** Counters that move like those of a firewall at work. */
function fakeLoad(role: () => string): () => Record<string, number> {
  let [created, bytes] = [0, 0];
  return () => {
    const wave = 11 + 4 * Math.sin(Date.now() / 900) + 3 * Math.sin(Date.now() / 310);
    created += role() === 'master' ? wave : 0;
    bytes += role() === 'master' ? wave * 64 : 40;
    return { states_created: Math.round(created), sent_bytes: Math.round(bytes) };
  };
}

function both(nodes: { a: FakeNode; b: FakeNode }, change: (status: NodeStatus) => void): void {
  change(nodes.a.node.status);
  change(nodes.b.node.status);
}

/** Waits until the text of the first match of `selector` fits. */
async function sees(page: Page, selector: string, pattern: RegExp): Promise<void> {
  await page
    .waitForFunction(
      ([css, source]) => new RegExp(source!).test(document.querySelector(css!)?.textContent ?? ''),
      [selector, pattern.source],
      { timeout: 8000 },
    )
    .catch(async () => {
      const found = await page.locator(selector).allTextContents();
      throw new Error(`expected ${pattern} in ${selector}, found ${JSON.stringify(found)}`);
    });
}

async function shot(page: Page, name: string): Promise<void> {
  const folder = process.env.CARPIO_SHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

/** Nothing is wider than the screen, and no text is cut off at the edge of its card. */
async function fits(page: Page): Promise<void> {
  const found = await page.evaluate(() => {
    const edges = [...document.querySelectorAll('.node, .step, .charts, .events, .troubles')].flatMap((box) => {
      const limit = box.getBoundingClientRect().right;
      const over = [...box.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > limit + 1);
      return over.map((e) => `${e.className} ends outside its box: ${e.textContent}`);
    });
    return { excess: document.documentElement.scrollWidth - window.innerWidth, edges };
  });
  assert.equal(found, { excess: 0, edges: [] });
}

function inBrowser(name: string, run: (browser: Browser) => Promise<void>): void {
  if (typeof opened === 'string') screen.skip(name);
  else screen(name, () => run(opened));
}

const CARD_A = '.node:nth-of-type(1)';
const CARD_B = '.node:nth-of-type(2)';

/** The master dies: its feed is gone and the other node takes over. */
async function powerOff({ a, b }: { a: FakeNode; b: FakeNode }): Promise<void> {
  await a.feed.close();
  b.node.status = fakeStatus('fw-b', 'master', { in_step: null, in_step_reason: 'the peer is not heard' });
  b.node.status.sync!.peer = { node: 'fw-a', address: '10.99.0.1', alive: false, heard_ms_ago: 900, role: null };
  const reason = 'no advert for 3390 ms';
  for (const vhid of [1, 2]) b.feed.publish({ kind: 'carp.state', vhid, from: 'BACKUP', to: 'MASTER', reason });
}

inBrowser('what is wrong now stands on top, with what to do, and goes when it is over', (browser) =>
  onStage(browser, { width: 800, height: 900 }, async ({ nodes, address, page, complaints }) => {
    await page.goto(address);
    await sees(page, '.answer', /^in step$/);
    assert.ok(await page.isHidden('#troubles'));
    const since = nodes.a.node.status.time;
    nodes.a.node.status.trouble = [
      {
        ...{ what: 'sync_link_down', where: 'sync', since, severity: 'error' },
        text: 'fw-b is silent on the sync link for 4.0 s, but lives: seen on wan 0.4 s ago; connections made since then are not mirrored',
        mend: 'the sync cable, its device, protocol 240 on the way, the pair key',
      },
      { what: 'demoted', where: 'link lan', since, severity: 'warning', text: 'stands back by 240', mend: 'its cause' },
    ];
    await sees(page, '#troubles li:nth-of-type(1) .what', /^fw-a: fw-b is silent on the sync link .* \(for \d/);
    await sees(page, '#troubles li:nth-of-type(2) .mend', /^its cause$/);
    await fits(page);
    await shot(page, 'trouble');
    nodes.a.node.status.trouble = [];
    await page.waitForSelector('#troubles', { state: 'hidden' });
    assert.equal(complaints, []);
  }),
);

inBrowser('the roles swap on screen when the master dies, with no reload', (browser) =>
  onStage(browser, {}, async ({ nodes, address, page, complaints, startNode }) => {
    await page.goto(address);
    await page.evaluate(() => Object.assign(window, { sameDocument: true }));
    await sees(page, `${CARD_A} .role`, /^▲MASTER$/);
    await sees(page, `${CARD_B} .role`, /^▽BACKUP$/);
    await sees(page, '.answer', /^in step$/);
    await sees(page, '.amount', /^1,200 states$/);
    await sees(page, '.age', /^\d\.\d s ago$/);
    assert.is(await page.title(), '▲ fw-a MASTER · in step');

    await powerOff(nodes);
    await sees(page, `${CARD_A} .role`, /^✕NOT HEARD$/);
    await sees(page, `${CARD_B} .role`, /^▲MASTER$/);
    await sees(page, '.answer', /^not known$/);
    await sees(page, '.reason', /^fw-b: the peer is not heard$/);
    await sees(page, '#events', /fw-bcarp\.statevhid [12] BACKUP → MASTERno advert for 3390 ms/);
    await sees(page, '#links', /fw-a: feed lost .* trying again/);
    assert.is(await page.title(), '▲ fw-b MASTER · in step: not known');

    nodes.a = await startNode('a', 'backup');
    nodes.b.node.status = fakeStatus('fw-b', 'master');
    await sees(page, `${CARD_A} .role`, /^▽BACKUP$/);
    await sees(page, '.answer', /^in step$/);
    assert.is(await page.title(), '▲ fw-b MASTER · in step');
    assert.ok(await page.evaluate(() => 'sameDocument' in window), 'the page was not loaded again');
    assert.equal(complaints, []);
  }),
);

inBrowser('a difference, a demotion, an alarm: all are said in words', (browser) =>
  onStage(browser, {}, async ({ nodes, address, page }) => {
    both(nodes, (status) => {
      status.sync!.in_step = false;
      status.sync!.in_step_reason = '14 states differ, repair running';
    });
    nodes.b.node.status.carp.demotion = { total: 480, reasons: [{ reason: 'sync', weight: 240 }] };
    await page.goto(address);
    await sees(page, '.answer', /^NOT in step$/);
    await sees(page, '.reason', /^fw-a: 14 states differ, repair running$/);
    await sees(page, `${CARD_B} .demotion`, /^480: sync 240$/);
    nodes.b.node.status = fakeStatus('fw-b', 'master');
    await sees(page, '#alarm:not([hidden])', /^Two masters: vhid 1 on wan \(fw-a and fw-b\), vhid 2 on lan/);
    nodes.a.node.status = fakeStatus('fw-a', 'backup');
    await page.waitForSelector('#alarm', { state: 'hidden' });
  }),
);

inBrowser('one feed only: the other card is the peer as this node sees it', async (browser) => {
  const html = await buildPage(ROOT);
  const { feed, node, http } = await fakeFeed({ page: html, sampleMs: 100 });
  const page = await browser.newPage();
  await page.goto(http);
  await sees(page, `${CARD_A} .name`, /^fw-a$/);
  await sees(page, `${CARD_B} .name`, /^fw-b$/);
  await sees(page, `${CARD_B} .role`, /^▽BACKUP$/);
  await sees(page, `${CARD_B} .notes`, /^heard by fw-a, \d\.\d s ago/);
  node.status.sync!.peer.alive = false;
  await sees(page, `${CARD_B} .role`, /^✕NOT HEARD$/);
  await feed.close();
  await sees(page, '.answer', /^not known$/);
  await sees(page, '.reason', /^no feed tells anything$/);
  await page.close();
});

inBrowser('text from the wire stays text', async (browser) => {
  const html = await buildPage(ROOT);
  const { feed, node, http } = await fakeFeed({ page: html, sampleMs: 100 });
  const bad = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>';
  node.status.node = bad;
  node.status.carp.vips[0]!.reason = bad;
  node.status.sync!.peer.node = bad;
  const page = await browser.newPage();
  await page.goto(http);
  await sees(page, `${CARD_A} .name`, /^<img/);
  feed.publish({ kind: bad, reason: bad, [bad]: bad });
  await sees(page, '#events', /<script>/);
  assert.is(await page.locator('main img, main script').count(), 0);
  assert.not.ok(await page.evaluate(() => 'broken' in window));
  await page.close();
  await feed.close();
});

inBrowser('the event list holds 200 rows, newest first, and survives a break without loss or doubles', (browser) =>
  onStage(browser, {}, async ({ nodes, address, page, cut }) => {
    for (let n = 0; n < 150; n++) nodes.a.feed.publish({ kind: 'test.count', n });
    await page.goto(address);
    await sees(page, '#events', /n 149/);
    assert.is(await page.locator('#events tr').count(), 150);
    for (let n = 150; n < 260; n++) nodes.a.feed.publish({ kind: 'test.count', n });
    await sees(page, '#events tr:first-child', /n 259$/);
    assert.is(await page.locator('#events tr').count(), 200);
    assert.match((await page.locator('#events tr:last-child').textContent()) ?? '', /n 60$/);
    cut();
    for (let n = 260; n < 300; n++) nodes.a.feed.publish({ kind: 'test.count', n });
    await sees(page, '#events tr:first-child', /n 299$/);
    const numbers = (await page.locator('#events .said').allTextContents()).map((text) => Number(text.slice(2)));
    assert.equal(
      numbers,
      Array.from({ length: 200 }, (_, n) => 299 - n),
    );
  }),
);

for (const [name, options] of Object.entries({
  'wide-light': {},
  'wide-dark': { dark: true },
  'hd-light': { width: 1920, height: 1080 },
  'small-light': { width: 1366, height: 768 },
  'tablet-light': { width: 900, height: 1200 },
  'phone-dark': { dark: true, width: 390, height: 844 },
  'phone-light': { width: 390, height: 844 },
})) {
  inBrowser(`nothing is cut off or wider than the screen: ${name}`, (browser) =>
    onStage(browser, options, async ({ nodes, page, address }) => {
      const reason = 'no advert for 3390 ms';
      nodes.a.feed.publish({ kind: 'node.start', reason: 'started' });
      nodes.a.feed.publish({ kind: 'carp.state', vhid: 1, interface: 'wan', from: 'BACKUP', to: 'MASTER', reason });
      nodes.b.feed.publish({ kind: 'sync.in_step', states: 1200, took_ms: 340 });
      await page.goto(address);
      await sees(page, '.answer', /^in step$/);
      await fits(page);
      if (process.env.CARPIO_SHOTS) await page.waitForTimeout(30_000);
      await shot(page, name);
      await powerOff(nodes);
      await sees(page, `${CARD_B} .role`, /^▲MASTER$/);
      await sees(page, `${CARD_A} .role`, /^✕NOT HEARD$/);
      if (process.env.CARPIO_SHOTS) await page.waitForTimeout(2500);
      await fits(page);
      await shot(page, `${name}-failed`);
    }),
  );
}

screen.after(async () => {
  if (typeof opened === 'string') console.log(`page tests skipped: ${opened}`);
  else await opened.close();
});

screen.run();
