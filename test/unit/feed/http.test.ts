import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { formatFor } from '../../../src/feed/exposition.ts';
import { renderMetrics } from '../../../src/feed/metrics.ts';
import { sampleOf } from '../../../src/feed/sample.ts';
import { fakeFeed, fakeStatus, reader } from './fake-node.ts';

const http = suite('feed: plain requests');

http('/status is the status, /healthz the health', async () => {
  const health = { reason: null as string | null };
  const { feed, http: base, node } = await fakeFeed({ getHealth: () => health.reason });
  const status = await fetch(`${base}/status`);
  assert.is(status.headers.get('content-type'), 'application/json');
  assert.equal(await status.json(), node.status);
  const ok = await fetch(`${base}/healthz`);
  assert.equal([ok.status, await ok.text()], [200, 'ok\n']);
  health.reason = 'the dataplane\nstopped';
  const ill = await fetch(`${base}/healthz`);
  assert.equal([ill.status, await ill.text()], [503, 'the dataplane stopped\n']);
  await feed.close();
});

http('unknown paths 404, other methods 405, the feed without WebSocket 426', async () => {
  const { feed, http: base } = await fakeFeed();
  for (const path of ['/x', '/status/', '/__proto__', '/constructor', '/feed/x', '/..%2f']) {
    assert.is((await fetch(base + path)).status, 404, path);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const response = await fetch(`${base}/status`, { method });
    assert.equal([response.status, response.headers.get('allow')], [405, 'GET, HEAD'], method);
  }
  const posted = await fetch(`${base}/status`, { method: 'POST', body: 'x'.repeat(1e6) }).catch(() => null);
  assert.ok(posted === null || posted.status === 405);
  assert.is((await fetch(`${base}/feed`)).status, 426);
  const head = await fetch(`${base}/status`, { method: 'HEAD' });
  assert.equal([head.status, await head.text()], [200, '']);
  assert.ok(Number(head.headers.get('content-length')) > 100);
  await feed.close();
});

http('the page comes with a policy that allows its own style and script only', async () => {
  const { feed, http: base } = await fakeFeed();
  const response = await fetch(`${base}/`);
  const policy = response.headers.get('content-security-policy') ?? '';
  const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  assert.ok(policy.includes(`script-src ${hash('1')};`), policy);
  assert.ok(policy.includes(`style-src ${hash('a{}')};`), policy);
  assert.ok(policy.includes("default-src 'self'") && policy.includes("frame-ancestors 'none'"));
  assert.not.ok(policy.includes('unsafe'));
  for (const path of ['/', '/status', '/metrics', '/healthz', '/nothing']) {
    const { headers } = await fetch(base + path);
    assert.is(headers.get('x-content-type-options'), 'nosniff', path);
    assert.is(headers.get('cache-control'), 'no-store', path);
    assert.is(headers.get('referrer-policy'), 'no-referrer', path);
    assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/, path);
  }
  await feed.close();
});

http('a node that cannot say answers 500 and goes on', async () => {
  let broken = true;
  const { feed, http: base } = await fakeFeed({
    getStatus: () => {
      if (broken) throw new Error('secret detail');
      return fakeStatus('fw-a', 'master');
    },
  });
  for (const path of ['/status', '/metrics']) {
    const response = await fetch(base + path);
    assert.is(response.status, 500);
    assert.not.match(await response.text(), /secret/);
  }
  assert.is((await fetch(`${base}/healthz`)).status, 200);
  broken = false;
  assert.is((await fetch(`${base}/status`)).status, 200);
  await feed.close();
});

/**
 * The OpenMetrics rules that our text can break: order of the lines, suffixes, one block a family, no double sample.
 */
function checkOpenMetrics(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const lines = text.split('\n');
  assert.is(lines.pop(), '', 'ends with a line feed');
  assert.is(lines.pop(), '# EOF');
  const families = new Set<string>();
  let family = '';
  let suffix = '';
  for (const line of lines) {
    const type = /^# TYPE (\w+) (gauge|counter|info|histogram)$/.exec(line);
    if (type) {
      [, family = ''] = type;
      suffix = { gauge: '', counter: '_total', info: '_info', histogram: '_(bucket|count|sum)' }[type[2]!]!;
      assert.not.ok(families.has(family), `one block for ${family}`);
      families.add(family);
    } else if (line.startsWith('# UNIT ')) {
      const [, , name, unit] = line.split(' ');
      assert.ok(name === family && family.endsWith(`_${unit}`), line);
    } else if (line.startsWith('# HELP ')) {
      assert.ok(line.startsWith(`# HELP ${family} `), line);
    } else {
      const sample = /^(\w+)(\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[\d.e+-]+)$/.exec(line);
      assert.ok(sample, line);
      assert.match(sample[1] ?? '', new RegExp(`^${family}${suffix}$`));
      const key = sample[1]! + (sample[2] ?? '');
      assert.not.ok(samples.has(key), `double ${key}`);
      samples.set(key, Number(sample[3]));
    }
  }
  return samples;
}

const NO_FEED = {
  clients: 0,
  accepted: 0,
  events: 0,
  samples_dropped: 0,
  closed_slow: 0,
  closed_talking: 0,
  refused: {},
};

