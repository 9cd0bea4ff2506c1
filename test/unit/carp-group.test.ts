/** One node: roles and their reasons, demotion, links, send errors, sleep, start. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { nextDeadline } from '../../src/carp/group.ts';
import { vhidStatus } from '../../src/carp/report.ts';
import { guardLimitUs, PAIRED } from '../../src/carp/timers.ts';
import { adverts, Box, kinds, reasonOf, roles, SECOND, vip } from './carp-box.ts';

const life = suite('CARP life of a vhid');

life('nothing before start; INIT until the link is known; then it listens', () => {
  const box = new Box({ vips: [vip('wan')] });
  assert.is(nextDeadline(box.state), null);
  box.link('wan', true);
  assert.is(box.of('wan/1'), 'INIT');
  assert.equal(roles(box.feed({ type: 'start' })), ['wan/1 INIT>BACKUP: listening']);
  assert.is(nextDeadline(box.state), box.now + 3 * SECOND);
});

life('alone: MASTER after its master-down time, in the order addresses, advert, announce', () => {
  const box = Box.listening({ vips: [vip('wan', 100)] });
  box.run(3_390_624);
  assert.is(box.of('wan/1'), 'BACKUP');
  box.run(1);
  const done = box.take().map((a) => a.type);
  assert.equal(done, ['role', 'sendAdvert', 'announce']);
  assert.is(box.state.vhids['wan/1']?.reason, 'no advert for 3390 ms');
});

life('as MASTER: an advert every interval, announcements again after 0.1, 0.25, 1 and 5 s', () => {
  const box = Box.listening({ vips: [vip('wan', 0)] });
  box.run(3 * SECOND);
  box.take();
  const start = box.now;
  const announced: number[] = [];
  let told = 0;
  while (box.now < start + 8 * SECOND) {
    box.run(SECOND / 20);
    told += kinds(box.actions).filter((kind) => kind === 'carp.announced').length;
    if (box.actions.some((a) => a.type === 'announce')) announced.push((box.now - start) / SECOND);
    assert.ok(adverts(box.take()).length <= 1);
  }
  assert.equal(announced, [0.1, 0.25, 1, 5]);
  assert.is(told, 2, 'the hook is run again after 1 s and after 5 s');
});

life('adverts keep it BACKUP; the reason of a take-over tells the real silence', () => {
  const box = Box.listening({ vips: [vip('wan', 100)] });
  box.run(20 * SECOND, () => box.advert('wan/1', 1, 0));
  assert.is(box.of('wan/1'), 'BACKUP');
  box.run(4 * SECOND);
  assert.is(box.of('wan/1'), 'MASTER');
  assert.match(box.state.vhids['wan/1']?.reason ?? '', /^no advert for 33\d\d ms$/);
});

life('steps down for a better master and says why', () => {
  const box = Box.master({ vips: [vip('wan', 100)] });
  assert.equal(roles(box.advert('wan/1', 1, 0)), ['wan/1 MASTER>BACKUP: better advert from 10.0.0.2 (1/0 < 1/100)']);
  const other = Box.master({ vips: [vip('wan', 0)] });
  other.feed({ type: 'demote', reason: 'script', weight: 240 });
  assert.equal(roles(other.advert('wan/1', 1, 100)), [
    'wan/1 MASTER>BACKUP: better advert from 10.0.0.2 (demotion 0 < 240)',
  ]);
});

life('a bow-out hands over at once, also at advbase 0 and without preempt', () => {
  for (const advbase of [0, 1]) {
    const box = Box.listening({ preempt: false, vips: [vip('wan', 100, { advbase })] });
    box.run(6 * SECOND, () => box.advert('wan/1', advbase, 50));
    assert.equal(roles(box.advert('wan/1', 255, 255)), ['wan/1 BACKUP>MASTER: peer bowed out (10.0.0.2)']);
  }
});

life('a timer that fires late first lets waiting packets be read, once', () => {
  const box = Box.listening({ vips: [vip('wan')] });
  box.now += 3_200_000;
  box.feed({ type: 'tick' });
  assert.is(box.of('wan/1'), 'BACKUP');
  const heardInTime = structuredClone(box.state);
  box.now += 10_000;
  box.feed({ type: 'tick' });
  assert.is(box.of('wan/1'), 'MASTER');
  box.state = heardInTime;
  box.advert('wan/1', 1, 0);
  assert.is(box.of('wan/1'), 'BACKUP');
});

life('state set by hand', () => {
  const box = Box.listening({ vips: [vip('wan')] });
  box.feed({ type: 'force', key: 'wan/1', state: 'MASTER' });
  assert.is(box.of('wan/1'), 'MASTER');
  box.feed({ type: 'force', key: 'wan/1', state: 'BACKUP' });
  assert.is(box.of('wan/1'), 'BACKUP');
  box.feed({ type: 'force', key: 'nowhere/1', state: 'MASTER' });
});

life('allow off: a goodbye, INIT, and back', () => {
  const box = Box.master({ vips: [vip('wan')] });
  const off = box.feed({ type: 'allow', on: false });
  assert.equal(adverts(off), ['wan/1 255/255 0 bow-out']);
  assert.is(box.of('wan/1'), 'INIT');
  box.advert('wan/1', 1, 0);
  box.feed({ type: 'allow', on: true });
  assert.is(box.of('wan/1'), 'BACKUP');
});

life('events about unknown vhids and interfaces do nothing', () => {
  const box = Box.listening();
  const before = JSON.stringify(box.state);
  for (const type of ['advert', 'sendResult', 'vip'] as const) {
    if (type === 'advert') box.advert('x/9', 1, 0);
    else if (type === 'sendResult') box.feed({ type, key: 'x/9', ok: false });
    else box.feed({ type, key: 'x/9', ok: false, reason: 'gone' });
  }
  assert.is(JSON.stringify(box.state), before);
});

life('a clock that goes backwards stands still', () => {
  const box = Box.master({ vips: [vip('wan')] });
  box.now -= 10 * SECOND;
  box.feed({ type: 'tick' });
  assert.is(box.of('wan/1'), 'MASTER');
  assert.ok((nextDeadline(box.state) ?? 0) > box.now);
});

life('status: who was heard, how long ago', () => {
  const box = Box.listening({ vips: [vip('wan', 100)] });
  box.advert('wan/1', 1, 7, 3);
  const [status] = vhidStatus(box.state, box.now + 312_000);
  assert.equal(status?.heard, { from: '10.0.0.2', advbase: 1, advskew: 7, demote: 3, usAgo: 312_000 });
  assert.equal([status?.takeoverUs, status?.effectiveAdvskew], [3_390_625, 100]);
});

life.run();

const families = suite('CARP with both families');
const dual = () => [vip('wan', 100, { v6: true, ownAddress6: 'fe80::1' })];

families('both families of a MASTER advertise together', () => {
  const box = Box.listening({ vips: dual() });
  const sent = () => box.take().flatMap((a) => (a.type === 'sendAdvert' ? [a.families] : []));
  box.run(3.5 * SECOND);
  assert.equal(sent(), [[4, 6]]);
});

families('one family eaten: still BACKUP, told once, told again when it broke again', () => {
  const box = Box.listening({ vips: dual() });
  box.run(20 * SECOND, () => box.advert('wan/1', 1, 0));
  assert.is(box.of('wan/1'), 'BACKUP');
  assert.equal(kinds(box.take()), ['carp.family_silent']);
  box.advert('wan/1', 1, 0, 0, 'fe80::2', 6);
  box.run(20 * SECOND, () => box.advert('wan/1', 1, 0));
  assert.equal(kinds(box.take()), ['carp.family_silent']);
  box.run(4 * SECOND);
  assert.is(box.of('wan/1'), 'MASTER');
});

families('a tie is decided by IPv4 while it is heard, even if IPv6 sees it the other way round', () => {
  const box = Box.master({ vips: dual() });
  box.advert('wan/1', 1, 100, 0, '10.0.0.2', 4);
  box.advert('wan/1', 1, 100, 0, 'fe80::', 6);
  assert.is(box.of('wan/1'), 'MASTER');
  const only6 = Box.master({ vips: [vip('wan', 100, { v4: false, v6: true, ownAddress: 'fe80::5' })] });
  only6.advert('wan/1', 1, 100, 0, 'fe80::1', 6);
  assert.is(only6.of('wan/1'), 'BACKUP');
});

families.run();

const standing = suite('CARP demotion');

standing('a change is advertised at once by all masters, in the skew and in byte 4', () => {
  const box = Box.master();
  const actions = box.feed({ type: 'demote', reason: 'script', weight: 32 });
  assert.equal(adverts(actions), ['wan/1 1/32 32', 'lan/1 1/32 32']);
  assert.equal(adverts(box.feed({ type: 'demote', reason: 'sync', weight: 240 })), [
    'wan/1 1/240 255',
    'lan/1 1/240 255',
  ]);
  box.feed({ type: 'undemote', reason: 'sync' });
  assert.equal(adverts(box.feed({ type: 'undemote', reason: 'script' })), ['wan/1 1/0 0', 'lan/1 1/0 0']);
});

standing('the same again changes nothing', () => {
  const box = Box.master();
  box.feed({ type: 'demote', reason: 'script', weight: 32 });
  assert.equal(box.feed({ type: 'demote', reason: 'script', weight: 32 }), []);
});

standing('negative demotion changes nothing on the wire', () => {
  const box = Box.master({ vips: [vip('wan', 100)] });
  box.feed({ type: 'demote', reason: 'manual', weight: -1 });
  box.take();
  box.run(1.5 * SECOND);
  assert.equal(adverts(box.take()), ['wan/1 1/100 0']);
  box.advert('wan/1', 1, 99);
  assert.is(box.of('wan/1'), 'BACKUP');
});

standing('each reason has its name and its weight; all of them together are advertised as 240', () => {
  const box = Box.master({ linkWeights: { dmz: 50 } });
  const told: string[] = [];
  const feed = (event: Parameters<Box['feed']>[0]): void => {
    const found = box.feed(event).filter((a) => a.type === 'event' && a.event.kind === 'carp.demotion');
    for (const a of found) if (a.type === 'event') told.push(`${a.event.reason} ${a.event.weight}`);
  };
  for (let i = 0; i < 3; i++) feed({ type: 'sendResult', key: 'wan/1', ok: false });
  feed({ type: 'demote', reason: 'sync', weight: 200 });
  feed({ type: 'demote', reason: 'script:uplink', weight: 20 });
  feed({ type: 'demote', reason: 'file:away', weight: 30 });
  feed({ type: 'demote', reason: 'by hand', weight: 40 });
  feed({ type: 'link', interface: 'dmz', up: false, present: true });
  feed({ type: 'vip', key: 'lan/1', ok: false, reason: 'address removed' });
  feed({ type: 'maintenance', on: true });
  box.take();
  feed({ type: 'stop' });
  assert.equal(told, [
    'senderr:wan/1 240',
    'sync 200',
    'script:uplink 20',
    'file:away 30',
    'by hand 40',
    'link:dmz 50',
    'vip:lan/1 240',
    'maintenance 240',
    'shutdown 240',
  ]);
  assert.equal(adverts(box.take()), ['wan/1 1/240 255']);
});

standing('refused: unknown and own reasons, no whole number, too many', () => {
  const box = Box.master();
  const refused = (event: Parameters<Box['feed']>[0]) => reasonOf(box.feed(event), 'carp.refused');
  assert.match(refused({ type: 'undemote', reason: 'nothing' }), /no demotion with the reason nothing/);
  assert.match(refused({ type: 'demote', reason: 'link:wan', weight: 1 }), /belongs to the node itself/);
  assert.match(refused({ type: 'demote', reason: 'x', weight: 0.5 }), /expected a whole number/);
  assert.match(refused({ type: 'demote', reason: '', weight: 1 }), /1 to 128 characters/);
  for (let i = 0; i < 64; i++) box.feed({ type: 'demote', reason: `r${i}`, weight: 1 });
  assert.match(refused({ type: 'demote', reason: 'one more', weight: 1 }), /take one away first/);
  assert.is(box.states(), 'MASTER MASTER');
});

standing('send errors: three in a row demote, three successes take it back', () => {
  const box = Box.master();
  const send = (ok: boolean) => box.feed({ type: 'sendResult', key: 'wan/1', ok });
  send(false);
  send(false);
  send(true);
  send(false);
  send(false);
  assert.equal(box.state.demotions, {});
  assert.equal(adverts(send(false)), ['wan/1 1/240 240', 'lan/1 1/240 240']);
  send(true);
  send(true);
  assert.equal(box.state.demotions, { 'senderr:wan/1': 240 });
  send(true);
  assert.equal(box.state.demotions, {});
});

standing('send errors of a vhid that lost its role are forgotten, later each time', () => {
  const box = Box.master({ vips: [vip('wan')] });
  for (const wait of [10, 20]) {
    for (let i = 0; i < 3; i++) box.feed({ type: 'sendResult', key: 'wan/1', ok: false });
    const other = () => box.advert('wan/1', 1, 0);
    other();
    assert.is(box.of('wan/1'), 'BACKUP');
    box.run((wait - 1) * SECOND, other);
    assert.equal(box.state.demotions, { 'senderr:wan/1': 240 });
    box.run(2 * SECOND, other);
    assert.equal(box.state.demotions, {});
    box.run(10 * SECOND);
    assert.is(box.of('wan/1'), 'MASTER');
  }
});

standing.run();

const links = suite('CARP links');

links('a lost link: its vhid in INIT, the demotion told on the others at once', () => {
  const box = Box.master();
  const actions = box.link('wan', false);
  assert.equal(roles(actions), ['wan/1 MASTER>INIT: link down on wan']);
  assert.equal(adverts(actions), ['lan/1 1/240 240']);
  assert.equal(box.state.demotions, { 'link:wan': 240 });
});

links('it comes back after a second, listens, and only then the demotion is over', () => {
  const box = Box.master();
  box.link('wan', false);
  box.run(5 * SECOND);
  box.link('wan', true);
  box.run(0.99 * SECOND);
  assert.equal([box.of('wan/1'), box.state.demotions], ['INIT', { 'link:wan': 240 }]);
  box.run(0.02 * SECOND);
  assert.equal([box.of('wan/1'), box.state.demotions], ['BACKUP', {}]);
});

links('the wait doubles with every flap up to a minute and is forgotten in quiet', () => {
  const box = Box.master();
  const waited: number[] = [];
  for (let i = 0; i < 8; i++) {
    box.link('wan', false);
    box.run(SECOND);
    box.link('wan', true);
    waited.push(((box.state.links.wan?.holdUntil ?? 0) - box.now) / SECOND);
    box.run(0.5 * SECOND);
  }
  assert.equal(waited, [1, 2, 4, 8, 16, 32, 60, 60]);
  box.run(600 * SECOND);
  box.link('wan', false);
  box.run(SECOND);
  box.link('wan', true);
  assert.is(((box.state.links.wan?.holdUntil ?? 0) - box.now) / SECOND, 1);
});

links('a device that is gone is named so', () => {
  const box = Box.master();
  assert.equal(roles(box.link('wan', true, false)), ['wan/1 MASTER>INIT: interface gone: wan']);
});

links('weights: configured, zero, and interfaces without vhids', () => {
  const box = Box.master({ linkWeights: { lan: 0, dmz: 50 } });
  box.link('lan', false);
  box.link('dmz', false);
  box.link('sync', false);
  assert.equal(box.state.demotions, { 'link:dmz': 50 });
});

links('a lost address: a goodbye, INIT, demotion; back when it is mended', () => {
  const box = Box.master();
  const actions = box.feed({ type: 'vip', key: 'wan/1', ok: false, reason: 'address 203.0.113.1 removed by somebody' });
  assert.equal(adverts(actions), ['wan/1 255/255 0 bow-out', 'lan/1 1/240 240']);
  assert.match(roles(actions)[0] ?? '', /MASTER>INIT: address 203.0.113.1 removed/);
  box.feed({ type: 'vip', key: 'wan/1', ok: true, reason: '' });
  assert.equal([box.of('wan/1'), box.state.demotions], ['BACKUP', {}]);
});

links.run();

const sleep = suite('CARP sleep (invariant 7)');

sleep('a MASTER that slept too long is BACKUP before anything is sent, whichever event wakes it', () => {
  const wakers: ((box: Box) => unknown)[] = [
    (box) => box.feed({ type: 'tick' }),
    (box) => box.feed({ type: 'stall', sleptUs: 10 * SECOND }),
    (box) => box.advert('wan/1', 1, 200),
    (box) => box.feed({ type: 'demote', reason: 'script', weight: 10 }),
    (box) => box.feed({ type: 'maintenance', on: true }),
  ];
  for (const wake of wakers) {
    const box = Box.master({ vips: [vip('wan', 100)], preempt: false });
    box.now = box.state.lastUs + 10 * SECOND;
    wake(box);
    const actions = box.take();
    assert.equal(adverts(actions), []);
    assert.equal(roles(actions), ['wan/1 MASTER>BACKUP: slept 10000 ms, longer than master-down time 3390 ms']);
    assert.is(kinds(actions).filter((kind) => kind === 'carp.stall').length, 1);
  }
});

sleep('the stall event alone is enough, and a short one does nothing', () => {
  const box = Box.master({ vips: [vip('wan', 100)] });
  assert.equal(box.feed({ type: 'stall', sleptUs: 3_390_625 }), []);
  assert.is(roles(box.feed({ type: 'stall', sleptUs: 3_390_626 })).length, 1);
});

/** A master whose peer was heard `agoUs` before it fell asleep. */
function paired(advbase: number, agoUs: number, early = true): Box {
  const box = Box.master({ vips: [vip('wan', 8, { advbase })], early });
  const vhids = { 'wan/1': { state: 'BACKUP' as const, advbase, advskew: 10 } };
  box.feed({ type: 'peer', report: { vhids, demotion: 0, goingDown: false, linkDown: [], inStep: true } });
  box.now += agoUs;
  box.feed({ type: 'tick' });
  box.take();
  return box;
}

