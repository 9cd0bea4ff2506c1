/**
 * Small files made from public reports: what an earlier importer got wrong, and the right rules. The rules are compared
 * as text, and each file is checked by nft where one may load rules.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importConfig } from '../../../src/import/import.ts';
import type { ImportReport } from '../../../src/import/result.ts';
import { roleDefines } from '../../../src/kernel/nft-text.ts';

const cases = suite('import: cases');
const read = (name: string): string => readFileSync(new URL(`cases/${name}`, import.meta.url), 'utf8');

interface Chains {
  text: string;
  /** Rules of a chain, without comments. */
  rules(chain: string): string[];
}

function imported(name: string, change: (text: string) => string = (text) => text): Chains {
  const result = importConfig('pfsense', change(read(name)), name);
  assert.ok(result.ok && result.nft !== null, name);
  const text = result.ok ? (result.nft ?? '') : '';
  const rules = (chain: string): string[] => {
    const body = new RegExp(`\\tchain ${chain} \\{\\n([^}]*(?:\\{[^}]*\\}[^}]*)*?)\\t\\}\\n`).exec(text)?.[1] ?? '';
    const lines = body.split('\n').map((line) => line.trim());
    return lines.filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('type '));
  };
  return { text, rules };
}

cases('an exclusion in an alias is kept: what it names is not let in', () => {
  const { text, rules } = imported('excl.xml');
  assert.equal(rules('from_wan'), [
    'ip saddr @office_4 ip saddr != @office_except_4 ip daddr 192.168.1.9 tcp dport 22 accept',
  ]);
  assert.match(text, /set office_except_4 \{[^}]*10\.6\.6\.0\/24/);
});

cases('a member inside of an excluded network: a pass becomes narrower, a block wider', () => {
  const nested = (text: string): string => text.replace('!10.6.6.0/24', '!10.6.6.0/24\n10.6.6.5');
  assert.match(imported('excl.xml', nested).rules('from_wan')[0] ?? '', 'ip saddr != @office_except_4');
  const block = imported('excl.xml', (text) => nested(text).replace('<type>pass', '<type>block'));
  assert.equal(block.rules('from_wan'), ['ip saddr @office_4 ip daddr 192.168.1.9 tcp dport 22 drop']);
});

cases('a forward that passes by itself lets in its own sources by its own address and port, and nothing else', () => {
  const { rules } = imported('rdrpass.xml');
  const passes = rules('inbound').filter((line) => line.endsWith('accept'));
  assert.equal(passes, [
    'iifname $wan ct status dnat ip daddr 192.168.1.9 tcp dport 443 ip saddr 198.51.100.7 ' +
      'ct original ip daddr 203.0.113.1 ct original proto-dst 8443 accept',
  ]);
});

cases('forwards stand before 1:1 mappings, and ssh of the mapped host is not open', () => {
  const { rules } = imported('binat.xml');
  const inward = rules('prerouting');
  assert.match(inward.at(-1) ?? '', 'ip daddr 203.0.113.10 dnat ip to 192.168.1.10');
  assert.is(inward.length, 3);
  const ssh = rules('inbound').filter((line) => line.includes('dport 22'));
  assert.is(ssh.length, 1);
  assert.match(ssh[0] ?? '', 'ip saddr 198.51.100.7 ct original ip daddr 203.0.113.1 ct original proto-dst 2222');
});

for (const name of ['mvc.xml', 'mvc26.xml']) {
  cases(`${name}: a rule of the newer model stands before the old ones of its kind`, () => {
    const [first, second] = imported(name).rules('from_lan');
    assert.is(first, 'ip saddr @lan_net_4 tcp dport 25 drop');
    assert.is(second, 'ip saddr @lan_net_4 accept');
  });
}

cases('groups of interfaces in the order of their sequence', () => {
  const group = (name: string, sequence: number): string =>
    `<ifgroupentry><ifname>${name}</ifname><members>lan</members><sequence>${sequence}</sequence></ifgroupentry>`;
  const rule = (on: string, type: string): string =>
    `<rule><type>${type}</type><interface>${on}</interface><ipprotocol>inet</ipprotocol><source><any/></source><destination><any/></destination></rule>`;
  const { rules } = imported('mvc.xml', (text) =>
    text
      .replace('<filter>', `<ifgroups>${group('late', 20)}${group('early', 10)}</ifgroups><filter>`)
      .replace('<filter>', `<filter>${rule('late', 'block')}${rule('early', 'pass')}`),
  );
  const verdicts = rules('inbound').filter((line) => line.startsWith('iifname $lan meta'));
  assert.equal(verdicts, ['iifname $lan meta nfproto ipv4 accept', 'iifname $lan meta nfproto ipv4 drop']);
});

cases('without a family a rule of OPNsense is for both', () => {
  assert.is(imported('noaf.xml').rules('from_lan')[0], 'tcp dport 25 drop');
});

cases('"WAN address" is not the virtual one: both forwards work', () => {
  const [own, virtual] = imported('wanaddr.xml').rules('prerouting');
  assert.match(
    own ?? '',
    /fib daddr type local ip daddr != \{ 203\.0\.113\.1 \} tcp dport 443 dnat ip to 192\.168\.1\.8$/,
  );
  assert.match(virtual ?? '', /^iifname \$wan ip daddr 203\.0\.113\.1 tcp dport 443 dnat ip to 192\.168\.1\.9$/);
});

