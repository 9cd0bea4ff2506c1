/** The sentences of the page, without a browser. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeStatus, ReplicateStatus, SyncStatus } from '../../../src/contract/status.ts';
import { makeRate } from '../../../src/feed/page/chart.ts';
import { alarm, cards, inStep, STALE_MS, title, type Watched } from '../../../src/feed/page/view.ts';
import { clockTime, count, eventText, rate, span } from '../../../src/feed/page/words.ts';
import { fakeStatus } from './fake-node.ts';

const view = suite('page: what it says');
const T = 1_000_000;

function heard(status: NodeStatus, at = T): Watched {
  return { label: 'x', link: 'live', linkSince: 0, status, statusAt: at };
}

function silent(label: string, since: number, status: NodeStatus | null = null): Watched {
  return { label, link: 'lost', linkSince: since, status, statusAt: since };
}

function pair(a: Partial<SyncStatus> = {}, b: Partial<SyncStatus> = {}): Watched[] {
  return [heard(fakeStatus('fw-a', 'master', a)), heard(fakeStatus('fw-b', 'backup', b))];
}

view('in step: with its age, ticking', () => {
  const now = inStep(pair({ checked_ms_ago: 100 }, { checked_ms_ago: 900 }), T + 200);
  assert.equal(now, { answer: 'yes', text: 'in step', reason: null, states: 1200, age: '0.3 s ago' });
});

view('"in step" is never said on old news, a lost feed, or against one "no" or "not known"', () => {
  const said = (watched: Watched[], now = T): string => inStep(watched, now).answer;
  assert.is(said(pair()), 'yes');
  assert.is(said(pair(), T + STALE_MS - 300), 'yes');
  assert.is(said(pair(), T + STALE_MS), 'unknown');
  assert.is(said(pair({}, { in_step: false })), 'no');
  assert.is(said(pair({ in_step: false }, { in_step: null })), 'no');
  assert.is(said(pair({}, { in_step: null })), 'unknown');
  assert.is(said(pair({}, { checked_ms_ago: null })), 'unknown');
  assert.is(said([silent('a', T, fakeStatus('fw-a', 'master')), silent('b', T)]), 'unknown');
  assert.is(said([{ ...heard(fakeStatus('fw-a', 'master')), link: 'connecting' }]), 'unknown');
  assert.is(said([heard({ ...fakeStatus('fw-a', 'master'), sync: null })]), 'unknown');
  assert.is(said([]), 'unknown');
});

view('the reason names the node when two are watched', () => {
  const lost = { in_step: null, in_step_reason: 'the peer is not heard' };
  assert.is(inStep(pair({}, lost), T).reason, 'fw-b: the peer is not heard');
  assert.is(inStep([heard(fakeStatus('fw-a', 'master', lost))], T).reason, 'the peer is not heard');
  assert.is(inStep(pair(), T + 6000).reason, 'last compared 6.2 s ago');
});

view('a node whose feed is lost is what the other one knows of it', () => {
  const b = fakeStatus('fw-b', 'backup');
  const alive = cards([silent('fw-a', T - 4000, fakeStatus('fw-a', 'master')), heard(b)], T + 60)[0]!;
  assert.equal([alive.name, alive.tone, alive.role], ['fw-a', 'master', 'MASTER']);
  assert.equal(alive.notes, ['heard by fw-b, 0.1 s ago', 'its feed is silent for 4.1 s']);
  b.sync!.peer = { node: 'fw-a', address: null, alive: false, heard_ms_ago: 4200, role: null };
  const dead = cards([silent('fw-a', T - 4000, fakeStatus('fw-a', 'master')), heard(b)], T)[0]!;
  assert.equal([dead.tone, dead.role, dead.vips.length], ['unheard', 'NOT HEARD', 0]);
  assert.equal(dead.notes, ['last heard 4.2 s ago', 'last known: MASTER']);
});

view('a page just opened waits before it calls a node lost', () => {
  const fresh: Watched = { label: 'fw-a', link: 'connecting', linkSince: T, status: null, statusAt: T };
  assert.equal(
    [cards([fresh], T + 100)[0]!.role, inStep([fresh], T).reason],
    ['WAITING', 'waiting for the first news'],
  );
  assert.equal(cards([fresh], T + 5000)[0]!.role, 'NOT HEARD');
});

view('one feed: the second card is the peer as this node sees it', () => {
  const a = fakeStatus('fw-a', 'master');
  const [, peer] = cards([heard(a)], T);
  assert.equal(
    [peer!.name, peer!.role, peer!.notes],
    ['fw-b', 'BACKUP', ['heard by fw-a, 0.0 s ago', 'at 10.99.0.2 on the sync link']],
  );
  a.sync!.peer = { node: null, address: '10.99.0.2', alive: false, heard_ms_ago: null, role: null };
  const [, never] = cards([heard(a)], T);
  assert.equal([never!.name, never!.role, never!.notes], ['10.99.0.2', 'NOT HEARD', ['heard by fw-a, never heard']]);
  const [, blind] = cards([silent('fw-a', T, a)], T);
  assert.is(blind!.role, 'NOT KNOWN');
  assert.is(cards([heard({ ...a, sync: null })], T).length, 1);
});

view('a card says role, reasons, demotion and times by the clock of its node', () => {
  const status = fakeStatus('fw-a', 'master');
  status.role = 'mixed';
  status.carp.vips[1]!.state = 'BACKUP';
  status.carp.vips[1]!.reason = 'a better master was heard';
  status.carp.vips[1]!.heard = { from: '203.0.113.3', advbase: 1, advskew: 100, ms_ago: 312 };
  status.carp.demotion = {
    total: 480,
    reasons: [
      { reason: 'link wan', weight: 240 },
      { reason: 'sync', weight: 240 },
    ],
  };
  status.carp.maintenance = true;
  const [card] = cards([heard(status)], T + 1000);
  assert.equal([card!.tone, card!.role, card!.uptime], ['mixed', 'MASTER of 1 of 2', 'up 14 s']);
  assert.equal([card!.demotion, card!.demoted, card!.notes], ['480: link wan 240, sync 240', true, ['in maintenance']]);
  assert.equal(
    card!.vips.map(({ told, heard: hears }) => [told, hears]),
    [
      ['for 13 s · no advert for 3390 ms', 'hears no advert'],
      ['for 13 s · a better master was heard', 'hears 203.0.113.3 · base 1 skew 100 · 1.3 s ago'],
    ],
  );
  const [calm] = cards([heard(fakeStatus('fw-a', 'master'))], T);
  assert.equal([calm!.notes, calm!.vips[0]!.told], [['no advert for 3390 ms'], 'for 12 s']);
});

view('two masters and no master are alarms, unless a feed is missing', () => {
  const a = fakeStatus('fw-a', 'master');
  const b = fakeStatus('fw-b', 'backup');
  assert.is(alarm([heard(a), heard(b)]), null);
  b.carp.vips[0]!.state = 'MASTER';
  assert.is(alarm([heard(a), heard(b)]), 'Two masters: vhid 1 on wan (fw-a and fw-b)');
  assert.is(alarm([heard(a), silent('fw-b', T, b)]), null);
  const none = [heard(fakeStatus('fw-a', 'backup')), heard(fakeStatus('fw-b', 'backup'))];
  assert.is(alarm(none), 'No master: vhid 1 on wan, vhid 2 on lan');
  assert.is(alarm([none[0]!, silent('fw-b', T)]), null);
  assert.is(alarm([none[0]!]), null);
});

view('the title tells the master and the comparison', () => {
  const say = (watched: Watched[]): string => title(cards(watched, T), inStep(watched, T), watched.length);
  assert.is(say(pair()), '▲ fw-a MASTER · in step');
  assert.is(say(pair({ in_step: false })), '▲ fw-a MASTER · NOT in step');
  assert.is(say(pair({ in_step: null })), '▲ fw-a MASTER · in step: not known');
  assert.is(say([heard(fakeStatus('fw-b', 'backup'))]), '▽ fw-b BACKUP · in step');
  assert.is(say([silent('fw-a', T - 9000), silent('fw-b', T - 9000)]), '✕ fw-a NOT HEARD · in step: not known');
});

view('numbers and times in words', () => {
  assert.equal([0, 340, 9940, 9960, 99_400, 99_600].map(span), [
    '0.0 s',
    '0.3 s',
    '9.9 s',
    '10 s',
    '99 s',
    '1 min 39 s',
  ]);
  assert.equal([3_599_000, 3_600_000, 90_061_000].map(span), ['59 min 59 s', '1 h 0 min', '1 d 1 h']);
  assert.is(span(-5), '0.0 s');
  assert.equal([0, 7.4, 12.34, 123.4, 1000, 45_600, 1.2e6].map(rate), [
    '0',
    '7.4',
    '12.3',
    '123',
    '1 k',
    '45.6 k',
    '1.2 M',
  ]);
  assert.equal([100, 10].map(rate), ['100', '10']);
  assert.equal([rate(null), count(null), count(undefined), count(1_234_567)], ['–', '–', '–', '1,234,567']);
  const noon = new Date(2026, 0, 2, 12, 0, 0);
  assert.is(clockTime(new Date(2026, 0, 2, 9, 5, 3).toISOString(), noon), '09:05:03');
  assert.is(clockTime(new Date(2026, 0, 1, 9, 5, 3).toISOString(), noon), '2026-01-01 09:05:03');
  assert.is(clockTime('never', noon), '–');
});

view('an event of any kind in words', () => {
  const base = { seq: 1, time: '', kind: 'k' };
  assert.is(
    eventText({ ...base, vhid: 1, interface: 'wan', from: 'BACKUP', to: 'MASTER', reason: 'r' }),
    'vhid 1 on wan BACKUP → MASTER',
  );
  assert.is(
    eventText({ ...base, in_step: true, states: 12, note: null, more: { a: [1] } }),
    'in step true states 12 more {"a":[1]}',
  );
  assert.is(eventText(base), '');
});

view('a rate starts anew when the counter does', () => {
  const next = makeRate();
  assert.equal(
    [next(100, 1000), next(150, 2000), next(150, 3000), next(5, 4000), next(9, 4500)],
    [null, 50, 0, null, 8],
  );
  assert.equal([next(null, 5000), next(20, 6000), next(30, 6000)], [null, null, null]);
});

view('the shared configuration: the same, not the same, not known, changed by hand', () => {
  const told = (replicate: Partial<ReplicateStatus> | null): string[] => {
    const status = fakeStatus('fw-a', 'master');
    status.carp.vips = [];
    if (replicate !== null) status.replicate = { same: true, reason: null, drift: [], ...replicate } as ReplicateStatus;
    return cards([heard(status)], T)[0]!.notes;
  };
  assert.equal(told(null), []);
  assert.equal(told({}), ['shared configuration: the same']);
  assert.equal(told({ drift: ['rules: +3 accept'] }), ['changed by hand: rules: +3 accept']);
  assert.equal(told({ same: false, reason: 'fw-b refuses: no' }), [
    'shared configuration: NOT the same, fw-b refuses: no',
  ]);
  assert.equal(told({ same: null, reason: 'the peer channel is down' }), [
    'shared configuration: not known, the peer channel is down',
  ]);
});

view.run();
