/** One node: roles and their reasons, both families. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { nextDeadline } from '../../../src/carp/machine.ts';
import { vhidStatus } from '../../../src/carp/report.ts';
import { adverts, Box, kinds, roles, SECOND, vip } from './box.ts';

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
  assert.is(box.why('wan/1'), 'no advert for 3390 ms');
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
  assert.match(box.why('wan/1'), /^no advert for 33\d\d ms$/);
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
