import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FILTER_KEYS, parseFilter } from '../../../src/contract/state-filter.ts';
import { type StateView, stateLine } from '../../../src/contract/state-view.ts';

const filter = suite('cli: state filter');

const TCP: StateView = {
  proto: 'tcp',
  family: 4,
  orig: { src: '10.0.0.5', dst: '192.0.2.1', sport: 51515, dport: 443 },
  reply: { src: '192.0.2.1', dst: '203.0.113.1', sport: 443, dport: 60001 },
  nat: 'snat',
  state: 'ESTABLISHED',
  status: ['SEEN_REPLY', 'ASSURED'],
  mark: 16,
  zone: 0,
  owner: 'own',
  kernel: true,
  timeout: 431999,
};

const ICMP: StateView = {
  proto: 'icmpv6',
  family: 6,
  orig: { src: '2001:db8::5', dst: '2001:db8:1::1', sport: null, dport: null, type: 128, code: 0, id: 7 },
  reply: { src: '2001:db8:1::1', dst: '2001:db8::5', sport: null, dport: null, type: 129, code: 0, id: 7 },
  nat: null,
  state: null,
  status: [],
  mark: 0,
  zone: 3,
  labels: [5, 77],
  helper: 'ftp',
  zone_direction: 'reply',
  owner: 'mirrored',
  kernel: false,
  timeout: null,
};

function fits(expression: string): string {
  const parsed = parseFilter(expression);
  if (!parsed.ok) throw new Error(parsed.error);
  return [TCP, ICMP]
    .filter(parsed.test)
    .map((state) => state.proto)
    .join(' ');
}

filter('each key tells the two apart', () => {
  const terms: [string, string][] = [
    ['', 'tcp icmpv6'],
    ['proto=tcp', 'tcp'],
    ['proto=TCP', 'tcp'],
    ['family=6', 'icmpv6'],
    ['src=10.0.0.5', 'tcp'],
    ['src=10.0.0.0/8', 'tcp'],
    ['src=2001:DB8::/64', 'icmpv6'],
    ['dst=192.0.2.1', 'tcp'],
    ['dst=10.0.0.5', ''],
    ['sport=51515', 'tcp'],
    ['sport=51000-52000', 'tcp'],
    ['dport=443', 'tcp'],
    ['dport=0-65535', 'tcp'],
    ['reply-src=192.0.2.1', 'tcp'],
    ['reply-dst=203.0.113.1', 'tcp'],
    ['reply-sport=443', 'tcp'],
    ['reply-dport=60001', 'tcp'],
    ['addr=203.0.113.0/24', 'tcp'],
    ['port=60001', 'tcp'],
    ['state=established', 'tcp'],
    ['status=ASSURED', 'tcp'],
    ['nat=snat', 'tcp'],
    ['nat=any', 'tcp'],
    ['nat=none', 'icmpv6'],
    ['mark=16', 'tcp'],
    ['mark=0x10', 'tcp'],
    ['zone=3', 'icmpv6'],
    ['label=70-77', 'icmpv6'],
    ['label!=5', 'tcp'],
    ['helper=FTP', 'icmpv6'],
    ['owner=own', 'tcp'],
    ['owner=peer', 'icmpv6'],
    ['owner=mirrored', 'icmpv6'],
    ['kernel=no', 'icmpv6'],
  ];
  for (const [term, expected] of terms) assert.is(fits(term), expected, term);
  const used = new Set(terms.map(([term]) => term.split(/!?=/)[0]));
  assert.equal(
    Object.keys(FILTER_KEYS).filter((key) => !used.has(key)),
    [],
  );
});

filter('terms are and-ed, values or-ed, != turns round', () => {
  assert.is(fits('proto=tcp kernel=no'), '');
  assert.is(fits('  proto=tcp\tdport=80,443 '), 'tcp');
  assert.is(fits('proto=tcp,icmpv6'), 'tcp icmpv6');
  assert.is(fits('proto!=tcp'), 'icmpv6');
  assert.is(fits('proto!=tcp,icmpv6'), '');
  assert.is(fits('sport!=1'), 'tcp icmpv6');
});

filter('nat=both is also snat and dnat', () => {
  const parsed = parseFilter('nat=dnat');
  assert.ok(parsed.ok && parsed.test({ ...TCP, nat: 'both' }) && !parsed.test(TCP));
});

filter('mistakes are named with what is allowed', () => {
  const error = (expression: string) => {
    const parsed = parseFilter(expression);
    return parsed.ok ? 'accepted' : parsed.error;
  };
  assert.is(error('tcp'), '"tcp" is not KEY=VALUE');
  assert.is(error('dprt=1'), '"dprt=1": unknown key; did you mean dport?');
  assert.is(error('toString=1'), '"toString=1" is not KEY=VALUE');
  assert.match(error('constructor=1'), /unknown key/);
  assert.match(error('dport=65536'), /found "65536", allowed a number or a range in 0\.\.65535/);
  assert.match(error('dport=5-4'), /allowed a number or a range/);
  assert.match(error('dport='), /found "", allowed/);
  assert.match(error('src=example.org'), /allowed an address or a network/);
  assert.match(error('src=10.0.0.0/33'), /allowed an address or a network/);
  assert.match(error('kernel=maybe'), /allowed yes or no/);
  assert.match(error('owner=me'), /allowed own, peer/);
  assert.match(error('x'.repeat(5000)), /longer than 4096/);
  assert.match(error('port=1 '.repeat(65)), /more than 64 terms/);
});

filter('lines read like conntrack -L', () => {
  assert.is(
    stateLine(TCP),
    'tcp      431999 ESTABLISHED src=10.0.0.5 dst=192.0.2.1 sport=51515 dport=443 src=192.0.2.1 dst=203.0.113.1 sport=443 dport=60001 [ASSURED] mark=16 nat=snat owner=own kernel=yes',
  );
  assert.is(
    stateLine(ICMP),
    'icmpv6   - src=2001:db8::5 dst=2001:db8:1::1 type=128 code=0 id=7 [UNREPLIED] src=2001:db8:1::1 dst=2001:db8::5 type=129 code=0 id=7 mark=0 reply-zone=3 labels=5,77 helper=ftp owner=mirrored kernel=no',
  );
});

filter.run();
