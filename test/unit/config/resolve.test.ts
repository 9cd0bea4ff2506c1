import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { virtualDevice } from '../../../src/config/devices.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { formatError } from '../../../src/config/problem.ts';
import { type LinkAddresses, resolveVips } from '../../../src/config/resolve.ts';
import { advertIntervalMs, takeoverMs } from '../../../src/config/timing.ts';
import { nearest } from '../../../src/contract/nearest.ts';
import { macvlanName } from '../../../src/gate/vip.ts';
import timers from '../../vectors/data/carp-timers.json' with { type: 'json' };

const resolve = suite('config: roles, devices and times');

const LINKS: LinkAddresses[] = [
  { device: 'eth0', addresses: ['203.0.113.2/24', '2001:db8:0:1::2/64', 'fe80::1/64'] },
  { device: 'eth1', addresses: ['10.0.0.2/8', '192.168.1.2/24', 'fe80::2/64'] },
  { device: 'eth2', addresses: ['10.99.0.1/24', 'fe80::3/64'] },
  { device: 'eth9', addresses: ['198.51.100.1/24'] },
];

function resolved(addresses: string, extra = ''): string {
  const text = `[node]\nname="a"\n[interfaces]\nwan="eth0"\nlan="eth1"\nsync="eth2"\n[[vip]]\nvhid=1\npassword="p"\naddresses=${addresses}\n${extra}`;
  const result = parseConfig(text, 'f');
  if (!result.ok) throw new Error(result.errors.map(formatError).join());
  const answer = resolveVips(result.config, LINKS);
  if (!answer.ok) return answer.errors.map(formatError).join('\n');
  return answer.vips.map((vip) => `${vip.interface} ${vip.device} ${vip.virtual_device}`).join(', ');
}

resolve('an interface left out is the one whose own subnet holds the address', () => {
  assert.is(resolved('["203.0.113.1/24"]'), 'wan eth0 carp1-wan');
  assert.is(resolved('["192.168.1.1/24"]'), 'lan eth1 carp1-lan');
  assert.is(resolved('["2001:db8:0:1::1/64"]'), 'wan eth0 carp1-wan');
  assert.is(resolved('["203.0.113.1/24"]', 'mac = "physical"'), 'wan eth0 null');
});

resolve('the most exact subnet wins', () => {
  assert.is(resolved('["10.99.0.9/24"]'), 'sync eth2 carp1-sync');
  assert.is(resolved('["10.98.0.9/24"]'), 'lan eth1 carp1-lan');
});

resolve('no or several interfaces: refused, with the line', () => {
  assert.match(resolved('["198.51.100.9/24"]'), /^f:7: vip\[0\]\.interface: left out, but no role has/);
  assert.match(resolved('["203.0.113.1/24", "192.168.1.1/24"]'), /left out, but wan and lan both have/);
  // fe80::/10 is everywhere and decides nothing.
  assert.match(resolved('["fe80::5/64"]'), /no role/);
  assert.is(resolved('["fe80::5/64", "203.0.113.1/24"]'), 'wan eth0 carp1-wan');
});

resolve('a named interface needs no address', () => {
  assert.is(resolved('["198.51.100.9/24"]', 'interface = "lan"'), 'lan eth1 carp1-lan');
});

resolve('fe80::1 is a router on every link: allowed on each interface, once', () => {
  const on = (role: string, vhid: number): string =>
    `interface = "${role}"\n[[vip]]\nvhid=${vhid}\npassword="p"\naddresses=["fe80::1/64"]\n`;
  const last = (role: string): string => `${on('wan', 2)}interface = "${role}"`;
  assert.is(resolved('["fe80::1/64"]', last('lan')), 'wan eth0 carp1-wan, lan eth1 carp2-lan');
  assert.match(resolved('["fe80::1/64"]', last('wan')), /found fe80::1\/64, which vip\[0\] already has on eth0/);
});

resolve('a vhid used twice shows once the interfaces are known', () => {
  const second = '[[vip]]\nvhid=1\npassword="p"\naddresses=["203.0.113.9/24"]\n';
  assert.match(
    resolved('["203.0.113.1/24"]', second),
    /vip\[1\]\.vhid: found 1: vhid 1 on eth0 is already that of vip\[0\]/,
  );
  assert.is(resolved('["192.168.1.1/24"]', second), 'lan eth1 carp1-lan, wan eth0 carp1-wan');
});

resolve('virtual devices are called as the election calls them', () => {
  assert.is(virtualDevice(1, 'wan'), 'carp1-wan');
  for (const role of ['wan', 'sevenle', 'eightlet', 'administration', 'office-north1']) {
    for (const vhid of [1, 10, 255]) {
      assert.is(virtualDevice(vhid, role), macvlanName(vhid, role));
      assert.ok(virtualDevice(vhid, role).length <= 15);
    }
  }
});

resolve('take-over times are those of the vectors', () => {
  let compared = 0;
  for (const { advbase, advskew, ...rules } of timers.timers) {
    const rule = 'freebsd_netbsd' in rules ? rules.freebsd_netbsd : rules.openbsd_current;
    if (advbase > 254 || !rule) continue;
    assert.is(takeoverMs({ advbase, advskew }), rule.master_down_us / 1000, `${advbase}/${advskew}`);
    assert.is(advertIntervalMs({ advbase, advskew }), rule.advert_interval_us / 1000, `${advbase}/${advskew}`);
    compared++;
  }
  assert.ok(compared >= 15, `only ${compared}`);
  assert.is(takeoverMs({ advbase: 1, advskew: 0 }), 3000);
  assert.is(takeoverMs({ advbase: 1, advskew: 100 }), 3390.625);
  assert.is(takeoverMs({ advbase: 0, advskew: 0 }), 11.718);
  assert.is(takeoverMs({ advbase: 0, advskew: 8 }), 93.75);
});

resolve('hints', () => {
  const words = ['password', 'password_file', 'advskew', 'advbase', 'vhid'];
  assert.is(nearest('pasword', words), 'password');
  assert.is(nearest('AdvSkew', words), 'advskew');
  assert.is(nearest('vihd', words), 'vhid');
  assert.is(nearest('pass', words), 'password');
  assert.is(nearest('colour', words), null);
  assert.is(nearest('x'.repeat(1000), words), null);
});

resolve.run();
