import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { gatherFacts } from '../../../src/cli/check/facts.ts';
import type { Finding } from '../../../src/cli/check/finding.ts';
import type { SystemFacts } from '../../../src/cli/check/system-facts.ts';
import { checkAll, renderFindings } from '../../../src/cli/check.ts';
import { painter } from '../../../src/cli/text.ts';
import { parseConfig } from '../../../src/config/load.ts';
import type { KernelProbe } from '../../../src/contract/kernel-probe.ts';

const check = suite('cli: check');

const CONFIG = `[node]
name = "fw-a"
[interfaces]
wan = "eth0"
lan = "eth1"
sync = "eth2"
[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24", "2001:db8::1/64"]
password = "hunter2"
[[vip]]
vhid = 2
addresses = ["192.168.1.1/24"]
password = "hunter2"
advskew = 100
[sync]
peer = "10.99.0.2"
[firewall]
`;

const device = (...addresses: string[]) => ({ operstate: 'up', carrier: true, mtu: 1500, addresses });
const good = { ok: true, found: 'tried', mend: null };

const HEALTHY: SystemFacts = {
  uid: 0,
  capabilities: { net_admin: true, net_raw: true },
  kernel: '6.12.1-amd64',
  sysctls: {
    'net.netfilter.nf_conntrack_max': 262144,
    'net.netfilter.nf_conntrack_count': 10,
    'net.netfilter.nf_conntrack_events': 1,
    'net.netfilter.nf_conntrack_tcp_be_liberal': 1,
    'net.ipv4.ip_forward': 1,
    'net.ipv6.conf.all.forwarding': 1,
    'net.ipv4.conf.all.rp_filter': 0,
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
  },
  devices: {
    lo: device('127.0.0.1/8'),
    eth0: device('203.0.113.2/24', '2001:db8::2/64'),
    eth1: device('192.168.1.2/24'),
    eth2: device('10.99.0.1/24'),
  },
  nft: '/usr/sbin/nft',
  configPath: '/etc/carpio/carpio.toml',
  configNamed: true,
  config: parseConfig(CONFIG, '/etc/carpio/carpio.toml'),
  probes: { conntrackNetlink: good, nft: good, macvlan: good, gate: good, rawSocket: good },
  files: [{ path: '/etc/carpio/pair.key', what: "the pair's key", mode: 0o600 }],
  rivals: [],
  node: null,
  path: { largest: 1500, rtt_ms: 0.3, failed: null },
  clock: Date.UTC(2026, 5, 1),
};

const withConfig = (change: (text: string) => string): SystemFacts => ({
  ...HEALTHY,
  config: parseConfig(change(CONFIG), '/etc/carpio/carpio.toml'),
});
const withSysctl = (name: string, value: number | undefined): SystemFacts => {
  const { [name]: _, ...others } = HEALTHY.sysctls;
  return { ...HEALTHY, sysctls: value === undefined ? others : { ...others, [name]: value } };
};
const withDevice = (name: string, change: Partial<SystemFacts['devices'][string]> | null): SystemFacts => {
  const { [name]: before, ...others } = HEALTHY.devices;
  return { ...HEALTHY, devices: change === null ? others : { ...others, [name]: { ...before!, ...change } } };
};

const line = ({ level, topic, found }: Finding) => `${level} ${topic}: ${found}`;
/** What is not ok, as lines. */
const trouble = (facts: SystemFacts) =>
  checkAll(facts)
    .filter(({ level }) => level !== 'ok')
    .map(line);
/** The one thing that is not ok, besides what a healthy machine has to say about this configuration. */
function only(facts: SystemFacts): string {
  const usual = trouble(HEALTHY);
  const list = trouble(facts).filter((text) => !usual.includes(text));
  assert.is(list.length, 1, list.join('\n') || 'nothing found');
  return list[0]!;
}

check('a healthy machine: no error, and the one warning is about the missing key', () => {
  assert.is(HEALTHY.config.ok, true);
  assert.equal(trouble(HEALTHY), [
    'warning configuration: /etc/carpio/carpio.toml:17: sync: sync is open: whoever is on that link can read and change the states; set key_file',
  ]);
  const lines = checkAll(HEALTHY).map(line);
  assert.ok(lines.includes('ok vhid 1 on wan: 203.0.113.1/24 2001:db8::1/64, takes over after 3.000 s, multicast'));
  assert.ok(lines.includes('ok vhid 2 on lan: 192.168.1.1/24, takes over after 3.391 s, multicast'));
  assert.ok(lines.includes('ok sync peer: 10.99.0.2 is on eth2'));
  assert.not.match(lines.join('\n'), /hunter2/);
});

