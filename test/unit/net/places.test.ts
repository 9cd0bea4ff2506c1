/** The few places of a listener: who gets one, and who gives way. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Places, sourceOf } from '../../../src/net/places.ts';

const places = suite('net: places at a listener');
const visitor = (name: string): { name: string } => ({ name });

places('one source is what one machine can call itself', () => {
  assert.is(sourceOf('192.0.2.1'), '192.0.2.1');
  assert.is(sourceOf('::ffff:192.0.2.1'), '192.0.2.1');
  assert.is(sourceOf('2001:db8:0:1:aaaa::1'), sourceOf('2001:db8:0:1::2'));
  assert.is.not(sourceOf('2001:db8:0:1::1'), sourceOf('2001:db8:0:2::1'));
  assert.is(sourceOf('fe80::1%eth0'), sourceOf('fe80::2'));
  assert.is(sourceOf(''), '');
});

places('a source that has its share gives up its own oldest silent one', () => {
  const door = new Places<object>({ total: 8, perSource: 2 });
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(visitor) as [object, object, object, object];
  assert.is(door.enter(a, '192.0.2.1'), null);
  assert.is(door.enter(b, '192.0.2.1'), null);
  assert.is(door.enter(c, '192.0.2.1'), a);
  door.proven(b);
  assert.is(door.enter(d, '192.0.2.1'), c);
  door.proven(d);
  assert.is(door.enter(a, '192.0.2.1'), a, 'both have shown what is asked: the newcomer goes');
  assert.is(door.size, 2);
});

places('a full listener: the source with the most silent ones gives way, never who has proven itself', () => {
  const door = new Places<object>({ total: 4, perSource: 4 });
  const honest = visitor('honest');
  const waiting = visitor('waiting');
  door.enter(honest, '192.0.2.1');
  door.proven(honest);
  door.enter(waiting, '192.0.2.2');
  const flood = [1, 2].map(() => visitor('flood'));
  for (const one of flood) door.enter(one, '192.0.2.66');
  assert.is(door.enter(visitor('new'), '192.0.2.3'), flood[0]);
  assert.is(door.size, 4);
});

places('who rests after its request gives way again, behind those who came before', () => {
  const door = new Places<object>({ total: 2, perSource: 2 });
  const [a, b] = [visitor('a'), visitor('b')];
  door.enter(a, '192.0.2.1');
  door.proven(a);
  door.enter(b, '192.0.2.1');
  door.rest(a);
  assert.is(door.enter(visitor('c'), '192.0.2.1'), b);
  door.leave(a);
  assert.is(door.enter(visitor('d'), '192.0.2.1'), null);
});

places.run();
