/** Metrics and alert rules before the judge of the trade: Prometheus' own promtool, taken from Debian's package. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { borrow } from '../../../scripts/lib/borrow.mjs';
import { renderMetrics } from '../../../src/feed/metrics.ts';
import { fakeStatus } from './fake-node.ts';

const judge = suite('feed: promtool');
const FOLDER = new URL('../../../docs/monitoring/', import.meta.url).pathname;
const FEED = {
  clients: 1,
  accepted: 2,
  events: 3,
  samples_dropped: 0,
  closed_slow: 0,
  closed_talking: 1,
  refused: { token: 1 },
};

const status = fakeStatus('fw-a', 'master');
if (status.sync) status.sync.refused = { badauth: 1 };
if (status.sync) status.sync.slices = { bounds_ms: [1, 5], counts: [7, 2, 1], sum_ms: 14 };
status.trouble = [
  { what: 'password', where: 'vhid 1 on wan', since: '', severity: 'error', text: 't', mend: 'm' },
  { what: 'password', where: 'vhid 1 on wan', since: '', severity: 'error', text: 'again', mend: 'm' },
];
const metrics = renderMetrics(status, FEED, null, 'prometheus');

const borrowed = await borrow('prometheus', '/usr/bin/promtool');
const promtool = 'path' in borrowed ? borrowed.path : null;
if ('missing' in borrowed) process.stdout.write(`skip: ${borrowed.missing}\n`);
const withTool = promtool === null ? judge.skip : judge;

withTool('the metrics have no fault in it', () => {
  const result = spawnSync(promtool as string, ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
  assert.is(result.stdout + result.stderr, '');
  assert.is(result.status, 0);
  const broken = metrics.replace('# TYPE carpio_demotion gauge', '# TYPE carpio_demotion counter');
  const control = spawnSync(promtool as string, ['check', 'metrics'], { input: broken, encoding: 'utf8' });
  assert.is.not(control.status, 0, 'negative control');
});

withTool('the alert rules load', () => {
  const result = spawnSync(promtool as string, ['check', 'rules', `${FOLDER}alerts.yml`], { encoding: 'utf8' });
  assert.is(result.status, 0, result.stdout + result.stderr);
  assert.match(result.stdout, '8 rules found');
});

/** Every metric that a text names. */
const named = (text: string): string[] => [...new Set(text.match(/\bcarpio_[a-z_]+\b/g) ?? [])];

for (const file of ['alerts.yml', 'dashboard.json']) {
  judge(`${file} asks only for metrics that the node has`, () => {
    const known = new Set(metrics.match(/^carpio_[a-z_]+/gm));
    // These have no value while the pair is healthy or replication is off, so they are not in the fake node's text.
    for (const name of ['carpio_replicate_same', 'carpio_replicate_drift', 'carpio_demotion_reason']) known.add(name);
    const names = named(readFileSync(FOLDER + file, 'utf8'));
    assert.ok(names.length > 4);
    assert.equal(
      names.filter((name) => !known.has(name)),
      [],
    );
  });
}

judge('the dashboard is one: panels with places, targets and a source', () => {
  const board = JSON.parse(readFileSync(`${FOLDER}dashboard.json`, 'utf8'));
  assert.ok(board.panels.length >= 8);
  const ids = new Set<number>();
  for (const panel of board.panels) {
    ids.add(panel.id);
    assert.ok(panel.gridPos.x + panel.gridPos.w <= 24, panel.title);
    assert.ok(
      panel.targets.every((target: { expr: string }) => target.expr.includes('pair="$pair"')),
      panel.title,
    );
  }
  assert.is(ids.size, board.panels.length);
});

judge.run();
