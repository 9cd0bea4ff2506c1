import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LIMITS } from '../../../src/feed/limits.ts';
import { fakeFeed, fakeStatus, reader } from './fake-node.ts';

const stream = suite('feed: stream');

stream('snapshot first, then events in order without a gap, and samples', async () => {
  const { feed, host, node } = await fakeFeed({ firstSeq: 41, sampleMs: 20 });
  feed.publish({ kind: 'before' });
  const r = reader(`ws://${host}/feed`);
  const first = await r.next();
  assert.equal([first.type, first.seq, first.status], ['snapshot', 41, node.status]);
  assert.not.ok('recent' in first);
  for (let n = 0; n < 50; n++) feed.publish({ kind: 'carp.state', vhid: n, reason: 'r' });
  for (let n = 0; n < 50; n++) {
    const event = await r.nextOf('event');
    assert.equal([event.seq, event.vhid, event.kind], [42 + n, n, 'carp.state']);
    assert.ok(Date.parse(event.time as string) > 0);
  }
  const sample = await r.nextOf('sample');
  assert.equal([sample.seq, sample.states], [91, 1200]);
  await feed.close();
  assert.is(await r.closed, 1001);
});

stream('?since continues exactly after the number', async () => {
  const { feed, host } = await fakeFeed({ firstSeq: 1 });
  for (let n = 1; n <= 10; n++) feed.publish({ kind: `k${n}` });
  const r = reader(`ws://${host}/feed?since=7`);
  for (const seq of [8, 9, 10]) assert.equal((await r.next()).seq, seq);
  feed.publish({ kind: 'k11' });
  assert.equal((await r.next()).kind, 'k11');
  const upToDate = reader(`ws://${host}/feed?since=11`);
  await new Promise((resolve) => upToDate.ws.once('open', resolve));
  feed.publish({ kind: 'k12' });
  assert.equal((await upToDate.next()).seq, 12);
  await feed.close();
});

stream('?since that cannot be continued gets a fresh snapshot', async () => {
  const { feed, host } = await fakeFeed({ firstSeq: 1000 });
  for (let n = 0; n < LIMITS.events + 10; n++) feed.publish({ kind: 'k' });
  const newest = 999 + LIMITS.events + 10;
  for (const since of ['1000', '0', String(newest + 1), 'x', '-1', '', '99999999999999999999']) {
    const r = reader(`ws://${host}/feed?since=${since}`);
    const frame = await r.next();
    assert.equal([frame.type, frame.seq], ['snapshot', newest], `since=${since}`);
    r.ws.terminate();
  }
  await feed.close();
});

stream('a replay that is too long for one go is answered with a snapshot', async () => {
  const { feed, host } = await fakeFeed({ firstSeq: 1 });
  for (let n = 0; n < 100; n++) feed.publish({ kind: 'k', text: 'x'.repeat(10_000) });
  const long = reader(`ws://${host}/feed?since=0`);
  assert.is((await long.next()).type, 'snapshot');
  const short = reader(`ws://${host}/feed?since=98`);
  assert.equal((await short.next()).seq, 99);
  await feed.close();
});

stream('two runs do not share numbers', async () => {
  const one = await fakeFeed();
  const two = await fakeFeed();
  one.feed.publish({ kind: 'k' });
  two.feed.publish({ kind: 'k' });
  const r1 = reader(`ws://${one.host}/feed`);
  const { seq } = await r1.next();
  const r2 = reader(`ws://${two.host}/feed?since=${seq}`);
  assert.is((await r2.next()).type, 'snapshot');
  await one.feed.close();
  await two.feed.close();
});

stream('?recent brings the past along, ?status=1 the status after events', async () => {
  const { feed, host, node } = await fakeFeed({ firstSeq: 1 });
  for (let n = 1; n <= 5; n++) feed.publish({ kind: `k${n}` });
  const r = reader(`ws://${host}/feed?recent=3&status=1`);
  const snapshot = await r.next();
  assert.equal(
    (snapshot.recent as { seq: number }[]).map(({ seq }) => seq),
    [3, 4, 5],
  );
  await r.next(); // the status that the events before it had asked for
  node.status = fakeStatus('fw-a', 'backup');
  feed.publish({ kind: 'carp.state' });
  feed.publish({ kind: 'carp.state' });
  assert.equal([(await r.next()).seq, (await r.next()).seq], [6, 7]);
  const status = await r.next();
  assert.equal([status.type, status.seq, status.status], ['status', 7, node.status]);
  const resumed = reader(`ws://${host}/feed?since=6&status=1`);
  assert.is((await resumed.next()).seq, 7);
  assert.is((await resumed.next()).type, 'status');
  await feed.close();
});

