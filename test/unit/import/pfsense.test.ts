import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importConfig } from '../../../src/import/import.ts';
import { isRole, roleFrom } from '../../../src/import/roles.ts';
import { entries, importSample, load, nftSays, noNft, sample, samples } from './samples/lib.ts';

const pfsense = suite('import: config.xml');

/** A small file: one rule on lan, and what else is given. */
const file = (rule: string, more = '', root = 'pfsense') =>
  `<${root}><interfaces><wan><if>em0</if><enable/><ipaddr>203.0.113.2</ipaddr><subnet>24</subnet><gateway>g</gateway></wan>` +
  `<lan><if>em1</if><enable/><ipaddr>10.1.0.2</ipaddr><subnet>16</subnet><ipaddrv6>2001:db8:1::2</ipaddrv6><subnetv6>64</subnetv6></lan></interfaces>${more}<filter><rule>${rule}</rule></filter></${root}>`;

const ANY = '<source><any/></source><destination><any/></destination>';

function imported(text: string) {
  const result = importConfig('pfsense', text, 'config.xml');
  if (!result.ok) throw new Error(result.error);
  return result;
}

/** The lines of chain from_lan, without comments. */
function lanRules(text: string): string[] {
  const chain = /\tchain from_lan \{\n([\s\S]*?)\t\}\n/.exec(imported(text).nft ?? '')?.[1] ?? '';
  return chain
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

const rule = (body: string) => `<type>pass</type><interface>lan</interface>${body}`;

pfsense('a pfSense pair: addresses, sync, source of the configuration', () => {
  const result = importSample(sample('pfsense-pair.xml'));
  const { config } = load(result);
  assert.is(config.node.name, 'fw-north');
  assert.equal(config.interfaces, { wan: 'igb0', lan: 'igb1', sync: 'igb2', guests_friends: 'igb1.20' });
  assert.equal(
    config.vip.map((vip) => [vip.vhid, vip.interface, vip.addresses, vip.advskew, vip.password.reveal().toString()]),
    [
      [1, 'wan', ['203.0.113.1/24', '203.0.113.10/24'], 0, 'wan-pass-1'],
      [2, 'lan', ['192.168.1.1/24'], 0, 'lan-pass-2'],
    ],
  );
  assert.equal([config.sync?.interface, config.sync?.peer], ['sync', '10.99.0.2']);
  assert.is(config.replicate?.from, 'fw-north');
  const nft = result.nft ?? '';
  assert.match(nft, 'iifname $wan ip daddr 203.0.113.1 tcp dport 443 dnat ip to 192.168.1.80:8443\n');
  assert.match(nft, 'oifname $wan ip saddr 192.168.20.0/24 snat ip to 203.0.113.10\n');
  assert.match(nft, 'oifname $wan ip saddr @automatic_nat_4 snat ip to 203.0.113.1\n');
  assert.match(nft, '#   not translated: routing by rule (gateway)');
  assert.match(nft, '#   would be: ip saddr @guests_friends_net_4');
});

pfsense('an OPNsense pair, with rules of the older and the newer form', () => {
  const result = importSample(sample('opnsense-pair.xml'));
  const { config } = load(result);
  assert.equal(config.interfaces, { wan: 'vtnet0', lan: 'vtnet1', tcp_if: 'vtnet2' });
  assert.not(config.carp.preempt);
  assert.equal([config.sync?.interface, config.sync?.peer, config.sync?.defer], ['tcp_if', null, true]);
  assert.equal(config.vip[0]?.addresses, ['198.51.100.2/29', '198.51.100.5/29']);
  assert.equal(config.vip[0]?.peers, ['198.51.100.4']);
  const nft = result.nft ?? '';
  assert.match(nft, 'snat ip prefix to ip saddr map { 172.16.40.0/30 : 203.0.113.40/30 }');
  assert.match(nft, 'oifname $wan tcp dport 25 drop');
  assert.match(entries(result, 'left out').join('\n'), /IPv6 to any rule\): the network of lan is not in the file/);
  assert.match(entries(result, 'left out').join('\n'), 'unheard_of');
});