sleep(
  'early take-over, slow timers: the peer does not wait for the master-down time, so neither does a sleeper',
  () => {
    const asleep = (box: Box, us: number) => {
      box.now += us;
      return roles(box.feed({ type: 'stall', sleptUs: us }));
    };
    assert.equal(asleep(paired(1, 50_000), 269_000), []);
    assert.equal(asleep(paired(1, 50_000), 271_000), ['wan/1 MASTER>BACKUP: slept 271 ms, longer than the peer waits']);
    assert.equal(asleep(paired(1, 50_000, false), 2_000_000), [], 'without it the timers count');
    assert.equal(asleep(paired(1, 500_000), 2_000_000), [], 'and with a peer that was gone before');
  },
);

sleep('early take-over, fast timers: a short stumble that the peer waits out is no reason to step down', () => {
  const asleep = (box: Box, us: number) => {
    box.now += us;
    return roles(box.feed({ type: 'tick' }));
  };
  assert.equal(asleep(paired(0, 20_000), 269_000), []);
  assert.is(asleep(paired(0, 20_000), 271_000).length, 1);
  assert.is(asleep(paired(0, 20_000, false), 100_000).length, 1, 'master-down time 94 ms');
});

sleep('the limits are in an order that leaves no moment with two holders', () => {
  const heartbeat = 100_000;
  const probes = 5 * 15_000;
  const peer = Math.min(PAIRED.silenceUs + probes, PAIRED.freshUs) - heartbeat;
  assert.ok(PAIRED.napUs < PAIRED.guardUs && PAIRED.guardUs < peer);
  assert.is(guardLimitUs(1, 0, true), PAIRED.guardUs);
  assert.is(guardLimitUs(0, 8, true), PAIRED.guardUs);
  assert.is(guardLimitUs(1, 0, false), 3_050_000);
  assert.is(guardLimitUs(0, 8, false), 143_750);
});

