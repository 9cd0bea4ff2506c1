/** A reload is a difference: what stays keeps its role, its timers and its peace. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { nextDeadline } from '../../../src/carp/machine.ts';
import type { GroupConfig, VhidConfig } from '../../../src/carp/types.ts';
import { adverts, Box, roles, SECOND, vip } from './box.ts';

const config = (vips: VhidConfig[], change: Partial<GroupConfig> = {}): GroupConfig => ({
  preempt: true,
  startHoldUs: 0,
  vips,
  ...change,
});

const reload = suite('CARP reload');

reload('the same configuration does nothing at all', () => {
  for (const box of [Box.master(), Box.listening()]) {
    const before = JSON.stringify(box.state);
    assert.equal(box.feed({ type: 'config', config: structuredClone(box.state.config) }), []);
    assert.is(JSON.stringify(box.state), before);
  }
});

reload('a new vhid listens, the others do not notice', () => {
  const box = Box.master({ vips: [vip('wan')] });
  const before = JSON.stringify(box.state.vhids['wan/1']);
  const added = vip('wan', 0, { vhid: 2, key: 'wan/2' });
  const actions = box.feed({ type: 'config', config: config([vip('wan'), added]) });
  assert.equal(roles(actions), ['wan/2 INIT>BACKUP: listening']);
  assert.is(actions.length, 1);
  assert.is(JSON.stringify(box.state.vhids['wan/1']), before);
});

reload('a removed vhid says goodbye, the others do not notice', () => {
  const box = Box.master();
  const before = JSON.stringify(box.state.vhids['lan/1']);
  const actions = box.feed({ type: 'config', config: config([vip('lan')]) });
  assert.equal(adverts(actions), ['wan/1 255/255 0 bow-out']);
  assert.equal(roles(actions), ['wan/1 MASTER>INIT: removed from the configuration']);
  assert.is(JSON.stringify(box.state.vhids['lan/1']), before);
  assert.is(box.of('wan/1'), undefined);
});

reload('changed timers of a MASTER are advertised at once, the role stays', () => {
  const box = Box.master();
  const actions = box.feed({ type: 'config', config: config([vip('wan', 100, { advbase: 5 }), vip('lan')]) });
  assert.equal(adverts(actions), ['wan/1 5/100 0']);
  assert.equal(roles(actions), []);
  box.run(5.4 * SECOND);
  assert.equal(adverts(box.take()).filter((line) => line.startsWith('wan')).length, 2);
  assert.is(box.states(), 'MASTER MASTER');
});

reload('changed timers of a BACKUP: the role stays, the new patience counts from now', () => {
  const box = Box.listening({ vips: [vip('wan', 100, { advbase: 10 })] });
  box.run(20 * SECOND);
  box.feed({ type: 'config', config: config([vip('wan', 0)]) });
  assert.is(box.of('wan/1'), 'BACKUP');
  assert.is(nextDeadline(box.state), box.now + 3 * SECOND);
});

reload('addresses of the other family come and go without a change of role', () => {
  const box = Box.master({ vips: [vip('wan')] });
  const actions = box.feed({ type: 'config', config: config([vip('wan', 0, { v6: true })]) });
  assert.equal(
    actions.map((a) => (a.type === 'sendAdvert' ? a.families : a.type)),
    [[4, 6]],
  );
  box.feed({ type: 'config', config: config([vip('wan')]) });
  assert.is(box.of('wan/1'), 'MASTER');
});

reload('the last address gone: INIT', () => {
  const box = Box.master({ vips: [vip('wan')] });
  box.feed({ type: 'config', config: config([vip('wan', 0, { v4: false })]) });
  assert.equal([box.of('wan/1'), box.why('wan/1')], ['INIT', 'the interface has no own address to advertise from']);
});

reload('reasons of a removed vhid go with it, and the rest is told', () => {
  const box = Box.master();
  for (let i = 0; i < 3; i++) box.feed({ type: 'sendResult', key: 'wan/1', ok: false });
  const actions = box.feed({ type: 'config', config: config([vip('lan')]) });
  assert.equal(box.state.demotions, {});
  assert.is(adverts(actions).at(-1), 'lan/1 1/0 0');
});

reload('changed weights of a link that is down act at once', () => {
  const box = Box.master();
  box.link('wan', false);
  const actions = box.feed({ type: 'config', config: config([vip('wan'), vip('lan')], { linkWeights: { wan: 10 } }) });
  assert.equal(box.state.demotions, { 'link:wan': 10 });
  assert.equal(adverts(actions), ['lan/1 1/10 10']);
});

reload('preempt switched on moves nothing by itself; the next advert does', () => {
  const box = Box.listening({ vips: [vip('wan')], preempt: false });
  box.run(5 * SECOND, () => box.advert('wan/1', 1, 100));
  assert.equal(roles(box.feed({ type: 'config', config: config([vip('wan')]) })), []);
  box.advert('wan/1', 1, 100);
  assert.is(box.of('wan/1'), 'MASTER');
});

reload.run();
