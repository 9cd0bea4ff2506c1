/**
 * Counterparts of FreeBSD's tests/sys/netinet/carp.sh and its class TestCarp; each names the case it mirrors. (vrrp_v4
 * and vrrp_v6 have none: Carpio speaks CARP only, and test/lab/interop-keepalived holds that VRRP does it no harm.)
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { FIREWALLS, type FirewallName } from '../../scripts/lab/plan.ts';
import { answers, type Edit, neighbourMac, oneMaster, onlyFamily, withPair } from './lib/bsd.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';
import { Sniffer } from './lib/sniff.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const bsd = suite('FreeBSD carp.sh');
const lab = new Lab();
prepare(bsd, () => lab.up());
leaveWhenDone(bsd);

const MAC = '00:00:5e:00:01:02';
const SAME: Edit = (text) => text;

for (const [name, family, address] of [
  ['basic_v4', 4, '10.77.1.1'],
  ['basic_v6', 6, 'fd77:1::1'],
] as const) {
  bsd(`${name}: exactly one master, and the shared address answers`, () =>
    withPair(lab, onlyFamily(family), async (pair) => {
      await oneMaster(pair, 'fw-a');
      assert.ok(await answers(lab, address));
      assert.is(await neighbourMac('client', address), MAC);
    }),
  );
}

bsd('TestCarp: adverts leave with the virtual MAC, to the group, TTL 255', () =>
  withPair(lab, SAME, async (pair) => {
    const wire = await Sniffer.start(lab, 'client', 'eth0');
    await oneMaster(pair, 'fw-a', 2500);
    wire.stop();
    for (const family of [4, 6]) {
      const seen = wire.adverts(2).filter((advert) => advert.family === family);
      assert.ok(seen.length >= 2);
      for (const advert of seen) {
        assert.is(advert.source, MAC);
        assert.is(advert.ttl, 255);
        assert.is(advert.destination, family === 4 ? '01:00:5e:00:00:12' : '33:33:00:00:00:12');
        assert.is(advert.carp.length, 36);
      }
    }
  }),
);

/** Unicast peers on the LAN. Their second addresses end in .224, which FreeBSD once took for multicast (bug 284872). */
const UNICAST: Record<string, { family: 4 | 6; peers: Record<FirewallName, string>; address: string }> = {
  unicast_v4: { family: 4, peers: { 'fw-a': '10.77.1.224', 'fw-b': '10.77.1.225' }, address: '10.77.1.1' },
  unicast_v6: { family: 6, peers: { 'fw-a': 'fd77:1::3', 'fw-b': 'fd77:1::2' }, address: 'fd77:1::1' },
  unicast_ll_v6: {
    family: 6,
    peers: { 'fw-a': 'fe80::77:ff:fe00:103', 'fw-b': 'fe80::77:ff:fe00:102' },
    address: 'fd77:1::1',
  },
};

for (const [name, { family, peers, address }] of Object.entries(UNICAST)) {
  bsd(`${name}: elected by unicast, and a changed advskew does not fall back to multicast`, async () => {
    if (family === 4) {
      await lab.exec('fw-b', ['ip', 'addr', 'replace', '10.77.1.224/24', 'dev', 'eth1']);
      await lab.exec('fw-a', ['ip', 'addr', 'replace', '10.77.1.225/24', 'dev', 'eth1']);
    }
    const edit: Edit = (text, node) =>
      onlyFamily(family)(text, node).replace('vhid = 2\n', `vhid = 2\npeers = ["${peers[node]}"]\n`);
    await withPair(lab, edit, async (pair) => {
      const wire = await Sniffer.start(lab, 'client', 'eth0');
      await oneMaster(pair, 'fw-a', 3500);
      assert.ok(await answers(lab, address));
      await reload(pair['fw-a'].paths.config, pair['fw-a'].pid!, () => logged(pair['fw-a'], 'node.reload').length);
      await oneMaster(pair, 'fw-a', 3500);
      wire.stop();
      const multicast = wire
        .adverts(2)
        .filter((advert) => (Number.parseInt(advert.destination.slice(0, 2), 16) & 1) === 1);
      assert.is(multicast.length, 0, 'no advert went to the group');
    });
  });
}

async function reload(config: string, pid: number, count: () => number): Promise<void> {
  const before = count();
  writeFileSync(config, readFileSync(config, 'utf8').replaceAll('advskew = 0', 'advskew = 10'));
  process.kill(pid, 'SIGHUP');
  await until('the reload', () => count() > before, { withinMs: 5000 });
}

bsd('negative_demotion (bug 259528): -1 on both makes no second master', () =>
  withPair(lab, SAME, async (pair) => {
    await oneMaster(pair, 'fw-a', 500);
    for (const name of FIREWALLS) {
      const answer = await pair[name].ask('sysctl', { name: 'net.inet.carp.demotion', value: -1 });
      assert.ok(answer.ok, JSON.stringify(answer));
    }
    await oneMaster(pair, 'fw-a', 4000);
  }),
);

bsd(
  'nd6_ns_source_mac: what is solicited for the virtual address carries the virtual MAC, and only the master answers',
  () =>
    withPair(lab, onlyFamily(6), async (pair) => {
      await oneMaster(pair, 'fw-a', 500);
      const wire = await Sniffer.start(lab, 'client', 'eth0');
      await lab.exec('fw-a', ['ip', '-6', 'neigh', 'flush', 'dev', 'eth1']);
      await lab.exec('client', ['ip', '-6', 'neigh', 'flush', 'dev', 'eth0']);
      const ping = ['ping', '-6', '-c', '2', '-W', '1', '-I', 'fd77:1::1', 'fd77:1::10'];
      assert.is((await lab.exec('fw-a', ping, { check: false })).code, 0, 'the master can use its virtual address');
      assert.is((await lab.exec('fw-b', ping, { check: false })).code === 0, false, 'the backup cannot');
      await pause(200);
      wire.stop();
      const virtual = 'fd770001000000000000000000000001';
      // Neighbour solicitations (ICMPv6 type 135) from the virtual address.
      const asked = wire.frames.filter(
        ({ etherType, payload }) =>
          etherType === 0x86dd &&
          payload[6] === 58 &&
          payload[40] === 135 &&
          payload.subarray(8, 24).toString('hex') === virtual,
      );
      for (const { source } of asked) assert.is(source, MAC);
      assert.ok(await answers(lab, 'fd77:1::1'));
      assert.is(await neighbourMac('client', 'fd77:1::1'), MAC);
    }),
);

bsd('switch: the role moved by hand (maintenance is the command for it), and back', () =>
  withPair(lab, SAME, async (pair) => {
    await oneMaster(pair, 'fw-a', 500);
    await pair['fw-a'].ask('maintenance', { on: true });
    await oneMaster(pair, 'fw-b', 1500, 5000);
    await pair['fw-a'].ask('maintenance', { on: false });
    await oneMaster(pair, 'fw-a', 1500);
  }),
);

bsd.run();