check('privileges and kernel', () => {
  assert.match(
    only({ ...HEALTHY, uid: 1000, capabilities: { net_admin: false, net_raw: true } }),
    /^error .*without CAP_NET_ADMIN$/,
  );
  assert.match(
    only({ ...HEALTHY, uid: 1000, capabilities: { net_admin: false, net_raw: false } }),
    /CAP_NET_ADMIN and CAP_NET_RAW$/,
  );
  assert.match(only({ ...HEALTHY, capabilities: null }), /^warning privileges/);
  assert.match(only({ ...HEALTHY, kernel: '4.9.0' }), /^warning kernel: Linux 4\.9\.0/);
  assert.match(only({ ...HEALTHY, kernel: 'strange' }), /^warning kernel/);
  const probes = { ...HEALTHY.probes!, macvlan: { ok: false, found: 'refused: EOPNOTSUPP', mend: 'modprobe macvlan' } };
  assert.is(only({ ...HEALTHY, probes }), 'error macvlan: refused: EOPNOTSUPP');
  assert.match(only({ ...HEALTHY, nft: null }), /^error nft program: not found/);
});

check('connection tracking', () => {
  const name = (leaf: string) => `net.netfilter.nf_conntrack_${leaf}`;
  assert.match(only(withSysctl(name('max'), undefined)), /^error conntrack: connection tracking is not in this kernel/);
  assert.match(only(withSysctl(name('events'), 0)), /^error conntrack events/);
  assert.match(only(withSysctl(name('events'), 2)), /^warning conntrack events.*begin before carpio run/);
  assert.match(only(withSysctl(name('events'), undefined)), /^error conntrack events/);
  assert.match(only(withSysctl(name('tcp_be_liberal'), 0)), /^warning tcp window/);
  assert.match(only(withSysctl(name('count'), 250_000)), /^warning conntrack table: .*nearly full/);
  assert.match(only(withSysctl(name('max'), 4_000_000)), /^warning conntrack table: .*max_states = 1048576/);
});

check('forwarding', () => {
  assert.equal(trouble(withSysctl('net.ipv4.ip_forward', 0)), trouble(HEALTHY)); // [firewall] forward switches it on
  const off = withConfig((text) => `${text}forward = false\n`);
  assert.equal(trouble(off), trouble(HEALTHY));
  const sysctls = { ...off.sysctls, 'net.ipv6.conf.all.forwarding': 0 };
  assert.match(only({ ...off, sysctls }), /^warning IPv6 forwarding: .*forwards nothing/);
});

check('devices', () => {
  assert.match(
    only(withConfig((text) => text.replace('"eth1"', '"eth11"').replace('advskew = 100', 'interface = "lan"'))),
    /^error lan \(eth11\): no such device; there is eth0, eth1, eth2; did you mean eth1\?$/,
  );
  assert.is(only(withDevice('eth0', { carrier: false })), 'error wan (eth0): has no link');
  assert.is(only(withDevice('eth0', { operstate: 'down', carrier: null })), 'error wan (eth0): is down');
  assert.match(only(withDevice('eth2', { addresses: null })), /^error sync \(eth2\): is not up/);
  // What the kernel does not tell is no trouble: loopback-like devices have no operstate, other namespaces no sysfs.
  assert.equal(trouble(withDevice('eth0', { operstate: 'unknown' })), trouble(HEALTHY));
  assert.equal(trouble(withDevice('eth0', { operstate: null, carrier: null, mtu: null })), trouble(HEALTHY));
});

check('virtual addresses against the addresses of their device', () => {
  assert.match(
    only(withDevice('eth0', { addresses: ['203.0.113.2/24'] })),
    /^error vhid 1 on wan: 2001:db8::1\/64: eth0 has no IPv6 address/,
  );
  assert.match(
    only(withDevice('eth0', { addresses: ['203.0.113.1/24', '2001:db8::2/64'] })),
    /is also eth0's own address$/,
  );
  assert.match(
    only(withDevice('eth0', { addresses: ['198.51.100.2/24', '2001:db8::2/64'] })),
    /^warning vhid 1 on wan: 203\.0\.113\.1\/24 is in no subnet of eth0 \(198\.51\.100\.2\/24\)$/,
  );
  assert.match(
    only(withDevice('eth1', { addresses: ['172.16.0.1/24'] })),
    /^error virtual addresses: .*:12: vip\[1\]\.interface: left out, but no role/,
  );
});

