/** What must fit together in a configuration: vhids, addresses, roles, peers, timers, tracks, sync, feed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { virtualDevice } from '../../../src/config/devices.ts';
import { errors, good, HEAD, only, parsed, VIP, warnings } from './parsed.ts';

const rules = suite('config: what must fit together');
const dir = mkdtempSync(join(tmpdir(), 'carpio-rules-'));
rules.after(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(dir, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

rules('a vhid is unique on its interface, by device', () => {
  const second = VIP.replace('.1/', '.2/');
  assert.is(
    only(HEAD + VIP + second),
    '13: vip[1].vhid: found 1, which vip[0] (line 8) already uses on eth0, allowed each vhid once per interface',
  );
  good(HEAD + VIP + second.replace('"wan"', '"lan"'));
  good(HEAD + VIP + second.replace('vhid = 1', 'vhid = 2'));
  const twoRoles = HEAD.replace('"eth1"', '"eth0"');
  assert.match(only(twoRoles + VIP + second.replace('"wan"', '"lan"')), /already uses on eth0/);
});

rules('an address is used once, whatever its spelling', () => {
  const second = VIP.replace('vhid = 1', 'vhid = 2').replace(
    '["203.0.113.1/24"]',
    '["203.0.113.2/24",\n"203.0.113.1/32"]',
  );
  assert.match(
    only(HEAD + VIP + second),
    /^16: vip\[1\]\.addresses\[1\]: found 203\.0\.113\.1\/32, which vip\[0\] \(line 10\)/,
  );
  assert.match(
    only(HEAD + VIP.replace('["203.0.113.1/24"]', '["2001:db8::1/64", "2001:db8:0::1/64"]')),
    /addresses\[1\].*allowed each address once/,
  );
});

rules('roles must exist', () => {
  assert.is(
    only(HEAD + VIP.replace('"wan"', '"wam"')),
    '9: vip[0].interface: found "wam", allowed a role of [interfaces] (wan, lan, sync); did you mean "wan"?',
  );
  // A role by the name of something every object has is still no role.
  assert.match(only(HEAD + VIP.replace('"wan"', '"toString"')), /allowed a role/);
  assert.match(
    only(`${HEAD.replace('sync = "eth2"\n', '')}${VIP}[sync]`),
    /^11: sync\.interface: found "sync", allowed a role/,
  );
  assert.match(
    only(`${HEAD}${VIP}[[track]]\nkind = "link"\ninterface = "x"`),
    /^14: track\[0\]\.interface: .*allowed a role/,
  );
});

rules('device names are those the kernel takes', () => {
  const device = (name: string) => errors(parsed(HEAD.replace('"eth0"', JSON.stringify(name)) + VIP));
  assert.equal(device('enp0s31f6.4094'), []);
  assert.equal(device('123456789012345'), []);
  for (const name of ['1234567890123456', '', '.', '..', 'a/b', 'a b', 'a:b', 'äääääääääää']) {
    assert.match(device(name).join(), /interfaces\.wan: .*allowed a device name/, name);
  }
  assert.match(
    only(`[node]\nname = "a"\n[interfaces]\n"9x" = "eth0"`),
    /^4: interfaces\.9x: found this name, allowed 1 to 15/,
  );
});

/** Two roles whose virtual devices have the same name: long, alike at the beginning, and with the same short hash. */
function collidingRoles(): [string, string] {
  const seen = new Map<string, string>();
  for (let i = 0; ; i++) {
    const role = `office${i}`;
    const other = seen.get(virtualDevice(255, role));
    if (other) return [other, role];
    if (role.length > 7) seen.set(virtualDevice(255, role), role);
  }
}

rules('virtual device names stay different', () => {
  const [one, two] = collidingRoles();
  const roles = (a: string, b: string) => `[node]\nname = "a"\n[interfaces]\n${a} = "eth0"\n${b} = "eth1"\n`;
  const vip = (role: string, n: number) =>
    VIP.replace('"wan"', `"${role}"`).replace('vhid = 1', 'vhid = 255').replace('.1/', `.${n}/`);
  assert.match(
    only(roles(one, two) + vip(one, 1) + vip(two, 2)),
    /^13: vip\[1\]\.interface: its virtual device would be called carp255-off[0-9a-f]{4}, as that of vip\[0\] \(line 7\)/,
  );
  good(roles(one, two) + vip(one, 1) + vip(two, 2).replace('255', '254'));
  good(`${roles(one, two) + vip(one, 1) + vip(two, 2)}mac = "physical"`);
  good(roles('office-north1', 'office-north2') + vip('office-north1', 1) + vip('office-north2', 2));
  assert.match(only(HEAD.replace('"eth1"', '"carp1-wan"') + VIP), /\[interfaces\] lan is a device of that name/);
});

rules('unicast peers are for every family that advertises', () => {
  assert.match(only(`${HEAD}${VIP}peers = ["2001:db8::2"]`), /^12: vip\[0\]\.peers: found no IPv4 peer/);
  good(`${HEAD}${VIP}peers = ["203.0.113.3"]`);
  const both = VIP.replace('["203.0.113.1/24"]', '["203.0.113.1/24", "2001:db8::1/64"]');
  assert.match(only(`${HEAD}${both}peers = ["203.0.113.3"]`), /found no IPv6 peer/);
  good(`${HEAD}${both}peers = ["203.0.113.3", "2001:db8::3"]`);
  assert.match(only(`${HEAD}${VIP}peers = ["203.0.113.1"]`), /a virtual address of this vhid/);
  assert.match(only(`${HEAD}${VIP}peers = ["203.0.113.3", "203.0.113.3"]`), /peers\[1\].*twice/);
});

