/** What is wrong now: opened and ended by events, or for as long as the status says so; each with since and mend. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeEvent } from '../../../src/contract/events.ts';
import type { NodeStatus } from '../../../src/contract/status.ts';
import { TroubleTracker } from '../../../src/node/trouble/tracker.ts';
import { fakeStatus } from '../feed/fake-node.ts';

const test = suite('node: trouble');
const T0 = Date.parse('2026-01-01T00:00:00.000Z');

const well = (): NodeStatus => ({ ...fakeStatus('fw-a', 'master'), uptime_s: 100, replicate: null });
const whats = (tracker: TroubleTracker, status: NodeStatus, at = T0): string[] =>
  tracker.look(status, at).map(({ what }) => what);

function diagnosis(what: 'password' | 'foreign_user', over: boolean, reason = 'r'): NodeEvent {
  return { kind: 'carp.diagnosis', vhid: 1, interface: 'wan', what, over, reason };
}

test('a node that is well has none', () => {
  assert.equal(new TroubleTracker().look(well(), T0), []);
});

test('a diagnosis is open until it is over, and keeps its first time', () => {
  const tracker = new TroubleTracker();
  tracker.onEvent(diagnosis('password', false), T0);
  tracker.onEvent(diagnosis('password', false), T0 + 5000);
  const [trouble, ...more] = tracker.look(well(), T0 + 9000);
  assert.is(more.length, 0);
  assert.equal([trouble?.what, trouble?.where, trouble?.severity], ['password', 'vhid 1 on wan', 'error']);
  assert.is(trouble?.since, '2026-01-01T00:00:00.000Z');
  assert.ok(trouble?.mend);
  tracker.onEvent(diagnosis('password', true), T0 + 10_000);
  assert.equal(whats(tracker, well()), []);
});

test('a reload that takes the vhid away ends what was wrong with it', () => {
  const tracker = new TroubleTracker();
  tracker.onEvent(diagnosis('password', false), T0);
  tracker.keepVhids(new Set(['vhid 2 on lan']));
  assert.equal(whats(tracker, well()), []);
});

test('errors stand before warnings, the oldest first', () => {
  const tracker = new TroubleTracker();
  tracker.onEvent(diagnosis('foreign_user', false), T0);
  tracker.onEvent(diagnosis('password', false, 'b'), T0 + 2000);
  tracker.onEvent(diagnosis('password', false, 'a'), T0 + 1000);
  const found = tracker.look(well(), T0);
  assert.equal(
    found.map(({ text }) => text),
    ['a', 'b', 'r'],
  );
});

test('an interface without an own address is named, with the mend', () => {
  const status = well();
  status.carp.demotion = { total: 240, reasons: [{ reason: 'no_ipv4:lan', weight: 240 }] };
  const [trouble, ...more] = new TroubleTracker().look(status, T0);
  assert.is(more.length, 0);
  assert.equal([trouble?.what, trouble?.where, trouble?.severity], ['no_address', 'lan', 'error']);
  assert.match(trouble?.text ?? '', /lan has no own IPv4 address/);
});

test('a dead sync link and a dead box are told apart by adverts', () => {
  const status = well();
  assert.ok(status.sync);
  status.sync.peer = { ...status.sync.peer, alive: false, heard_ms_ago: 4000 };
  for (const vip of status.carp.vips) vip.heard = null;
  assert.equal(whats(new TroubleTracker(), status), ['peer_silent']);
  const [vip] = status.carp.vips;
  assert.ok(vip);
  vip.heard = { from: '203.0.113.3', advbase: 1, advskew: 100, ms_ago: 400 };
  const [trouble] = new TroubleTracker().look(status, T0);
  assert.is(trouble?.what, 'sync_link_down');
  assert.match(trouble?.text ?? '', /silent on the sync link for 4\.0 s, but lives: seen on wan 0\.4 s ago/);
  assert.equal(whats(new TroubleTracker(), { ...status, uptime_s: 2 }), [], 'a node that has just started waits');
});

test('not in step, demoted by something, INIT, drift: each by name; maintenance is none', () => {
  const status = well();
  assert.ok(status.sync);
  status.sync.in_step = false;
  status.sync.in_step_reason = 'the digests differ';
  const reasons = [
    { reason: 'maintenance', weight: 240 },
    { reason: 'link lan', weight: 240 },
  ];
  status.carp.demotion = { total: 480, reasons };
  const [vip] = status.carp.vips;
  assert.ok(vip);
  vip.state = 'INIT';
  assert.equal(whats(new TroubleTracker(), status).sort(), ['demoted', 'not_in_step', 'vip_init']);
});

test('a condition keeps the time at which it began, and begins anew after a pause', () => {
  const tracker = new TroubleTracker();
  const status = well();
  assert.ok(status.sync);
  status.sync.in_step = false;
  tracker.look(status, T0);
  assert.is(tracker.look(status, T0 + 7000)[0]?.since, '2026-01-01T00:00:00.000Z');
  status.sync.in_step = true;
  assert.equal(tracker.look(status, T0 + 8000), []);
  status.sync.in_step = false;
  assert.is(tracker.look(status, T0 + 9000)[0]?.since, '2026-01-01T00:00:09.000Z');
});

test('one whose end nobody tells is forgotten when it is not repeated', () => {
  const tracker = new TroubleTracker();
  tracker.onEvent({ kind: 'sync.too_long', device: 'eth2', bytes: 1400, mtu: 1500 } as NodeEvent, T0);
  assert.equal(whats(tracker, well(), T0 + 59_000), ['sync_path_narrow']);
  assert.equal(whats(tracker, well(), T0 + 61_000), []);
});

test('a flood of strangers does not fill the memory', () => {
  const tracker = new TroubleTracker();
  for (let i = 0; i < 1000; i++) tracker.onEvent(diagnosis('foreign_user', false, `host ${i}`), T0 + i);
  assert.is(tracker.look(well(), T0).length, 64);
});

test.run();
