/** The own addresses of the interfaces: what a vhid can advertise, and what the node is worth without. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OwnSources } from '../../../src/carp/own-sources.ts';
import type { GroupConfig } from '../../../src/carp/types.ts';
import type { Clock } from '../../../src/contract/clock.ts';
import { adverts, Box, roles, SECOND, vip } from './box.ts';

const test = suite('CARP: own addresses');

const group = (...vips: GroupConfig['vips']): GroupConfig => ({ preempt: true, startHoldUs: 0, vips });
const lan4 = vip('lan');
const lan0 = vip('lan', 0, { v4: false, ownAddress: '0.0.0.0', lacking: [4] });

test('the last own address lost: out of work, demoted on all others, and back with it', () => {
  const box = Box.master(group(vip('wan'), lan4));
  const lost = box.feed({ type: 'config', config: group(vip('wan'), lan0) });
  assert.is(box.of('lan/1'), 'INIT');
  assert.equal(roles(lost), ['lan/1 MASTER>INIT: the interface has no own address to advertise from']);
  assert.ok(adverts(lost).includes('wan/1 1/240 240'), 'the peer learns that it is the better one now');
  assert.equal(box.state.demotions, { 'no_ipv4:lan': 240 });
  box.feed({ type: 'config', config: group(vip('wan'), lan4) });
  assert.equal(box.state.demotions, {});
  box.run(5 * SECOND);
  assert.is(box.of('lan/1'), 'MASTER');
});

test('an IPv6 vhid whose address comes after the start leaves INIT by itself', () => {
  const late = (can: boolean) => vip('lan', 0, { v4: false, v6: can, ...(can ? {} : { lacking: [6] }) });
  const box = Box.listening(group(late(false)));
  box.run(5 * SECOND);
  assert.equal([box.of('lan/1'), box.state.demotions], ['INIT', { 'no_ipv6:lan': 240 }]);
  box.feed({ type: 'config', config: group(late(true)) });
  assert.equal([box.of('lan/1'), box.state.demotions], ['BACKUP', {}]);
});

test('one of two families lost: the other goes on, and the node stands back', () => {
  const both = vip('lan', 0, { v6: true, ownAddress6: 'fe80::2' });
  const box = Box.master(group(both));
  box.feed({ type: 'config', config: group({ ...both, v4: false, lacking: [4] }) });
  assert.is(box.of('lan/1'), 'MASTER');
  assert.equal(box.state.demotions, { 'no_ipv4:lan': 240 });
});

test('an address that is away for a moment is not told; one that stays away and one that comes are', () => {
  const calls = new Set<() => void>();
  const clock: Clock = {
    nowUs: () => 0,
    later: (_ms, call) => {
      calls.add(call);
      return () => calls.delete(call);
    },
  };
  const told: GroupConfig[] = [];
  const [there, gone] = [group(lan4), group(lan0)];
  const sources = new OwnSources(there, (config) => told.push(config), clock);
  sources.look(gone);
  sources.look(there);
  assert.equal([told.length, calls.size], [0, 0], 'back in time: nobody waits any more');
  sources.look(gone);
  for (const call of [...calls]) call();
  assert.equal(told, [gone]);
  sources.look(there);
  assert.equal(told, [gone, there], 'at once');
});

test.run();
