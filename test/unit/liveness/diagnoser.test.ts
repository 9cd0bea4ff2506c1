/** Troubles between the hosts of a vhid: each told once, by its name, and once more when it is over. */
import { mock } from 'node:test';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ResolvedVip } from '../../../src/config/resolve.ts';
import { Diagnoser } from '../../../src/liveness/diagnoser.ts';
import type { ReceivedReport } from '../../../src/liveness/peer-report.ts';

const naming = suite('diagnosis by name');

const PEER = '10.77.1.3';
const STRANGER = '10.77.1.99';
const ADDRESSES = ['10.77.1.1/24', 'fd77:1::1/64'];

function box(addresses = ADDRESSES) {
  const said: string[] = [];
  const reasons: string[] = [];
  const vips = [{ vhid: 2, interface: 'lan', addresses } as unknown as ResolvedVip];
  const diagnoser = new Diagnoser({
    vips: () => vips,
    tell: (_vip, { what, reason }, over) => {
      said.push(`${over ? '-' : '+'}${what}`);
      reasons.push(reason);
    },
  });
  const peerLists = (lists: Record<string, string[]>): void =>
    diagnoser.onReport({ lists, own: { lan: [PEER] } } as unknown as ReceivedReport);
  return { diagnoser, said, reasons, peerLists, vips };
}

naming('missing_vhid: the peer has no such vhid; taken back when it has', () => {
  const { said, reasons, peerLists } = box();
  peerLists({ 'lan/2': ADDRESSES });
  assert.equal(said, []);
  peerLists({});
  peerLists({});
  peerLists({ 'lan/2': ADDRESSES });
  assert.equal(said, ['+missing_vhid', '-missing_vhid']);
  assert.match(reasons[0] ?? '', /^the peer has no vhid 2 on lan: nobody would take it over/);
});

naming('address_list: names what one of the two has more; told anew when it changes, over when they agree', () => {
  const { said, reasons, peerLists } = box();
  peerLists({ 'lan/2': ['10.77.1.1/24'] });
  assert.match(reasons[0] ?? '', /both list 10\.77\.1\.1; this node also has fd77:1::1/);
  peerLists({ 'lan/2': [...ADDRESSES, '10.77.1.9/24'] });
  assert.match(reasons[1] ?? '', /the peer also has 10\.77\.1\.9/);
  peerLists({ 'lan/2': [...ADDRESSES].reverse() });
  assert.equal(said, ['+address_list', '+address_list', '-address_list']);
});

naming(
  'password: the peer fails authentication with the same lists, over both families and for ever, told once',
  () => {
    const { diagnoser, said, peerLists } = box();
    peerLists({ 'lan/2': ADDRESSES });
    for (let i = 0; i < 10; i++) for (const from of [PEER, PEER]) diagnoser.onRefused('badauth', 'lan', 2, from);
    assert.equal(said, ['+password']);
    const different = box();
    different.peerLists({ 'lan/2': ['10.77.1.1/24'] });
    different.diagnoser.onRefused('badauth', 'lan', 2, PEER);
    assert.ok(!different.said.includes('+password'), 'different lists are the cause, not the password');
  },
);

naming('foreign_user: with a wrong password and with the right one; each stranger once', () => {
  const { diagnoser, said, peerLists } = box();
  peerLists({ 'lan/2': ADDRESSES });
  diagnoser.onRefused('badauth', 'lan', 2, STRANGER);
  diagnoser.onRefused('badauth', 'lan', 2, STRANGER);
  diagnoser.onAdvert('lan/2', '10.77.1.98');
  diagnoser.onAdvert('lan/2', PEER);
  assert.equal(said, ['+foreign_user', '+foreign_user']);
});

naming('own_packets: three that came back are no accident', () => {
  const { diagnoser, said } = box();
  for (let i = 0; i < 2; i++) diagnoser.onRefused('ownpackets', 'lan', 2, '10.77.1.2');
  assert.equal(said, []);
  diagnoser.onRefused('ownpackets', 'lan', 2, '10.77.1.2');
  assert.equal(said, ['+own_packets']);
});

naming('other counters and unknown vhids are no diagnosis', () => {
  const { diagnoser, said } = box();
  for (const counter of ['badttl', 'badsum', 'vrrp', 'unmasked']) diagnoser.onRefused(counter, 'lan', 2, STRANGER);
  diagnoser.onRefused('badauth', 'wan', 2, STRANGER);
  diagnoser.onRefused('badauth', 'lan', null, STRANGER);
  diagnoser.onAdvert('wan/9', STRANGER);
  assert.equal(said, []);
});

naming('a flood of strangers is bounded', () => {
  const { diagnoser, said, peerLists } = box();
  peerLists({ 'lan/2': ADDRESSES });
  for (let i = 0; i < 2000; i++) diagnoser.onRefused('badauth', 'lan', 2, `10.78.${i >> 8}.${i & 255}`);
  assert.is(said.length, 256);
});

naming('what is no longer repeated is over; what stands until it is mended is not', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  const clock = mock.method(performance, 'now', () => now);
  let now = 1000;
  try {
    const { diagnoser, said, peerLists } = box();
    peerLists({});
    diagnoser.onRefused('badauth', 'lan', 2, STRANGER);
    now += 29_000;
    mock.timers.tick(5000);
    assert.equal(said, ['+missing_vhid', '+foreign_user']);
    now += 2000;
    mock.timers.tick(5000);
    assert.equal(said, ['+missing_vhid', '+foreign_user', '-foreign_user']);
    diagnoser.close();
  } finally {
    clock.mock.restore();
    mock.timers.reset();
  }
});

naming('a vhid that a reload takes away takes what was wrong with it along', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    const { diagnoser, said, peerLists, vips } = box();
    peerLists({});
    mock.timers.tick(5000);
    assert.equal(said, ['+missing_vhid']);
    vips.length = 0;
    mock.timers.tick(5000);
    assert.equal(said, ['+missing_vhid', '-missing_vhid']);
    diagnoser.close();
  } finally {
    mock.timers.reset();
  }
});

naming.run();