check('what carpio run will change is said, and is no trouble', () => {
  const facts = {
    ...HEALTHY,
    sysctls: { ...HEALTHY.sysctls, 'net.ipv4.conf.all.arp_ignore': 0, 'net.ipv4.conf.eth0.rp_filter': 1 },
  };
  assert.equal(trouble(facts), trouble(HEALTHY));
  const lines = checkAll(facts).map(line);
  assert.match(
    lines.find((text) => text.includes('wan (eth0): carpio run')) ?? '',
    /arp_ignore 0 to 1 .*, rp_filter 1 to 2/,
  );
  assert.not.match(lines.find((text) => text.includes('lan (eth1): carpio run')) ?? '', /rp_filter/);
});

check('sync', () => {
  assert.match(only(withDevice('eth2', { mtu: 1400 })), /^error sync mtu: eth2 has MTU 1400, but \[sync\] mtu = 1500$/);
  assert.match(
    only(withConfig((text) => text.replace('10.99.0.2', '10.98.0.2'))),
    /^error sync peer: 10\.98\.0\.2 is in no subnet of eth2/,
  );
  assert.match(
    only(withConfig((text) => text.replace('10.99.0.2', '10.99.0.1'))),
    /^error sync peer: 10\.99\.0\.1 is this node's own/,
  );
  assert.match(only(withConfig((text) => text.replace(/\[sync\]\npeer.*/, ''))), /^warning sync: no \[sync\] section/);
});

check('what came back on the sync link', () => {
  const path = (change: Partial<NonNullable<SystemFacts['path']>>) => ({
    ...HEALTHY,
    path: { largest: 1500, rtt_ms: 0.3, failed: null, ...change },
  });
  assert.ok(
    checkAll(HEALTHY).map(line).includes('ok sync link: packets of 1500 bytes pass to 10.99.0.2 and back, 0.3 ms'),
  );
  assert.match(
    only(path({ largest: 1400 })),
    /^error sync link: packets of \[sync\] mtu = 1500 bytes do not pass .*; 1400 do$/,
  );
  assert.match(only(path({ largest: null })), /^warning sync link: 10\.99\.0\.2 does not answer to ping$/);
  assert.match(only(path({ failed: 'EPERM' })), /^warning sync link: could not be tried: EPERM$/);
});

check('devices that cannot carry CARP as they are', () => {
  const odd = (change: NonNullable<SystemFacts['devices'][string]['odd']>) => only(withDevice('eth0', { odd: change }));
  assert.is(odd({ master: 'br0' }), 'error wan (eth0): is a part of br0, so nothing reaches its own addresses');
  assert.match(odd({ wireless: true }), /^warning .*is wireless/);
  assert.match(odd({ noMulticast: true }), /^warning .*takes no multicast$/);
  assert.match(odd({ halfDuplex: true }), /^warning .*half duplex$/);
});

check('a bridge that hands its frames to the rules of IP: named, with a fix', () => {
  const name = 'net.bridge.bridge-nf-call-iptables';
  const bridged = withDevice('eth0', { odd: { bridge: true } });
  assert.equal(trouble(bridged), trouble(HEALTHY), 'no such setting: br_netfilter is not loaded');
  const calls = { ...bridged, sysctls: { ...bridged.sysctls, [name]: 1 } };
  assert.match(
    only(calls),
    /^error wan \(eth0\): is a bridge, and net\.bridge\.bridge-nf-call-iptables = 1: .*every packet$/,
  );
  const fixes = checkAll(calls).flatMap(({ fix }) => (fix === null ? [] : [fix]));
  assert.equal(fixes, [{ kind: 'sysctl', name, value: 0 }]);
});

check("rules of other programs that drop the node's own packets", () => {
  const drops = [{ table: 'inet filter', chain: 'input', what: 'adverts (protocol 112)', by: 'policy drop' }];
  assert.match(
    only({ ...HEALTHY, drops }),
    /^error nftables rules: table inet filter, chain input drops adverts \(protocol 112\)/,
  );
});