http('/metrics is OpenMetrics and says what the status says', async () => {
  const { feed, http: base, host, node } = await fakeFeed();
  node.status.carp.demotion = { total: 240, reasons: [{ reason: 'link "wan"\\\n', weight: 240 }] };
  node.status.sync!.refused = { badauth: 3, short: 1 };
  node.status.sync!.slices = { bounds_ms: [1, 5], counts: [7, 2, 1], sum_ms: 14 };
  const r = reader(`ws://${host}/feed`);
  await r.next();
  const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
  const response = await fetch(`${base}/metrics`, { headers: { accept } });
  assert.match(response.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/);
  const samples = checkOpenMetrics(await response.text());
  const wanted: Record<string, number> = {
    'carpio_vip_state{vhid="1",interface="wan",state="MASTER"}': 1,
    'carpio_vip_state{vhid="1",interface="wan",state="BACKUP"}': 0,
    'carpio_vip_state{vhid="2",interface="lan",state="MASTER"}': 1,
    'carpio_states{owner="own"}': 1200,
    'carpio_states{owner="mirrored"}': 0,
    carpio_states_kernel: 1200,
    carpio_in_step: 1,
    carpio_in_step_known: 1,
    carpio_in_step_age_seconds: 0.21,
    carpio_demotion: 240,
    'carpio_demotion_reason{reason="link \\"wan\\"\\\\\\n"}': 240,
    'carpio_sync_refused_total{cause="badauth"}': 3,
    'carpio_carp_total{name="ipackets"}': 10,
    carpio_sync_overruns_total: 0,
    'carpio_sync_slice_seconds_bucket{le="0.001"}': 7,
    'carpio_sync_slice_seconds_bucket{le="0.005"}': 9,
    'carpio_sync_slice_seconds_bucket{le="+Inf"}': 10,
    carpio_sync_slice_seconds_count: 10,
    carpio_sync_slice_seconds_sum: 0.014,
    carpio_sync_repairs_total: 0,
    carpio_peer_alive: 1,
    carpio_uptime_seconds: 12.5,
    carpio_healthy: 1,
    carpio_feed_clients: 1,
  };
  for (const [key, value] of Object.entries(wanted)) assert.is(samples.get(key), value, key);
  assert.ok([...samples.keys()].some((key) => key.startsWith('carpio_build_info{version="0.1.0"')));
  await feed.close();
});

http('who does not ask for OpenMetrics gets the text format that every scraper reads', async () => {
  assert.is(formatFor(undefined), 'prometheus');
  assert.is(formatFor('text/plain;version=0.0.4, */*'), 'prometheus');
  assert.is(formatFor('application/openmetrics-text; version=1.0.0; q=0, text/plain'), 'prometheus');
  assert.is(formatFor('text/plain;q=0.5, application/openmetrics-text;version=0.0.1'), 'openmetrics');
  const { feed, http: base } = await fakeFeed();
  const response = await fetch(`${base}/metrics`);
  assert.is(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const text = await response.text();
  assert.match(text, '# HELP carpio_carp_total ');
  assert.match(text, '# TYPE carpio_carp_total counter\n');
  assert.match(text, '# TYPE carpio_build_info gauge\n');
  assert.not.match(text, /# (UNIT|EOF)/);
  await feed.close();
});

http('what is not known has no metric, and no sync no sync metrics', () => {
  const status = fakeStatus('fw-a', 'master', { in_step: null, checked_ms_ago: null, lag_ms: null });
  const samples = checkOpenMetrics(renderMetrics(status, NO_FEED, 'ill'));
  assert.is(samples.get('carpio_in_step_known'), 0);
  assert.is(samples.get('carpio_healthy'), 0);
  for (const key of ['carpio_in_step', 'carpio_in_step_age_seconds', 'carpio_sync_lag_seconds']) {
    assert.not.ok(samples.has(key), key);
  }
  const alone = checkOpenMetrics(renderMetrics({ ...status, sync: null }, NO_FEED, null));
  assert.not.ok([...alone.keys()].some((key) => /sync|states|peer|in_step/.test(key)));
});

http('the check itself finds broken text', () => {
  const good = renderMetrics(fakeStatus('fw-a', 'master'), NO_FEED, null);
  checkOpenMetrics(good);
  for (const [from, to] of [
    ['# EOF\n', ''],
    ['_total ', ' '],
    ['# TYPE carpio_demotion gauge\n', ''],
    ['# UNIT carpio_uptime_seconds seconds', '# UNIT carpio_uptime_seconds bytes'],
  ] as const) {
    assert.ok(good.includes(from));
    let found = false;
    try {
      checkOpenMetrics(good.replace(from, to));
    } catch {
      found = true;
    }
    assert.ok(found, from);
  }
});

http('the sample is flat, numbers only, and leaves out what is not known', () => {
  const sample = sampleOf(fakeStatus('fw-a', 'master', { in_step: null, lag_ms: null, refused: { a: 1, b: 2 } }), 77);
  assert.equal([sample.states_created, sample.states, sample.refused, sample.masters], [77, 1200, 3, 2]);
  assert.not.ok('in_step' in sample || 'lag_ms' in sample);
  assert.ok(Object.values(sample).every(Number.isFinite));
  assert.not.ok('states_created' in sampleOf(fakeStatus('fw-a', 'backup'), null));
});

http.run();
