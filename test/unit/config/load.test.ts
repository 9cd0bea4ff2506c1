/** From a file to a configuration: defaults, spellings, what is refused with which words. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, parseConfig } from '../../../src/config/load.ts';
import { errors, FILE, good, HEAD, only, parsed, VIP, warnings } from './parsed.ts';

const load = suite('config: loading');
const dir = mkdtempSync(join(tmpdir(), 'carpio-load-'));
load.after(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(dir, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

load('the example of the interface page loads', () => {
  const key = file('pair.key', '00112233445566778899aabbccddeeff');
  const token = file('feed.token', '0123456789abcdef0123');
  const rules = file('rules.nft', '');
  const config = good(`
[node]
name = "fw-a"
state_dir = "/var/lib/carpio"
control = "/run/carpio/control.sock"
[interfaces]
wan  = "eth0"
lan  = "eth1"
sync = "eth2"
[carp]
preempt = true
log = 1
[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24", "2001:db8::1/64"]
password = "secret"
advbase = 1
advskew = 0
mac = "virtual"
peers = []
[[track]]
kind = "link"
interface = "wan"
weight = 240
[sync]
interface = "sync"
peer = "10.99.0.2"
dialect = "carpio"
key_file = "${key}"
sync_when = "answered"
ignore = ["10.99.0.0/24"]
defer = false
[firewall]
rules = "${rules}"
forward = true
[replicate]
from = "fw-a"
[feed]
listen = ["127.0.0.1:8180"]
token_file = "${token}"
[hooks]
on_event = "/bin/true"
`);
  assert.is(config.vip[0]?.password.reveal().toString(), 'secret');
  assert.is(config.sync?.key?.length, 16);
  assert.is(config.feed?.token?.reveal().toString(), '0123456789abcdef0123');
  assert.equal(config.track, [{ kind: 'link', name: 'link wan', weight: 240, interface: 'wan' }]);
  assert.is(config.firewall?.rules, rules);
});

load('what is left out gets its default, and a section left out is off', () => {
  const config = good(HEAD + VIP);
  assert.equal(config.node, { name: 'fw-a', state_dir: '/var/lib/carpio', control: '/run/carpio/control.sock' });
  assert.equal(config.carp, { preempt: true, log: 1, peers_only: [] });
  const { password, ...vip } = config.vip[0]!;
  assert.is(password.length, 7);
  assert.equal(vip, {
    vhid: 1,
    interface: 'wan',
    addresses: ['203.0.113.1/24'],
    password_file: null,
    advbase: 1,
    advskew: 0,
    mac: 'virtual',
    peers: [],
  });
  assert.equal(
    [config.sync, config.firewall, config.feed, config.hooks, config.replicate],
    [null, null, null, null, null],
  );
  const { key, keyOld, ...sync } = good(`${HEAD}${VIP}[sync]\n`).sync!;
  assert.equal([key, keyOld], [null, null]);
  assert.equal(sync, {
    interface: 'sync',
    peer: null,
    dialect: 'carpio',
    key_file: null,
    key_file_old: null,
    port: 8240,
    sync_when: 'answered',
    ignore: [],
    accept: [],
    defer: false,
    defer_ms: 20,
    max_states: 1_048_576,
    mtu: 1500,
    event_buffer: 67_108_864,
  });
  assert.equal(good(`${HEAD}${VIP}[feed]\n`).feed?.listen, ['127.0.0.1:8180']);
});

load('addresses get one spelling', () => {
  const config = good(
    `${HEAD}${VIP.replace('["203.0.113.1/24"]', '["2001:DB8:0::1/64"]')}peers=["2001:DB8::0:2"]\n[sync]\npeer="FD00::0:1"\nignore=["10.9.9.9/8", "10.1.1.1"]`,
  );
  assert.equal(config.vip[0]?.addresses, ['2001:db8::1/64']);
  assert.equal(config.vip[0]?.peers, ['2001:db8::2']);
  assert.is(config.sync?.peer, 'fd00::1');
  assert.equal(config.sync?.ignore, ['10.0.0.0/8', '10.1.1.1/32']);
});

load('an error names line, key, the value found and what is allowed', () => {
  const vip = (line: string) => only(`${HEAD}${VIP}${line}`);
  assert.is(only(HEAD + VIP.replace('vhid = 1', 'vhid = 300')), '8: vip[0].vhid: found 300, allowed 1..255');
  assert.is(only(HEAD + VIP.replace('vhid = 1\n', '')), '7: vip[0].vhid: missing, needed 1..255');
  assert.is(vip('advbase = 255'), '12: vip[0].advbase: found 255, allowed 0..254 s');
  assert.is(vip('advskew = -1'), '12: vip[0].advskew: found -1, allowed 0..254 (1/256 s)');
  assert.is(vip('advskew = 1.5'), '12: vip[0].advskew: found 1.5, allowed whole numbers 0..254 (1/256 s)');
  assert.is(vip('advskew = nan'), '12: vip[0].advskew: found NaN, allowed whole numbers 0..254 (1/256 s)');
  assert.is(vip('advskew = "0"'), '12: vip[0].advskew: found "0", allowed 0..254 (1/256 s)');
  assert.is(vip('advskew = 1979-05-27'), '12: vip[0].advskew: found a date, allowed 0..254 (1/256 s)');
  assert.is(vip('mac = "real"'), '12: vip[0].mac: found "real", allowed "virtual", "physical"');
  assert.match(vip('peers = "10.0.0.1"'), /^12: vip\[0\]\.peers: found "10\.0\.0\.1", allowed a list of addresses$/);
  assert.match(
    vip('peers = ["10.0.0.1",\n"224.0.0.18"]'),
    /^13: vip\[0\]\.peers\[1\]: found "224.0.0.18", a multicast address, allowed one unicast address/,
  );
  assert.match(only(`${HEAD}${VIP}[carp]\npreempt = 1`), /^13: carp\.preempt: found 1, allowed true or false$/);
  assert.match(only(HEAD.replace('"fw-a"', '"fw a"') + VIP), /^2: node\.name: found "fw a", allowed 1 to 63 letters/);
  assert.match(
    only(VIP + HEAD.replace('[node]\nname = "fw-a"\n', '')),
    /^1: node: missing, needed a \[node\] section$/,
  );
});

load('all errors come at once, in the order of the file', () => {
  const list = errors(parsed(`${HEAD}${VIP.replace('= 1', '= 0')}advbase = 999\n[carp]\nlog = 9\n[nod]\n`));
  assert.equal(
    list.map((text) => Number(text.split(':')[1])),
    [8, 12, 14, 15],
  );
});

load('an unknown key is refused with a hint', () => {
  assert.is(only(`${HEAD}${VIP}advskw = 1`), '12: vip[0].advskw: unknown key; did you mean "advskew"?');
  assert.is(only(`${HEAD}${VIP}adv-base = 1`), '12: vip[0].adv-base: unknown key; did you mean "advbase"?');
  assert.is(only(`${HEAD}${VIP}[carp]\nadvskew = 1`), '13: carp.advskew: unknown key here; it belongs in [[vip]]');
  assert.match(only(`zzz = 1\n${HEAD}${VIP}`), /^1: zzz: unknown key; allowed: node, interfaces, carp/);
  assert.is(only(`${HEAD}${VIP}[firewal]\nx = 1`), '12: firewal: unknown key; did you mean "firewall"?');
});

load('what is not TOML is refused at its line', () => {
  assert.match(only('a = 1\nb = = 2\n'), /^2: not TOML: /);
  assert.match(only(`${HEAD}${HEAD}`), /^7: not TOML: trying to redefine/);
  assert.match(only('[node]\n__proto__ = 1'), /^2: not TOML: /);
  assert.match(only(`a = ${'['.repeat(100)}${']'.repeat(100)}`), /^1: not TOML: .*nested/);
});

load('no error, warning or print of a configuration shows a password', () => {
  const broken = [
    `${HEAD}${VIP}password_file = "/nonexistent"`,
    HEAD + VIP.replace('password', 'pasword'),
    HEAD + VIP.replace('"hunter2"', '["hunter2"]'),
    HEAD + VIP.replace('"hunter2"', '{ text = "hunter2" }'),
    HEAD + VIP.replace('"hunter2"', '"hunter2hunter2hunter2"'),
    HEAD + VIP.replace('"hunter2"', '"hunter2" x'),
    HEAD + VIP.replace('"hunter2"', '"hunter2'),
    `${HEAD}[carp]\npassword = "hunter2"`,
    `${HEAD}[vip]\npassword = "hunter2"`,
    // A quote that is not closed swallows the password below it.
    HEAD + VIP.replace('interface = "wan"', `mac = '''`).replace('"hunter2"', `"hunter2"'''`),
    `password = "hunter2"\n${HEAD}`,
    HEAD + VIP.replace('vhid = 1', 'vhid = 0'),
  ];
  for (const text of broken) {
    const result = parsed(text);
    assert.not.ok(result.ok, text);
    assert.not.match(inspect(result, { depth: 9 }) + errors(result).join(), /hunter2/);
  }
  const config = good(HEAD + VIP);
  assert.not.match(JSON.stringify(config) + inspect(config, { depth: 9, showHidden: true }), /hunter2/);
});

load('exactly one of password and password_file', () => {
  const path = file('password', 'from a file\n');
  const both = `${HEAD}${VIP}password_file = "${path}"`;
  assert.match(only(both), /^12: vip\[0\]\.password_file: found both, allowed exactly one/);
  assert.match(
    only(HEAD + VIP.replace('password = "hunter2"\n', '')),
    /^7: vip\[0\]: found neither, allowed exactly one/,
  );
  const config = good(HEAD + VIP.replace('password = "hunter2"', `password_file = "${path}"`));
  assert.is(config.vip[0]?.password.reveal().toString(), 'from a file');
  assert.match(
    only(HEAD + VIP.replace('password = "hunter2"', 'password_file = "/nonexistent"')),
    /^11: vip\[0\]\.password_file: cannot read \/nonexistent: no such file$/,
  );
});

load('passwords of 20 bytes and empty ones are pointed out, longer ones refused', () => {
  const password = (text: string) => parsed(HEAD + VIP.replace('hunter2', text));
  assert.equal(warnings(password('x'.repeat(19))), []);
  assert.match(warnings(password('x'.repeat(20))).join(), /19 at most/);
  assert.match(warnings(password('')).join(), /empty/);
  assert.match(errors(password('ä'.repeat(11))).join(), /found 22 bytes, allowed at most 20 bytes/);
});

load('files that others will read must be there', () => {
  assert.match(only(`${HEAD}${VIP}[firewall]\nrules = "/nonexistent"`), /^13: firewall\.rules: cannot read/);
  assert.match(warnings(parsed(`${HEAD}${VIP}[hooks]\non_event = "/nonexistent"`)).join(), /cannot run/);
  assert.match(warnings(parsed(`${HEAD}${VIP}[replicate]\nfrom = "fw-a"`)).join(), /key_file/);
});

load('the control socket has a path that fits', () => {
  const control = (path: string) => errors(parsed(HEAD.replace('"fw-a"', `"fw-a"\ncontrol = "${path}"`) + VIP));
  assert.equal(control(`/${'x'.repeat(106)}`), []);
  assert.match(control(`/${'x'.repeat(107)}`).join(), /at most 107 bytes/);
  assert.match(control('control.sock').join(), /absolute path/);
});

load('files are read with care', () => {
  const refused = (path: string) => errors(loadConfig(path)).join('\n');
  assert.ok(loadConfig(file('ok.toml', HEAD + VIP)).ok);
  assert.match(
    refused(join(dir, 'absent.toml')),
    /absent\.toml:1: cannot read it: no such file; give its place with --config/,
  );
  assert.match(refused(dir), /not a regular file/);
  assert.match(refused('/dev/zero'), /not a regular file/);
  assert.match(refused(file('latin.toml', Buffer.from('[node]\nname = "\xe9"\n', 'latin1'))), /not UTF-8/);
  assert.match(refused(file('big.toml', '#'.repeat((1 << 20) + 1))), /allowed at most 1048576/);
  assert.match(warnings(parseConfig(HEAD + VIP, FILE, true)).join(), /chmod 600/);
});

load.run();