check('secret files, rivals, clock, the queue of an account without rights', () => {
  const file = (mode: number) => ({ ...HEALTHY, files: [{ path: '/k', what: "the pair's key", mode }] });
  assert.equal(trouble(file(0o600)), trouble(HEALTHY));
  assert.equal(trouble(file(0o640)), trouble(HEALTHY));
  assert.is(only(file(0o644)), "warning the pair's key: /k: mode 0644: everybody on this machine can read it");
  assert.is(only(file(0o666)), "error the pair's key: /k: mode 0666: others than its owner can change it");
  assert.is(only(file(0o620)), "error the pair's key: /k: mode 0620: others than its owner can change it");
  assert.is(only({ ...HEALTHY, rivals: ['keepalived'] }), 'warning keepalived: runs here too');
  assert.is(only({ ...HEALTHY, clock: 0 }), 'warning clock: 1970-01-01T00:00:00 UTC cannot be right');
  const small = { ...withSysctl('net.core.rmem_max', 212_992), capabilities: { net_admin: false, net_raw: true } };
  assert.ok(trouble(small).some((text) => text.startsWith('warning event buffer: net.core.rmem_max = 212992')));
  assert.equal(trouble(withSysctl('net.core.rmem_max', 212_992)), trouble(HEALTHY), 'with NET_ADMIN it does not count');
});

check('one line about a file, not two', () => {
  const readable = parseConfig(CONFIG, '/etc/carpio/carpio.toml', true);
  const files = [{ path: '/etc/carpio/carpio.toml', what: 'the configuration, with a password in it', mode: 0o644 }];
  assert.match(only({ ...HEALTHY, config: readable, files }), /^warning the configuration, with a password in it/);
});

check('the configuration: its errors, its absence', () => {
  const broken = trouble(withConfig((text) => text.replace('vhid = 1', 'vhid = 300')));
  assert.equal(broken, ['error configuration: /etc/carpio/carpio.toml:8: vip[0].vhid: found 300, allowed 1..255']);
  const none: SystemFacts = { ...HEALTHY, configNamed: false, config: { ok: false, errors: [], warnings: [] } };
  assert.match(trouble(none).join(), /^warning configuration: .*only the machine was looked at$/);
});

check('everything that is not ok and can be mended says how', () => {
  const bad: SystemFacts = {
    ...HEALTHY,
    capabilities: { net_admin: false, net_raw: false },
    sysctls: { 'net.netfilter.nf_conntrack_max': 100, 'net.netfilter.nf_conntrack_count': 100 },
    devices: { lo: device('127.0.0.1/8') },
    nft: null,
  };
  const findings = checkAll(bad).filter(({ level, topic }) => level !== 'ok' && topic !== 'configuration');
  for (const finding of findings.filter(({ topic }) => topic !== 'virtual addresses'))
    assert.type(finding.mend, 'string', line(finding));
  const text = renderFindings(checkAll(bad), painter(false));
  assert.match(text, /CARP and state sync are not possible yet here: \d+ errors, \d+ warnings\n$/);
  assert.match(text, / mend: apt-get install nftables\n/);
});

check('the facts of this machine are gathered without a throw, whatever the probes do', async () => {
  const probe: KernelProbe = {
    conntrackNetlink: async () => good,
    nft: async () => {
      throw new Error('two\nlines');
    },
    gate: async () => good,
    macvlan: () => {
      throw new Error('not even a promise');
    },
    rawSocket: async () => good,
    syncPath: async () => ({ largest: null, rtt_ms: null, failed: null }),
  };
  const sources = { named: '/nonexistent/carpio.toml', probe: async () => probe, node: async () => null, now: () => 0 };
  const facts = await gatherFacts(sources);
  assert.ok(facts.kernel.length > 0);
  assert.ok(Object.hasOwn(facts.devices, 'lo'));
  assert.is(facts.probes?.nft.found, 'could not be tried: two');
  assert.is(facts.probes?.macvlan.ok, false);
  assert.is(facts.config.ok, false);
  const unloadable = await gatherFacts({
    ...sources,
    named: null,
    probe: async () => {
      throw new Error('no native code');
    },
  });
  assert.is(unloadable.probes?.rawSocket.found, 'could not be tried: no native code');
  assert.ok(renderFindings(checkAll(facts), painter(true)).length > 0);
});

check.run();