const nftTrouble = noNft();
if (nftTrouble) console.log(`skip: ${nftTrouble}`);
else {
  pfsense('the rules of every sample pass nft', () => {
    for (const one of samples()) {
      const result = importSample(one);
      const { config } = load(result);
      if (result.nft !== null) assert.is(nftSays(result.nft, config.interfaces), null, one.name);
    }
    assert.ok(nftSays('table inet x { chain y { $nowhere } }\n', {}), 'control: nft refuses what is wrong');
  });

  pfsense('words of nft and odd names make roles and sets that nft takes', () => {
    const words = [
      'ip',
      'tcp',
      'table',
      'day',
      'MARK',
      'Élan vital',
      '123',
      '',
      'a'.repeat(40),
      'ip\n } accept',
      'wan',
      'hour',
      'elements',
    ];
    const taken = new Set<string>();
    for (const word of words) {
      const role = roleFrom(word, taken);
      assert.ok(isRole(role), `${word} -> ${role}`);
      assert.not(taken.has(role));
      taken.add(role);
    }
    const interfaces = Object.fromEntries([...taken].map((role, i) => [role, `eth${i}`]));
    const text = [...taken].map((role) => `\t\tiifname $${role} accept\n`).join('');
    assert.is(nftSays(`table inet firewall {\n\tchain x {\n${text}\t}\n}\n`, interfaces), null);
    const aliases = ['accept', 'ip', '1', '_', 'very_'.repeat(20), 'ports', 'web_ports']
      .map((name) => `<alias><name>${name}</name><type>host</type><address>10.9.9.9</address></alias>`)
      .join('');
    const rules = ['accept', 'ip', '1', '_', 'very_'.repeat(20), 'ports', 'web_ports']
      .map(
        (name) =>
          `<rule>${rule(`<source><address>${name}</address></source><destination><any/></destination>`)}</rule>`,
      )
      .join('');
    const result = imported(file(rule(ANY), `<aliases>${aliases}</aliases>`).replace('</filter>', `${rules}</filter>`));
    assert.is(nftSays(result.nft ?? '', load(result).config.interfaces), null, result.nft ?? '');
  });
}

pfsense('conditions as nftables says them', () => {
  const cases: [string, string[]][] = [
    [ANY, ['meta nfproto ipv4 accept']],
    [`<ipprotocol>inet46</ipprotocol>${ANY}`, ['accept']],
    [
      `<ipprotocol>inet46</ipprotocol><source><network>lan</network></source><destination><any/></destination>`,
      ['ip saddr @lan_net_4 accept', 'ip6 saddr @lan_net_6 accept'],
    ],
    [
      `<protocol>tcp/udp</protocol><source><any/></source><destination><any/><port>53</port></destination>`,
      ['meta nfproto ipv4 meta l4proto { tcp, udp } th dport 53 accept'],
    ],
    [
      `<protocol>udp</protocol><source><any/><port>1000:1010</port></source><destination><any/></destination>`,
      ['meta nfproto ipv4 udp sport 1000-1010 accept'],
    ],
    [`<protocol>icmp</protocol><icmptype>echoreq</icmptype>${ANY}`, ['icmp type { 8 } accept']],
    [
      `<ipprotocol>inet6</ipprotocol><protocol>icmp</protocol><icmptype>echoreq,toobig</icmptype>${ANY}`,
      ['icmpv6 type { 128, 2 } accept'],
    ],
    [`<protocol>esp</protocol>${ANY}`, ['meta nfproto ipv4 meta l4proto 50 accept']],
    [
      `<source><not/><address>10.0.0.0/8</address></source><destination><network>(self)</network></destination>`,
      ['ip saddr != 10.0.0.0/8 meta nfproto ipv4 fib daddr type local accept'],
    ],
    [`<log/><descr>x"; drop</descr>${ANY}`, ['meta nfproto ipv4 log prefix "x drop: " accept']],
  ];
  for (const [body, expected] of cases) assert.equal(lanRules(file(rule(body))), expected, body);
  assert.equal(lanRules(file(`<type>reject</type><interface>lan</interface><protocol>tcp</protocol>${ANY}`)), [
    'meta nfproto ipv4 meta l4proto tcp reject with tcp reset',
  ]);
  assert.equal(lanRules(file(`<type>block</type><interface>lan</interface>${ANY}`)), ['meta nfproto ipv4 drop']);
});