stream('a slow reader loses samples first, then is closed with 1013, and has no gap until then', async () => {
  const { feed, host } = await fakeFeed({ firstSeq: 1, sampleMs: 5 });
  const slow = reader(`ws://${host}/feed`);
  const quick = reader(`ws://${host}/feed`);
  await slow.next();
  await quick.next();
  slow.ws.pause();
  const text = 'x'.repeat(8000);
  let droppedBeforeClose = 0;
  for (let n = 0; n < 20_000 && feed.counters.closed_slow === 0; n++) {
    feed.publish({ kind: 'k', text });
    if (n % 8 === 0) await quick.nextOf('sample');
    if (feed.counters.closed_slow === 0) droppedBeforeClose = feed.counters.samples_dropped;
  }
  assert.is(feed.counters.closed_slow, 1);
  assert.ok(droppedBeforeClose > 0, 'samples were kept back while the reader was still open');
  assert.is(quick.ws.readyState, quick.ws.OPEN, 'the other reader is not touched');
  slow.ws.resume();
  assert.is(await slow.closed, 1013);
  const events = slow.frames.filter(({ type }) => type === 'event').map(({ seq }) => seq);
  assert.ok(events.length > 100);
  assert.equal(
    events,
    events.map((_, n) => n + 1),
  );
  await feed.close();
});

stream('the same load closes nobody who reads', async () => {
  const { feed, host } = await fakeFeed({ firstSeq: 1 });
  const r = reader(`ws://${host}/feed`);
  await r.next();
  for (let n = 1; n <= 1000; n++) {
    feed.publish({ kind: 'k', text: 'x'.repeat(8000) });
    assert.is((await r.next()).seq, n);
  }
  assert.equal([feed.counters.closed_slow, feed.counters.samples_dropped], [0, 0]);
  await feed.close();
});

stream(
  'a client that talks is closed with 1008, one that shouts with 1009, one that pings without end with 1008',
  async () => {
    const { feed, host } = await fakeFeed();
    const talking = reader(`ws://${host}/feed`);
    await talking.next();
    talking.ws.send('hello');
    assert.is(await talking.closed, 1008);
    const shouting = reader(`ws://${host}/feed`);
    await shouting.next();
    shouting.ws.send('x'.repeat(100_000));
    assert.is(await shouting.closed, 1009);
    const pinging = reader(`ws://${host}/feed`);
    await pinging.next();
    for (let n = 0; n <= LIMITS.controlFrames; n++) pinging.ws.ping('p');
    assert.is(await pinging.closed, 1008);
    assert.is(feed.counters.closed_talking, 3);
    while (feed.counters.clients > 0) await new Promise((resolve) => setImmediate(resolve));
    await feed.close();
  },
);

stream('a ping is answered', async () => {
  const { feed, host } = await fakeFeed();
  const r = reader(`ws://${host}/feed`);
  await r.next();
  const pong = new Promise((resolve) => r.ws.once('pong', (data) => resolve(String(data))));
  r.ws.ping('hello');
  assert.is(await pong, 'hello');
  await feed.close();
});

stream('a reader that answers no ping is gone, one that answers stays', async () => {
  const { feed, host } = await fakeFeed({ pingMs: 40 });
  const there = reader(`ws://${host}/feed`);
  await there.next();
  const gone = reader(`ws://${host}/feed`, { autoPong: false });
  await gone.next();
  assert.is(await gone.closed, 1013);
  assert.is(feed.counters.closed_slow, 1);
  assert.is(there.ws.readyState, there.ws.OPEN);
  await feed.close();
});

stream('a status that cannot be made closes the reader, not the node', async () => {
  const { feed, host, node } = await fakeFeed({ sampleMs: 5 });
  const open = reader(`ws://${host}/feed?status=1`);
  await open.next();
  Object.defineProperty(node, 'status', {
    get: () => {
      throw new Error('not now');
    },
  });
  const late = reader(`ws://${host}/feed`);
  assert.is(await late.closed, 1011);
  feed.publish({ kind: 'k' });
  assert.is((await open.nextOf('event')).kind, 'k');
  assert.is((await open.nextOf('sample')).type, 'sample');
  await feed.close();
});

stream.run();