rules('timers that can not keep a role are refused, odd ones pointed out', () => {
  assert.match(errors(parsed(`${HEAD}${VIP}advbase = 0`)).join(), /take-over after 11\.7 ms.*allowed at least 50 ms/);
  assert.match(errors(parsed(`${HEAD}${VIP}advbase = 0\nadvskew = 4`)).join(), /allowed at least 50 ms/);
  assert.equal(warnings(parsed(`${HEAD}${VIP}advbase = 0\nadvskew = 5`)), []);
  assert.equal(warnings(parsed(`${HEAD}${VIP}advbase = 0\nadvskew = 8`)), []);
  assert.match(warnings(parsed(`${HEAD}${VIP}advskew = 250`)).join(), /cannot lower/);
  const two = `${HEAD}${VIP}${VIP.replace('"wan"', '"lan"').replace('.1/', '.2/')}advbase = 2\n`;
  assert.match(warnings(parsed(two)).join(), /slowest decides/);
  assert.equal(warnings(parsed(`${two}[carp]\npreempt = false`)), []);
});

rules('tracking: what each kind needs and may have', () => {
  const track = (text: string) => `${HEAD}${VIP}[[track]]\n${text}\n`;
  assert.equal(good(track('kind = "script"\npath = "/bin/true"')).track[0], {
    kind: 'script',
    name: 'script true',
    weight: 240,
    path: '/bin/true',
    interval: 5,
    timeout: 3,
  });
  assert.equal(good(track('kind = "file"\npath = "/run/x"\nname = "by hand"\nweight = 10')).track[0], {
    kind: 'file',
    name: 'by hand',
    weight: 10,
    path: '/run/x',
    interval: 1,
  });
  assert.is(only(track('kind = "link"')), '12: track[0].interface: found nothing, needed for kind "link"');
  assert.is(
    only(track('kind = "link"\ninterface = "wan"\ntimeout = 3')),
    '15: track[0].timeout: found 3, not allowed for kind "link"',
  );
  assert.match(only(track('kind = "ping"')), /allowed "link", "script", "file"/);
  assert.match(only(track('kind = "file"\npath = "run/x"')), /allowed an absolute path/);
  assert.match(
    only(track('kind="file"\npath="/a/x"\n[[track]]\nkind="file"\npath="/b/x"')),
    /track\[1\].*give it a name/,
  );
});

rules('sync: what must fit together', () => {
  const sync = (text: string) => `${HEAD}${VIP}[sync]\n${text}\n`;
  assert.match(only(sync('peer = "fd00::2"\nmtu = 1000')), /^14: sync\.mtu: found 1000, allowed at least 1280/);
  assert.match(only(sync('peer = "203.0.113.1"')), /a virtual address/);
  assert.match(only(sync('peer = "224.0.0.240"')), /a multicast address/);
  assert.match(
    only(sync('key_file = "/nonexistent"')),
    /^13: sync\.key_file: cannot read \/nonexistent: no such file$/,
  );
  assert.match(only(sync('max_states = 10')), /allowed 1024\.\.16777216 states/);
  assert.match(only(sync('dialect = "pfsync"')), /allowed "carpio", "openbsd"/);
  assert.match(warnings(parsed(sync(''))).join(), /:12: sync: sync is open/);
  assert.match(warnings(parsed(`${sync('').replace('"eth2"', '"eth1"')}`)).join(), /sync and lan are both eth1/);
  const key = file('k', '00112233445566778899aabbccddeeff');
  assert.equal(warnings(parsed(sync(`key_file = "${key}"`))), []);
  assert.match(warnings(parsed(sync(`dialect = "openbsd"\nkey_file = "${key}"`))).join(), /knows no seal/);
});

rules('feed: outside only with a token', () => {
  const feed = (text: string) => `${HEAD}${VIP}[feed]\n${text}\n`;
  for (const listen of ['0.0.0.0:8180', '192.0.2.1:8180', '[::]:8180', '[2001:db8::1]:8180']) {
    assert.match(
      only(feed(`listen = ["${listen}"]`)),
      /^13: feed\.listen\[0\]: .*not loopback, allowed only with token_file/,
    );
  }
  for (const listen of ['127.0.0.1:8180', '127.8.8.8:1', '[::1]:8180', 'localhost:8180'])
    good(feed(`listen = ["${listen}"]`));
  for (const listen of ['8180', ':8180', '127.0.0.1', '127.0.0.1:99999', 'example.org:80', '::1:8180']) {
    assert.match(only(feed(`listen = ["${listen}"]`)), /allowed "address:port"/, listen);
  }
  assert.match(only(feed('listen = []')), /at least one/);
  assert.match(only(feed('listen = ["127.0.0.1:8180", "localhost:8180"]')), /twice/);
  const token = file('t', '0123456789abcdef');
  assert.match(warnings(parsed(feed(`listen = ["0.0.0.0:8180"]\ntoken_file = "${token}"`))).join(), /in clear/);
  assert.match(only(feed('tls = { cert = "/nonexistent" }')), /feed\.tls\.key: missing, needed an absolute path/);
  assert.match(only(feed('tls = { cert = "/nonexistent", key = "/bin/true" }')), /feed\.tls\.cert: cannot read/);
});

rules.run();
