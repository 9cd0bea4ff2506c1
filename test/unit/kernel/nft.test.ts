import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { firstError } from '../../../src/kernel/nft.ts';
import { inPlaceText, listedBlocks, listedTables, withoutFlush } from '../../../src/kernel/nft-inplace.ts';
import { keptText } from '../../../src/kernel/nft-keep.ts';
import { scanRules } from '../../../src/kernel/nft-scan.ts';
import { carpioTable, guardInserts, quoteDevice, roleDefines } from '../../../src/kernel/nft-text.ts';

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

nft('what holds a value is recognised: counters, quotas, and sets that packets fill', () => {
  const text = `table inet t {
	counter hits { comment "flags dynamic" }
	quota q { over 1 mbytes; }
	set seen { type ipv4_addr; flags dynamic, timeout; timeout 5m; }
	set static { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
	map m {
		type ipv4_addr : verdict
		flags timeout
	}
	chain c { type filter hook input priority 0; counter name hits; counter; update @seen { ip saddr counter } }
}
table ip old { set s { type mark; timeout 1s; } }
add set ip6 six late { type ipv6_addr; flags dynamic; }
add counter ip6 six all { comment "x" }
`;
  const names = scanRules(text).kept.map(({ kind, table, name }) => `${kind} ${table.family} ${table.name} ${name}`);
  assert.equal(names.sort(), [
    'counter inet t hits',
    'counter ip6 six all',
    'map inet t m',
    'quota inet t q',
    'set inet t seen',
    'set ip old s',
    'set ip6 six late',
  ]);
});

nft('what nft lists becomes what nft takes', () => {
  const listed = `table inet t {
	counter hits {
		comment "some } hits"
		packets 6 bytes 424
	}
	set seen {
		type ipv4_addr
		flags dynamic,timeout
		elements = { 127.0.0.1 counter packets 4 bytes 310 expires 4m59s964ms, 127.0.0.5 expires 0s,
			     127.0.0.9 comment "a } brace" expires 3s }
	}
	set empty {
		type ipv4_addr
		flags dynamic
	}
}
table ip n {
	map m {
		flags timeout
		elements = { 10.0.0.1 timeout 30m expires 29m : 10.0.0.2 }
	}
}
`;
  const { objects, elements } = keptText(listedBlocks(listed));
  assert.equal(
    [...objects],
    [['inet t', '\tcounter hits {\n\t\tcomment "some } hits"\n\t\tpackets 6 bytes 424\n\t}\n']],
  );
  assert.is(
    elements.replace(/\s+/g, ' '),
    'add element inet t seen { 127.0.0.1 counter packets 4 bytes 310 expires 4m59s964ms, 127.0.0.9 comment "a } brace" expires 3s } ' +
      'add element ip n m { 10.0.0.1 timeout 30m expires 29m : 10.0.0.2 } ',
  );
  assert.equal(keptText(listedBlocks('')), { objects: new Map(), elements: '' });
});

const KERNEL = `table inet t {
	chain in {
		type filter hook input priority filter; policy drop;
	}
	chain gone {
		type filter hook output priority filter; policy accept;
	}
	chain helper {
	}
}
table ip foreign {
}
table inet t {
	set seen {
		type ipv4_addr
		flags dynamic,timeout
	}
	set static {
		type ipv4_addr
	}
	map sticky {
		type ipv4_addr : ipv4_addr
		timeout 1h
	}
}
table inet t {
	counter hits {
		packets 1 bytes 1
	}
	counter old {
		packets 1 bytes 1
	}
}
`;
const NEXT = `table inet t {
	counter hits { }
	set seen { type ipv4_addr; flags dynamic,timeout; }
	set static { type ipv4_addr; elements = { 1.2.3.4 } }
	map sticky { type ipv4_addr : ipv4_addr; timeout 1h; }
	chain helper { accept; }
	chain in { type filter hook input priority filter; jump helper; }
}
`;
const T = [{ family: 'inet', name: 't' }];

nft('rules in the place of others: what stays, what goes, and a policy that is not said', () => {
  const text = inPlaceText(T, listedBlocks(KERNEL), scanRules(NEXT));
  assert.equal(text?.trimEnd().split('\n'), [
    'flush chain inet t in',
    'flush chain inet t gone',
    'flush chain inet t helper',
    'delete set inet t static',
    'delete counter inet t old',
    'delete chain inet t gone',
    'delete chain inet t helper',
    'chain inet t in { policy accept; }',
  ]);
  const said = inPlaceText(
    T,
    listedBlocks(KERNEL),
    scanRules(NEXT.replace('filter; jump', 'filter; policy drop; jump')),
  );
  assert.not.match(said ?? 'null', /policy/, 'a policy that is said needs no help, and must not open for a moment');
  const unkept = inPlaceText(T, listedBlocks(KERNEL), scanRules(NEXT.replace('flags dynamic,timeout;', '')));
  assert.match(unkept ?? 'null', /delete set inet t seen/);
  assert.equal(
    listedTables(KERNEL).map(({ name }) => name),
    ['t', 'foreign'],
  );
});

nft('where rules cannot take the place of others', () => {
  const way = (text: string, tables = T) => inPlaceText(tables, listedBlocks(KERNEL), scanRules(text));
  assert.type(way(NEXT), 'string');
  assert.is(way(`flush ruleset\n${NEXT}`), null);
  assert.is(way(NEXT, []), null, 'the first load');
  assert.is(way('table inet other { }\n'), null, 'a table goes');
  for (const odd of [
    'limit l { rate 1/second }',
    'ct helper f { type "ftp" protocol tcp; }',
    'flowtable f { hook ingress priority 0; }',
    'flags dormant',
  ]) {
    assert.is(way(NEXT.replace('counter hits { }', `${odd}\n`)), null, odd);
  }
  for (const odd of [
    'delete table inet t',
    'insert rule inet t in accept',
    'create table ip x',
    'destroy table ip x',
  ]) {
    assert.is(way(`${NEXT}${odd}\n`), null, odd);
  }
  assert.type(way(`${NEXT}add rule inet t in accept\ndefine x = { 1, 2 }\n`), 'string');
});

nft('a flush at the begin is taken out, its place kept; one that comes later is not', () => {
  const begin = '#!/usr/sbin/nft -f\n\ndefine a = 1\n';
  assert.is(withoutFlush(`${begin}flush ruleset # all\nx`), `${begin}${' '.repeat(13)} # all\nx`);
  assert.is(withoutFlush(`${begin} flush  ruleset;\nx`), `${begin}${' '.repeat(16)}\nx`);
  assert.is(withoutFlush('table inet t { }\nflush ruleset\n'), null);
  assert.is(withoutFlush('table inet t { }\n'), null);
  assert.is(withoutFlush('flush ruleset; table inet t { }\n'), null);
  assert.is(withoutFlush('# nothing\n'), null);
});

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
