/** One node that slept, and one that starts: who may lead when. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { nextDeadline } from '../../../src/carp/machine.ts';
import { GATE, LOOK_US, PAIRED } from '../../../src/contract/carp-timers.ts';
import { TIMING } from '../../../src/sync/session/state.ts';
import { adverts, Box, kinds, roles, SECOND, vip } from './box.ts';

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
    assert.equal(asleep(paired(1, 50_000), 149_000), []);
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
  assert.equal(asleep(paired(0, 20_000), 149_000), []);
  assert.is(asleep(paired(0, 20_000), 151_000).length, 1);
  assert.is(asleep(paired(0, 20_000, false), 100_000).length, 1, 'master-down time 94 ms');
});

sleep('the limits are in an order that leaves no moment with two holders', () => {
  // The peer may have received the last sign of life a heartbeat before this node stood still.
  const peer = Math.min(PAIRED.deadUs, PAIRED.freshUs) - TIMING.heartbeat * 1000;
  assert.ok(GATE.timeoutUs + 10_000 < GATE.closedUs, 'the coarsest tick of a kernel is 10 ms');
  assert.ok(GATE.closedUs < PAIRED.napUs, 'who wakes in time finds its gate closed at most, and opens it again');
  assert.ok(PAIRED.napUs <= peer, 'who wakes later is backup before the peer opens its gate');
  assert.ok(2 * LOOK_US + 20_000 < GATE.timeoutUs, 'one beat may be lost');
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
  assert.match(box.why('wan/1'), /no advert|bowed out/);
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