pfsense('what cannot be said exactly never becomes a wider rule', () => {
  const never: [string, RegExp][] = [
    [rule(`${ANY}<gateway>VPN</gateway>`), /gateway/],
    [rule(`${ANY}<sched>x</sched>`), /schedule/],
    [rule(`${ANY}<tagged>x</tagged>`), /tagged/],
    [rule(`${ANY}<os>Windows</os>`), /operating system/],
    [rule(`${ANY}<unheard>1</unheard>`), /<unheard> is not known/],
    [rule('<source><any/></source><destination><any/><unheard/></destination>'), /<unheard> in <destination>/],
    [rule('<source><address/></source><destination><any/></destination>'), /source is empty/],
    [
      rule('<source><address>nobody</address></source><destination><any/></destination>'),
      /no alias, address or interface/,
    ],
    [
      rule('<protocol><x/></protocol><source><any/></source><destination><any/></destination>'),
      /<protocol> holds elements/,
    ],
    [rule('<source><network><x/></network></source><destination><any/></destination>'), /holds elements/],
    [
      rule('<protocol>tcp</protocol><source><any/></source><destination><any/><port>http-ish</port></destination>'),
      /neither a number nor an alias/,
    ],
    [rule('<source><any/></source><destination><any/><port>80</port></destination>'), /ports without tcp or udp/],
    [rule(`<protocol>teleport</protocol>${ANY}`), /protocol "teleport"/],
    [rule(`<protocol>tcp</protocol><protocol>udp</protocol>${ANY}`), /names protocol twice/],
    [rule(`<ipprotocol>inet5</ipprotocol>${ANY}`), /ipprotocol/],
    [rule(`<direction>sideways</direction>${ANY}`), /direction/],
    [`<type>pass</type><interface>openvpn</interface>${ANY}`, /openvpn is not a role/],
  ];
  for (const [body, why] of never) {
    const result = imported(file(body));
    const found = result.report.entries.find((entry) => entry.what.startsWith('rule '));
    assert.is(found?.outcome, 'left out', body);
    assert.match(found?.detail ?? '', why);
    assert.equal(lanRules(file(body)), [], body);
  }
});

pfsense('an element that is not known and empty means its default', () => {
  assert.equal(lanRules(file(rule(`${ANY}<unheard/>`))), lanRules(file(rule(ANY))));
  assert.equal(lanRules(file(rule(ANY))).length, 1);
});

pfsense('an alias that lacks members narrows a pass rule, and keeps a block rule out', () => {
  const aliases =
    '<aliases><alias><name>some</name><type>host</type><address>10.9.0.1 host.example.org</address></alias></aliases>';
  const from = '<source><address>some</address></source><destination><any/></destination>';
  const not = '<source><not/><address>some</address></source><destination><any/></destination>';
  assert.equal(lanRules(file(rule(from), aliases)), ['ip saddr @some_4 accept']);
  assert.equal(lanRules(file(rule(not), aliases)), []);
  assert.equal(lanRules(file(rule(from).replace('pass', 'block'), aliases)), []);
  assert.match(
    imported(file(rule(from).replace('pass', 'block'), aliases)).report.advice.join('\n'),
    /a block rule was left out/,
  );
});

