/** One node: demotion, its reasons and what is advertised; links; send errors. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { adverts, Box, reasonOf, roles, SECOND, vip } from './box.ts';

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
    for (const a of box.feed(event)) {
      if (a.type === 'event' && a.event.kind === 'carp.demotion') told.push(`${a.event.reason} ${a.event.weight}`);
    }
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