cases('manual outbound NAT with elements that are empty is translated', () => {
  assert.equal(imported('poolkey.xml').rules('postrouting'), [
    'oifname $wan ip saddr @lan_net_4 snat ip to 203.0.113.1',
  ]);
});

cases('source NAT of the newer model stands before the old rules', () => {
  const [exempt, model, old] = imported('snat.xml').rules('postrouting');
  assert.match(exempt ?? '', /10\.9\.0\.0\/16 accept$/);
  assert.match(model ?? '', /snat ip to 203\.0\.113\.9$/);
  assert.match(old ?? '', /snat ip to 203\.0\.113\.1$/);
});

cases('a rule without a type passes', () => {
  assert.equal(imported('notype.xml').rules('from_wan'), ['ip daddr 192.168.1.9 tcp dport 443 accept']);
});

cases('a forward of OPNsense 26: an empty source is any, and its rule lets in just that', () => {
  const empty = (text: string): string => text.replace('<network>any</network>', '<network/>');
  for (const { rules } of [imported('dnat26.xml'), imported('dnat26.xml', empty)]) {
    assert.equal(rules('prerouting'), ['iifname $wan ip daddr 203.0.113.1 tcp dport 443 dnat ip to 192.168.1.9:8443']);
    assert.match(rules('inbound')[0] ?? '', 'ct original ip daddr 203.0.113.1 ct original proto-dst 443 accept');
  }
});

cases('a forward to the box itself is said, not made: the kernel drops it without a word', () => {
  const { text, rules } = imported('rdrpass.xml', (old) => old.replaceAll('192.168.1.9', '127.0.0.1'));
  assert.equal(rules('prerouting'), []);
  assert.match(text, 'its target 127.0.0.1 is the box itself');
});

function other(kind: 'keepalived' | 'conntrackd', text: string, name: string): { toml: string; report: ImportReport } {
  const result = importConfig(kind, text, name);
  if (!result.ok) throw new Error(result.error);
  return { toml: result.toml({ secrets: false, rulesPath: 'rules.nft' }), report: result.report };
}

const keepalived = (name: string, change: (text: string) => string = (text) => text) =>
  other('keepalived', change(read(name)), name);

cases('keepalived: one router id for both families on one interface is one vhid', () => {
  const { toml } = keepalived('dualv.conf');
  assert.is(toml.split('[[vip]]').length, 2);
  assert.match(toml, /addresses\s+= \["192\.0\.2\.1\/24", "fe80::1\/64", "2001:db8::1\/64"\]/);
});

cases('keepalived: the same id for the same family stays a second use of it', () => {
  const twice = keepalived('dualv.conf', (text) => text.replace(/fe80[^}]*/, '192.0.2.9/24 '));
  assert.not.match(twice.toml, '192.0.2.9');
  assert.ok(twice.report.entries.some(({ detail }) => /vhid 7 is already used/.test(detail)));
});

cases('keepalived: the last of a keyword given twice counts, and the report says so', () => {
  const { toml, report } = keepalived('dupprio.conf');
  assert.match(toml, /advskew\s+= 154/);
  assert.ok(report.entries.some(({ what, detail }) => /priority 50/.test(what) && /the last one counts/.test(detail)));
});

cases('keepalived: priorities that become one advskew are said', () => {
  const low = keepalived('dupprio.conf', (text) => text.replace('priority 100', 'priority 3'));
  assert.ok(low.report.entries.some(({ detail }) => /give the two boxes different ones/.test(detail)));
});

cases('conntrackd: an ignored address of the box does not keep forwarded connections from being synced', () => {
  const text =
    'Sync { Mode FTFW { } UDP { IPv4_address 10.99.0.1 IPv4_Destination_Address 10.99.0.2 Port 3780 Interface eth2 } }\n' +
    'General { Filter From Userspace { Address Ignore { IPv4_address 203.0.113.1 IPv4_address 10.99.0.0/24 } } }';
  const lines = text.replaceAll(' IPv4', '\n IPv4').replaceAll(' }', '\n }');
  const { toml, report } = other('conntrackd', lines, 'conntrackd.conf');
  assert.not.match(toml, '203.0.113.1');
  assert.match(toml, '10.99.0.0/24');
  assert.ok(report.entries.some(({ detail }) => /forwarded through it/.test(detail)));
});

const nft = (text: string) =>
  spawnSync('unshare', [process.getuid?.() === 0 ? '-n' : '-Urn', 'nft', '-c', '-f', '-'], {
    input: text,
    encoding: 'utf8',
  });
const probe = nft('table inet x {}\n');
if (probe.status !== 0) console.log(`skip: nft cannot be asked here: ${(probe.error?.message ?? probe.stderr).trim()}`);
(probe.status === 0 ? cases : cases.skip)('nft takes every file', () => {
  for (const name of [
    'excl',
    'rdrpass',
    'binat',
    'mvc',
    'noaf',
    'wanaddr',
    'poolkey',
    'snat',
    'notype',
    'mvc26',
    'dnat26',
  ]) {
    const { text } = imported(`${name}.xml`);
    const result = nft(roleDefines({ wan: ['eth0'], lan: ['eth1'] }) + text);
    assert.is(result.stderr, '', name);
  }
});

cases.run();
