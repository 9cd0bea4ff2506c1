/** The second path: what the peer says over the sync link; and a second master on the segment. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { peerReport } from '../../../src/carp/report.ts';
import type { GroupConfig } from '../../../src/carp/types.ts';
import type { PeerDead } from '../../../src/contract/causes.ts';
import { adverts, Box, kinds, reasonOf, roles, SECOND, vip } from './box.ts';

const DEAD: PeerDead = { why: 'peer_dead', first: { why: 'carrier_lost' }, paths: ['wan'], asked_ms: 75 };
const one = () => [vip('wan', 100)];
const peerMaster = { 'wan/1': 'MASTER' as const };

const second = suite('CARP sync link');

second('adverts lost but the peer is MASTER: stays BACKUP, says it once, and when they are back', () => {
  const box = Box.listening({ vips: one() });
  box.run(30 * SECOND, () => box.peer({}, peerMaster));
  assert.is(box.of('wan/1'), 'BACKUP');
  const actions = box.take();
  assert.equal(kinds(actions), ['carp.multicast_lost']);
  assert.match(reasonOf(actions, 'carp.multicast_lost'), /^no advert for 3390 ms on wan, but the peer says/);
  assert.equal(kinds(box.advert('wan/1', 1, 0)), ['carp.multicast_back']);
});

second('control: without reports, and with reports that stopped, it takes over', () => {
  const silent = Box.listening({ vips: one() });
  silent.run(4 * SECOND);
  assert.is(silent.of('wan/1'), 'MASTER');
  const stopped = Box.listening({ vips: one() });
  stopped.run(30 * SECOND, () => stopped.peer({}, peerMaster));
  stopped.run(8 * SECOND);
  assert.is(stopped.of('wan/1'), 'MASTER');
  const gone = Box.listening({ vips: one() });
  gone.run(2 * SECOND, () => gone.peer({}, peerMaster));
  gone.feed({ type: 'peer', report: null });
  gone.run(2 * SECOND);
  assert.is(gone.of('wan/1'), 'MASTER');
});

second('the peer gives up: taken over at once, with its reason', () => {
  const cases: [Parameters<Box['peer']>, string][] = [
    [[{ linkDown: ['wan'] }, { 'wan/1': 'INIT' }], 'peer says its link is down on wan'],
    [[{}, { 'wan/1': 'INIT' }], 'peer says it gave up this vhid'],
    [[{ goingDown: true, demotion: 240 }, peerMaster], 'peer says it is going down'],
  ];
  for (const [report, reason] of cases) {
    const box = Box.listening({ vips: one(), preempt: false });
    box.run(5 * SECOND, () => [box.advert('wan/1', 1, 0), box.peer({}, peerMaster)]);
    box.take();
    assert.equal(roles(box.peer(...report)), [`wan/1 BACKUP>MASTER: ${reason}`]);
  }
});

second('the master slept and is backup again, but not dead: taken over at once, or nobody would lead for 3 s', () => {
  const seen = (change: Partial<GroupConfig>, from = '10.0.0.2'): Box => {
    const box = Box.listening({ vips: one(), ...change });
    box.run(5 * SECOND, () => [box.advert('wan/1', 1, 0, 0, from), box.peer({}, peerMaster)]);
    box.take();
    return box;
  };
  const slept = { 'wan/1': 'BACKUP' as const };
  assert.equal(roles(seen({}).peer({}, slept)), ['wan/1 BACKUP>MASTER: peer says it is no longer master']);
  assert.equal(roles(seen({}, '10.0.0.3').peer({}, slept)), [], 'a third node may lead');
  const demoted = seen({});
  demoted.feed({ type: 'demote', reason: 'sync', weight: 200 });
  assert.equal(roles(demoted.peer({}, slept)), [], 'what is not in step waits');
  const holding = Box.listening({ vips: one(), startHoldUs: 20 * SECOND });
  holding.run(2 * SECOND, () => holding.peer({}, peerMaster));
  assert.equal(roles(holding.peer({}, slept)), [], 'nor does a start hold end early');
});

second('a backup that is demoted itself leaves a going-down peer the time of an orderly hand-over', () => {
  const box = Box.listening({ vips: one() });
  box.feed({ type: 'demote', reason: 'sync', weight: 240 });
  box.run(5 * SECOND, () => [box.advert('wan/1', 1, 0), box.peer({}, peerMaster)]);
  box.peer({ goingDown: true, demotion: 240 }, peerMaster);
  assert.is(box.of('wan/1'), 'BACKUP');
  box.peer({ goingDown: true, demotion: 240 }, { 'wan/1': 'INIT' });
  assert.is(box.of('wan/1'), 'MASTER');
});

second('a peer that was not the master gives nothing up: a third node may lead', () => {
  const box = Box.listening({ vips: one() });
  box.run(5 * SECOND, () => [box.advert('wan/1', 1, 0, 0, '10.0.0.3'), box.peer({}, { 'wan/1': 'BACKUP' })]);
  box.peer({ linkDown: ['wan'] }, { 'wan/1': 'INIT' });
  assert.is(box.of('wan/1'), 'BACKUP');
  box.feed({ type: 'peerDead', cause: DEAD });
  assert.is(box.of('wan/1'), 'BACKUP');
});

second('a dead peer: all that it held is taken over in one step', () => {
  const box = Box.listening({ vips: [vip('wan', 100), vip('lan', 100)] });
  const both = { 'wan/1': 'MASTER', 'lan/1': 'MASTER' } as const;
  box.run(5 * SECOND, () => [box.advert('wan/1', 1, 0), box.advert('lan/1', 1, 0), box.peer({}, both)]);
  box.take();
  const actions = box.feed({ type: 'peerDead', cause: DEAD });
  assert.is(roles(actions).length, 2);
  assert.is(box.why('lan/1'), 'the sync link has lost its carrier, and no answer from the peer on wan for 75 ms');
});

second('early take-over respects the start hold', () => {
  const box = Box.listening({ vips: one(), startHoldUs: 20 * SECOND });
  box.run(2 * SECOND, () => box.peer({}, peerMaster));
  box.feed({ type: 'peerDead', cause: DEAD });
  box.run(17 * SECOND);
  assert.is(box.of('wan/1'), 'BACKUP');
  box.run(1.2 * SECOND);
  assert.is(box.of('wan/1'), 'MASTER');
});

second('both MASTER over the sync link and no advert gets through: the worse one lets go, the better one tells', () => {
  const worse = Box.master({ vips: [vip('wan', 200, { ownAddress: '10.0.0.1' })] });
  worse.run(5 * SECOND, () => worse.peer({}, peerMaster));
  assert.is(worse.of('wan/1'), 'BACKUP');
  assert.is(worse.why('wan/1'), 'the peer is the better master, says the sync link');
  const better = Box.master({ vips: [vip('wan', 0)] });
  better.run(30 * SECOND, () => better.peer({}, peerMaster));
  assert.is(better.of('wan/1'), 'MASTER');
  assert.equal(
    kinds(better.take()).filter((kind) => kind !== 'carp.announced'),
    ['carp.multicast_lost'],
  );
});

second('a report in passing, while the peer takes over, moves nothing', () => {
  const box = Box.master({ vips: one() });
  box.run(2 * SECOND, () => box.peer({}, peerMaster));
  assert.is(box.of('wan/1'), 'MASTER');
});

second('equal standing: the lower address stays; without an address nobody moves', () => {
  const low = Box.master({ vips: [vip('wan', 100, { ownAddress: '10.0.0.1' })] });
  low.run(9 * SECOND, () => low.peer({}, peerMaster));
  assert.is(low.of('wan/1'), 'MASTER');
  const high = Box.master({ vips: [vip('wan', 100, { ownAddress: '10.0.0.9' })] });
  high.run(9 * SECOND, () => high.peer({}, peerMaster));
  assert.is(high.of('wan/1'), 'BACKUP');
});

second('the own report says what the peer needs', () => {
  const box = Box.master();
  box.link('lan', false);
  assert.equal(peerReport(box.state), {
    vhids: {
      'wan/1': { state: 'MASTER', advbase: 1, advskew: 240, address: '10.0.0.1' },
      'lan/1': { state: 'INIT', advbase: 1, advskew: 240, address: '10.0.0.1' },
    },
    demotion: 240,
    goingDown: false,
    linkDown: ['lan'],
    inStep: null,
  });
});

second.run();

const dual = suite('CARP second master');

dual('a worse master that goes on is told once, with both views; its end too, and announced again', () => {
  const box = Box.master({ vips: [vip('wan', 0)] });
  box.run(6 * SECOND);
  box.take();
  const first = box.advert('wan/1', 1, 100);
  assert.is(first.filter((a) => a.type === 'announce').length, 1);
  box.run(SECOND);
  assert.equal(kinds(box.advert('wan/1', 1, 100)), []);
  box.run(0.5 * SECOND);
  const told = box.advert('wan/1', 1, 100);
  const [event] = told.flatMap((a) => (a.type === 'event' && a.event.kind === 'carp.dual_master' ? [a.event] : []));
  assert.equal(event && [event.own, event.heard, event.for_ms], [
    { advbase: 1, advskew: 0 },
    { advbase: 1, advskew: 100, demote: 0 },
    1500,
  ]);
  box.run(5 * SECOND, () => box.advert('wan/1', 1, 100));
  assert.not(kinds(box.take().slice(1)).slice(1).includes('carp.dual_master'));
  box.run(3 * SECOND);
  const after = box.take();
  assert.equal(kinds(after), ['carp.dual_master_healed']);
  assert.is(after.filter((a) => a.type === 'announce').length, 1);
});

dual('a healed split without delay is announced, but no alarm', () => {
  const box = Box.master({ vips: [vip('wan', 0)] });
  box.run(6 * SECOND);
  box.take();
  box.advert('wan/1', 1, 100);
  box.run(5 * SECOND);
  const after = box.take();
  assert.equal(kinds(after), []);
  assert.is(after.filter((a) => a.type === 'announce').length, 2);
});

dual('equal masters: the lower address stays, the higher goes; one that never hears us is not fought for ever', () => {
  const high = Box.master({ vips: [vip('wan', 50, { ownAddress: '10.0.0.200' })] });
  assert.is(roles(high.advert('wan/1', 1, 50, 0, '10.0.0.9')).length, 1);
  const low = Box.master({ vips: [vip('wan', 50, { ownAddress: '10.0.0.9' })] });
  for (let i = 0; i < 3; i++) {
    low.advert('wan/1', 1, 50, 0, '10.0.0.200');
    assert.is(low.of('wan/1'), 'MASTER');
    low.run(SECOND);
  }
  low.advert('wan/1', 1, 50, 0, '10.0.0.200');
  assert.is(low.of('wan/1'), 'BACKUP');
  low.run(20 * SECOND, () => low.advert('wan/1', 1, 50, 0, '10.0.0.200'));
  assert.is(low.of('wan/1'), 'BACKUP');
});

dual.run();

const handover = suite('CARP planned hand-over');

handover('maintenance: demoted and told at once; BACKUP only when the peer is heard as master', () => {
  const box = Box.master({ vips: [vip('wan')] });
  assert.equal(adverts(box.feed({ type: 'maintenance', on: true })), ['wan/1 1/240 240']);
  box.run(0.1 * SECOND);
  assert.is(box.of('wan/1'), 'MASTER');
  const actions = box.advert('wan/1', 1, 100);
  assert.is(box.of('wan/1'), 'BACKUP');
  assert.equal(kinds(actions), ['carp.maintenance']);
  box.run(10 * SECOND, () => box.advert('wan/1', 1, 100));
  assert.is(box.of('wan/1'), 'BACKUP');
  box.feed({ type: 'maintenance', on: false });
  box.advert('wan/1', 1, 100);
  assert.is(box.of('wan/1'), 'MASTER');
});

handover('maintenance and nobody there: it stays MASTER and says why', () => {
  const box = Box.master({ vips: [vip('wan')] });
  box.feed({ type: 'maintenance', on: true });
  box.run(6.8 * SECOND);
  assert.equal(
    kinds(box.take()).filter((kind) => kind !== 'carp.announced'),
    ['carp.demotion'],
  );
  box.run(0.1 * SECOND);
  const actions = box.take();
  assert.is(box.of('wan/1'), 'MASTER');
  assert.is(reasonOf(actions, 'carp.maintenance'), 'nobody took over vhid 1 on wan: no other node was heard');
});

handover('the reasons why nobody takes over', () => {
  const cases: [Parameters<Box['peer']>, RegExp][] = [
    [[{ linkDown: ['wan'] }, { 'wan/1': 'INIT' }], /the peer's link is down/],
    [[{}, {}], /the peer does not have this vhid/],
    [[{ demotion: 240, inStep: false }, { 'wan/1': 'BACKUP' }], /the peer is demoted by 240 itself/],
    [[{ inStep: false }, { 'wan/1': 'BACKUP' }], /the peer is not in step/],
    [[{}, { 'wan/1': 'BACKUP' }], /do adverts reach it/],
  ];
  for (const [report, reason] of cases) {
    const box = Box.master({ vips: [vip('wan')] });
    box.feed({ type: 'maintenance', on: true });
    box.run(7 * SECOND, () => box.peer(...report));
    assert.match(reasonOf(box.take(), 'carp.maintenance'), reason);
  }
});

handover('stop: demoted, and stopped as soon as the peer is master', () => {
  const box = Box.master();
  box.feed({ type: 'stop' });
  box.run(0.1 * SECOND);
  assert.is(box.states(), 'MASTER MASTER');
  box.advert('wan/1', 1, 100);
  assert.is(box.states(), 'BACKUP MASTER');
  const actions = box.advert('lan/1', 1, 100);
  assert.is(box.states(), 'INIT INIT');
  assert.equal(actions.at(-1), { type: 'stopped', clean: true, cause: { why: 'master_of_nothing' } });
  assert.not(actions.some((a) => a.type === 'sendAdvert'));
  assert.equal(box.feed({ type: 'tick' }), []);
});

handover('stop and nobody there: a bow-out, and stopped anyway', () => {
  const box = Box.master({ vips: [vip('wan')] });
  box.feed({ type: 'stop' });
  box.run(6.9 * SECOND);
  const actions = box.take();
  assert.is(adverts(actions).at(-1), 'wan/1 255/255 240 bow-out');
  const last = actions.at(-1);
  assert.ok(last?.type === 'stopped' && !last.clean && last.cause.why === 'nobody_took');
});

handover('stop as BACKUP: at once, without a packet; and nothing becomes MASTER while stopping', () => {
  const box = Box.listening({ vips: [vip('wan')] });
  box.advert('wan/1', 1, 0);
  const actions = box.feed({ type: 'stop' });
  assert.is(actions.at(-1)?.type, 'stopped');
  assert.equal(adverts(actions), []);
  const two = Box.master();
  two.feed({ type: 'stop' });
  two.advert('wan/1', 1, 100);
  two.run(5 * SECOND);
  assert.is(two.states(), 'BACKUP MASTER');
});

handover.run();
