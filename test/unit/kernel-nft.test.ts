import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { firstError } from '../../src/kernel/nft.ts';
import { scanRules } from '../../src/kernel/nft-scan.ts';
import { carpioTable, guardInserts, quoteDevice, roleDefines } from '../../src/kernel/nft-text.ts';

const nft = suite('kernel: nftables text');

const RULES = `#!/usr/sbin/nft -f
flush ruleset   # and "table inet commented {"
define ports = { 22, 443 }
table inet filter {
	set allowed { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
	chain input {
		type filter hook input priority filter; policy drop;
		iifname $wan tcp dport $ports accept comment "chain fake { type filter hook input"
		meta l4proto { tcp, udp } jump helper
	}
	chain helper { accept; }
	chain late {
		comment "type filter hook output priority 0"
		type filter hook output \\
			priority 10
	}
	chain nat { type nat hook postrouting priority srcnat; masquerade; }
}
table old { chain in4 { type filter hook input priority 0; } }
add table ip6 six
add chain ip6 six out { type filter hook output priority 0; policy accept; }
create chain ip6 six plain
table netdev edge { chain ingress { type filter hook ingress device "eth0" priority 0; } }
`;

nft('tables and base chains of a rules file are recognised, look-alikes are not', () => {
  const scanned = scanRules(RULES);
  assert.ok(scanned.flushesRuleset);
  assert.equal(
    scanned.tables.map((table) => `${table.family} ${table.name}`),
    ['inet filter', 'ip old', 'ip6 six', 'netdev edge'],
  );
  assert.equal(
    scanned.chains.map((chain) => `${chain.family} ${chain.table} ${chain.name}: ${chain.type} ${chain.hook}`),
    [
      'inet filter input: filter input',
      'inet filter late: filter output',
      'inet filter nat: nat postrouting',
      'ip old in4: filter input',
      'ip6 six out: filter output',
      'netdev edge ingress: filter ingress',
    ],
  );
  assert.not(scanRules('table ip a { chain b { flush ruleset\n } }').flushesRuleset);
});

nft('included files are scanned where they are included; a file that includes itself ends', () => {
  const files: Record<string, string> = {
    './chains.nft': 'chain input { type filter hook input priority 0; }',
    './self.nft': 'include "./self.nft"\ntable ip again { }',
  };
  const scanned = scanRules('table inet a {\n include "./chains.nft"\n}\ninclude "./self.nft"', (pattern) =>
    files[pattern] === undefined ? [] : [files[pattern]],
  );
  assert.equal(scanned.chains, [{ family: 'inet', table: 'a', name: 'input', type: 'filter', hook: 'input' }]);
  assert.is(scanned.tables.length, 2);
});

nft('broken text does not break the scan', () => {
  for (const text of ['}}}', 'table', 'table {', 'chain { type', '"', 'add chain ip x', 'table ip a { chain', '\\']) {
    scanRules(text);
  }
  for (let cut = 0; cut < RULES.length; cut += 7) scanRules(RULES.slice(0, cut));
});

nft('guards go at the head of input and output filter chains only, by device', () => {
  const text = guardInserts(scanRules(RULES).chains, {
    carpDevices: ['eth0', 'carp1-wan'],
    syncDevice: 'eth2',
    peerPorts: [7000],
  });
  assert.is(
    text
      .split('\n')
      .filter((line) => line.includes(' inet filter input '))
      .join('\n'),
    `insert rule inet filter input iifname { "eth0", "carp1-wan" } meta l4proto { 112, 240 } accept comment "carpio"
insert rule inet filter input iifname { "eth2" } meta l4proto 240 accept comment "carpio"
insert rule inet filter input iifname { "eth2" } tcp dport 7000 accept comment "carpio"
insert rule inet filter input iifname { "eth2" } tcp sport 7000 accept comment "carpio"`,
  );
  assert.match(text, /insert rule ip6 six out oifname \{ "eth0", "carp1-wan" \} meta l4proto \{ 112, 240 \}/);
  assert.not.match(text, /nat|netdev|helper/);
  assert.is(guardInserts(scanRules(RULES).chains, { carpDevices: [], syncDevice: null }), '');
});

nft('roles become sets, also with one device', () => {
  assert.is(
    roleDefines({ wan: ['eth0', 'carp1-wan'], sync: ['eth2'], none: [] }),
    'define wan = { "eth0", "carp1-wan" }\ndefine sync = { "eth2" }\n',
  );
});

nft('a device name that would change the rules is refused', () => {
  for (const name of ['', 'eth*', 'a"b', 'a b', 'a\nb', 'a\\', 'sixteen-letters-']) {
    assert.throws(() => quoteDevice(name), /cannot be used/, JSON.stringify(name));
  }
  assert.throws(() => carpioTable({ carpDevices: ['e*'], syncDevice: null }), /cannot be used/);
  assert.is(quoteDevice('eth0.7'), '"eth0.7"');
});

nft('an error of nft names the user’s file and line', () => {
  const said = '/dev/stdin:7:9-11: Error: syntax error, unexpected fwd\n  chain fwd {\n        ^^^\n';
  assert.is(firstError(said, '/etc/carpio/rules.nft', 4), '/etc/carpio/rules.nft:3:9: syntax error, unexpected fwd');
  assert.is(firstError('/etc/x.nft:2:1-3: Error: no', 'f', 4), '/etc/x.nft:2:1: no');
  assert.is(
    firstError('nft is not installed (package nftables)', 'f', 4),
    'f: nft is not installed (package nftables)',
  );
});

nft('a protocol name that cannot be looked up: the mend is said', () => {
  const said = '/etc/carpio/rules.nft:8:26-29: Error: Could not resolve protocol name\n';
  assert.match(firstError(said, 'x', 0), /rules\.nft:8:26: Could not resolve protocol name \(.*netbase\)$/);
});

nft.run();