sleep('a BACKUP that slept listens anew instead of taking over', () => {
  const box = Box.listening({ vips: [vip('wan')] });
  box.now += 20 * SECOND;
  box.feed({ type: 'tick' });
  assert.is(box.of('wan/1'), 'BACKUP');
  assert.is(nextDeadline(box.state), box.now + 3 * SECOND);
});

sleep('a demoted master with advbase 0 rests longer than its master-down time and stays', () => {
  const box = Box.master({ vips: [vip('wan', 20, { advbase: 0 })] });
  box.feed({ type: 'demote', reason: 'script', weight: 240 });
  box.run(10 * SECOND);
  assert.is(box.of('wan/1'), 'MASTER');
  assert.not(kinds(box.take()).includes('carp.stall'));
});

sleep.run();

const start = suite('CARP start');

start('the hold at start is kept against silence and against a worse master', () => {
  const box = Box.listening({ vips: [vip('wan')], startHoldUs: 30 * SECOND });
  box.run(29 * SECOND);
  assert.is(box.of('wan/1'), 'BACKUP');
  box.run(4 * SECOND);
  assert.is(box.of('wan/1'), 'MASTER');
  const second = Box.listening({ vips: [vip('wan')], startHoldUs: 30 * SECOND });
  second.run(29 * SECOND, () => second.advert('wan/1', 1, 100));
  assert.is(second.of('wan/1'), 'BACKUP');
  second.run(2 * SECOND, () => second.advert('wan/1', 1, 100));
  assert.is(second.of('wan/1'), 'MASTER');
});