pfsense('rules keep the order in which pf takes them', () => {
  const one = (descr: string, more: string) => `<rule><type>block</type><descr>${descr}</descr>${ANY}${more}</rule>`;
  const rules = [
    one('first of lan', '<interface>lan</interface>'),
    one('slow one', '<floating>yes</floating><interface>lan</interface><direction>in</direction>'),
    one('slow two', '<floating>yes</floating><interface>lan</interface><direction>in</direction>'),
    one('second of lan', '<interface>lan</interface>'),
    one('quick', '<floating>yes</floating><quick>yes</quick><interface>lan</interface><direction>in</direction>'),
  ].join('');
  const nft = imported(file(rule(ANY)).replace(/<filter>.*<\/filter>/, `<filter>${rules}</filter>`)).nft ?? '';
  const inbound = nft.slice(nft.indexOf('chain inbound'));
  const order = ['quick', 'jump from_lan', 'slow two', 'slow one'].map((text) => inbound.indexOf(text));
  assert.equal(
    order,
    [...order].sort((a, b) => a - b),
  );
  assert.ok(order.every((at) => at > 0));
  assert.ok(nft.indexOf('first of lan') < nft.indexOf('second of lan'));
});

pfsense('outbound NAT: automatic goes to the shared address where there is one, manual is taken as it is', () => {
  const vip =
    '<virtualip><vip><mode>carp</mode><interface>wan</interface><vhid>1</vhid><password>x</password><subnet>203.0.113.1</subnet><subnet_bits>24</subnet_bits></vip></virtualip>';
  const postrouting = (more: string) => {
    const nft = imported(file(rule(ANY), more)).nft ?? '';
    return nft
      .slice(nft.indexOf('chain postrouting'))
      .split('\n')
      .slice(2)
      .map((line) => line.trim())
      .filter((line) => line.startsWith('oifname'));
  };
  assert.equal(postrouting(''), ['oifname $wan ip saddr @automatic_nat_4 masquerade']);
  assert.equal(postrouting(vip), ['oifname $wan ip saddr @automatic_nat_4 snat ip to 203.0.113.1']);
  const nat = (mode: string, body: string) =>
    `<nat><outbound><mode>${mode}</mode><rule><interface>wan</interface>${body}</rule></outbound></nat>`;
  const manual =
    '<source><network>10.1.0.0/16</network></source><destination><any/></destination><target>203.0.113.1</target>';
  assert.equal(postrouting(nat('advanced', manual)), ['oifname $wan ip saddr 10.1.0.0/16 snat ip to 203.0.113.1']);
  assert.equal(postrouting(nat('disabled', manual)), []);
  assert.equal(postrouting(nat('automatic', manual)), ['oifname $wan ip saddr @automatic_nat_4 masquerade']);
  assert.is(postrouting(nat('hybrid', manual)).length, 2);
});

pfsense('no secret is in the report, the rules or what is printed', () => {
  const secrets: Record<string, string[]> = {
    'pfsense-pair.xml': ['wan-pass-1', 'lan-pass-2', 'gui-secret', 'notarealhash', 'LS0tLS1'],
    'opnsense-pair.xml': ['opn-wan', 'opn-lan'],
    'pfsense-ugly.xml': ['this-password-is-far-too-long', 'topsecretgui', 'quoted', 'same"address'],
  };
  for (const [name, words] of Object.entries(secrets)) {
    const result = importSample(sample(name));
    const shown = JSON.stringify(result.report) + result.nft + result.toml({ secrets: false, rulesPath: '/x' });
    for (const word of words) assert.not.match(shown, word, `${name}: ${word}`);
  }
});

pfsense('devices of the new box, by role', () => {
  const devices = new Map([
    ['wan', 'eth0'],
    ['lan', 'eth1'],
  ]);
  const result = importConfig('pfsense', file(rule(ANY)), 'c', { devices, name: 'fw-b' });
  assert.ok(result.ok);
  if (!result.ok) return;
  assert.equal(load(result).config.interfaces, { wan: 'eth0', lan: 'eth1' });
  assert.is(load(result).config.node.name, 'fw-b');
});

pfsense('what is no config.xml is refused in one line', () => {
  const refused = (text: string) => {
    const result = importConfig('pfsense', text, 'c.xml');
    return result.ok ? '' : result.error;
  };
  assert.is(
    refused('<html/>'),
    'c.xml:1: found <html>, expected <pfsense> or <opnsense>: a config.xml of one of these',
  );
  assert.match(refused('<pfsense>\n<a>'), /^c\.xml:\d: the file ends inside/);
  assert.match(refused('U2FsdGVkX1'), /^c\.xml:1: /);
});

pfsense.run();
