/**
 * What two kernels hold of the same rules is the same text, whatever their devices are called and their sets' order is.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalRules } from '../../../src/replicate/kernel-rules.ts';
import { addressDrift } from '../../../src/replicate/truth.ts';

const rules = suite('replicate: rules in the kernel');

const listing = (wan: string, order: 'as' | 'other', extra = ''): string => `table inet other {
	chain x {
	}
}
table inet filter {
	counter cc {
	}

	set s {
		type ipv4_addr
		elements = { ${order === 'as' ? '1.2.3.4, 8.8.8.8,\n\t\t\t     10.0.0.1' : '10.0.0.1, 1.2.3.4,\n\t\t\t     8.8.8.8'} }
	}

	set seen {
		type ipv4_addr
		flags dynamic,timeout
		timeout 1m
		elements = { ${order === 'as' ? '1.1.1.1 expires 20s' : '2.2.2.2 expires 7s,\n\t\t\t     3.3.3.3'} }
	}

	chain input {
		type filter hook input priority filter; policy drop;
		iifname { ${order === 'as' ? `"${wan}", "carp1-wan"` : `"carp1-wan", "${wan}"`} } meta l4proto { 112, 240 } accept comment "carpio"
		iifname { ${order === 'as' ? `"${wan}", "carp1-wan"` : `"carp1-wan", "${wan}"`} } tcp dport { ${order === 'as' ? '22, 80' : '80, 22'} } accept
		iifname "${wan}" counter accept${extra}
	}
}
table ip nat {
}
`;
const TABLES = [
  { family: 'inet', name: 'filter' },
  { family: 'ip', name: 'nat' },
];
const lines = (text: string, wan: string): string[] => canonicalRules(text, TABLES, new Map([[wan, 'wan']]));

rules('devices by role, sets in order, without guards, counters, and what packets put into sets', () => {
  const a = lines(listing('eth0', 'as'), 'eth0');
  const b = lines(listing('enp3s0f1', 'other'), 'enp3s0f1');
  assert.equal(a, b);
  assert.ok(a.includes('\t\tiifname { "<wan>", "carp1-wan" } tcp dport { 22, 80 } accept'), a.join('\n'));
  assert.not.match(a.join('\n'), /comment "carpio"|1\.1\.1\.1|other/);
  assert.match(a.join('\n'), 'elements = { 1.2.3.4, 10.0.0.1, 8.8.8.8 }');
});

rules('the order in which chains and sets were made means nothing, that of the rules does', () => {
  const chain = (name: string, ...inside: string[]): string =>
    `\tchain ${name} {\n${inside.map((r) => `\t\t${r}\n`).join('')}\t}\n`;
  const table = (...parts: string[]): string => `table inet filter {\n${parts.join('\n')}}\n`;
  const [a, b] = [chain('a', 'accept'), chain('b', 'drop')];
  assert.equal(lines(table(a, b), 'x').slice(0, 8), lines(table(b, a), 'x').slice(0, 8));
  const turned = [chain('a', 'ip saddr 1.1.1.1 drop', 'accept'), chain('a', 'accept', 'ip saddr 1.1.1.1 drop')];
  assert.is.not(lines(table(turned[0]!), 'x').join(), lines(table(turned[1]!), 'x').join());
});

rules('what really differs is seen', () => {
  const a = lines(listing('eth0', 'as'), 'eth0');
  assert.is.not(a.join(), lines(listing('eth0', 'as', ' log'), 'eth0').join());
  assert.is.not(a.join(), lines(listing('eth0', 'as').replace('1.2.3.4', '1.2.3.5'), 'eth0').join());
  assert.is.not(a.join(), lines(listing('eth0', 'as').replace('policy drop', 'policy accept'), 'eth0').join());
  assert.equal(lines('', 'eth0'), ['table inet filter is not there', 'table ip nat is not there']);
});

rules('addresses on the virtual devices: missing ones and those put there by hand', () => {
  const vip = { vhid: 2, interface: 'lan', mac: 'virtual', addresses: ['10.0.0.1/24', 'fd00:0::1/64'] };
  const prepared = { config: { interfaces: { lan: 'eth1' } }, vips: [vip] } as never;
  const link = (name: string, ...addresses: string[]) => ({
    name,
    addresses: addresses.map((text) => ({ address: text.split('/')[0], prefix: Number(text.split('/')[1]) })),
  });
  const drift = (...links: ReturnType<typeof link>[]): string[] => addressDrift(prepared, links as never);
  const parent = link('eth1', '10.0.0.2/24');
  assert.equal(drift(parent, link('carp2-lan', '10.0.0.1/24', 'fd00::1/64', 'fe80::1/64')), []);
  assert.equal(drift(parent, link('carp2-lan', '10.0.0.1/24', '10.0.0.77/24')), [
    'addresses: -carp2-lan fd00::1/64',
    'addresses: +carp2-lan 10.0.0.77/24',
  ]);
  assert.equal(drift(parent, link('carp2-lan')), [], "a backup's device has no address: its gate is closed");
  assert.equal(drift(parent), ['addresses: device carp2-lan is not there']);
  assert.equal(drift(), [], 'without its card there is nothing to say');
});

rules.run();
