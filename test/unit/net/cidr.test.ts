import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  formatAddress,
  formatCidr,
  networkOf,
  notAssignable,
  notUnicast,
  parseAddress,
  parseCidr,
  sameNetwork,
} from '../../../src/net/cidr.ts';

const address = suite('net: addresses with their prefix');

address('text and back, in canonical form', () => {
  const pairs: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::', '::'],
    ['1::', '1::'],
    ['::1', '::1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['0:0:1::', '0:0:1::'],
  ];
  for (const [text, expected] of pairs) assert.is(formatAddress(parseAddress(text)!), expected);
});

address('what is not an address is refused', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1::2::3',
    'fe80::1%eth0',
    '12345::',
    'host',
    ' ::1',
  ]) {
    assert.is(parseAddress(text), null, text);
  }
  for (const text of [
    '1.2.3.4',
    '1.2.3.4/',
    '1.2.3.4/33',
    '::1/129',
    '1.2.3.4/2 4',
    '1.2.3.4/-1',
    '::1/64/64',
    '/24',
  ]) {
    assert.is(parseCidr(text), null, text);
  }
});

address('subnets compare bit by bit', () => {
  const same = (a: string, b: string, prefix: number) => sameNetwork(parseAddress(a)!, parseAddress(b)!, prefix);
  assert.ok(same('10.0.0.127', '10.0.0.126', 31));
  assert.not.ok(same('10.0.0.127', '10.0.0.128', 25));
  assert.ok(same('10.0.0.127', '10.0.0.128', 24));
  assert.ok(same('2001:db8::', '2001:db8:ffff::', 32));
  assert.not.ok(same('2001:db8::', '2001:db8:8000::', 33));
  assert.ok(same('1.2.3.4', '200.1.1.1', 0));
  assert.not.ok(same('1.2.3.4', '::1', 0));
});

address('networks lose their host bits', () => {
  const network = (text: string) => formatCidr(networkOf(parseCidr(text)!));
  assert.is(network('10.99.5.7/24'), '10.99.5.0/24');
  assert.is(network('10.99.5.7/22'), '10.99.4.0/22');
  assert.is(network('10.99.5.7/32'), '10.99.5.7/32');
  assert.is(network('10.99.5.7/0'), '0.0.0.0/0');
  assert.is(network('2001:db8:ffff::1/33'), '2001:db8:8000::/33');
});

address('only host addresses can be virtual', () => {
  const why = (text: string) => notAssignable(parseCidr(text)!);
  assert.is(why('203.0.113.1/24'), null);
  assert.is(why('203.0.113.0/31'), null);
  assert.is(why('203.0.113.0/32'), null);
  assert.is(why('2001:db8::/64'), null); // the subnet-router anycast address is an address
  assert.match(why('203.0.113.0/24') ?? '', /network's own/);
  assert.match(why('203.0.113.255/24') ?? '', /broadcast/);
  assert.match(why('127.0.0.1/8') ?? '', /loopback/);
  assert.match(why('::1/128') ?? '', /loopback/);
  assert.match(why('224.0.0.18/24') ?? '', /multicast/);
  assert.match(why('ff02::12/64') ?? '', /multicast/);
  assert.match(why('0.0.0.0/0') ?? '', /unspecified/);
  assert.match(why('255.255.255.255/32') ?? '', /broadcast/);
  assert.match(why('240.0.0.1/24') ?? '', /reserved/);
  assert.match(why('203.0.113.1/0') ?? '', /prefix length of 0/);
  assert.match(notUnicast(parseAddress('::ffff:1.2.3.4')!) ?? '', /IPv4/);
});

address.run();