start('a bow-out within the hold is not forgotten', () => {
  const box = Box.listening({ vips: [vip('wan')], startHoldUs: 10 * SECOND });
  box.run(SECOND);
  box.advert('wan/1', 255, 255);
  box.run(8 * SECOND);
  assert.is(box.of('wan/1'), 'BACKUP');
  box.run(1.1 * SECOND);
  assert.match(box.state.vhids['wan/1']?.reason ?? '', /no advert|bowed out/);
  assert.is(box.of('wan/1'), 'MASTER');
});

start('all vhids take the lead in one step, when the last of them has listened', () => {
  const box = new Box();
  box.feed({ type: 'start' });
  box.link('wan', true);
  box.run(2 * SECOND, () => box.advert('wan/1', 1, 100));
  box.link('lan', true);
  const both = () => [box.advert('wan/1', 1, 100), box.advert('lan/1', 1, 100)];
  box.run(2.9 * SECOND, both);
  assert.is(box.states(), 'BACKUP BACKUP');
  box.run(0.2 * SECOND, both);
  assert.is(box.states(), 'MASTER MASTER');
  const led = box.take().filter((a) => a.type === 'role' && a.to === 'MASTER');
  assert.is(led.length, 2);
});

start('the others follow the first that takes the lead without waiting for their own advert', () => {
  const box = Box.listening();
  const demoted = () => [box.advert('wan/1', 1, 0), box.advert('lan/1', 1, 0)];
  box.run(5 * SECOND, demoted);
  box.feed({ type: 'config', config: { ...box.state.config, preempt: false } });
  assert.is(box.states(), 'BACKUP BACKUP');
  box.advert('lan/1', 1, 240, 240);
  assert.is(box.states(), 'BACKUP MASTER');
  const second = Box.listening({ vips: [vip('wan'), vip('lan')] });
  second.feed({ type: 'demote', reason: 'sync', weight: 240 });
  second.run(5 * SECOND, () => [second.advert('wan/1', 1, 100), second.advert('lan/1', 1, 100)]);
  second.feed({ type: 'undemote', reason: 'sync' });
  assert.is(second.states(), 'BACKUP BACKUP');
  second.advert('lan/1', 1, 100);
  assert.is(second.states(), 'MASTER MASTER');
});

start.run();
