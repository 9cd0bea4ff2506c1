import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SysError } from '../../src/kernel/libc.ts';
import { type LinkInfo, watchLinks } from '../../src/kernel/links.ts';
import { Rtnetlink } from '../../src/kernel/rtnetlink.ts';
import { parseIp } from '../../src/net/ip.ts';
import { virtualMac } from '../../src/net/mac.ts';
import { cable, indexOf, insideNamespace, remove, run, Until } from './kernel-lab.ts';

const links = suite('lab: rtnetlink and the link watch');
let rtnl: Rtnetlink;

links.before.each(() => {
  rtnl = new Rtnetlink();
  cable('e0', 'p0', ['10.9.0.2/24']);
});
links.after.each(() => {
  rtnl.close();
  remove('e0');
});

links('a macvlan is made down, in mode bridge, with our alias and no link-local address of its own', () => {
  const parent = indexOf('e0');
  const made = rtnl.createMacvlan({ name: 'carp7-wan', parent, mac: virtualMac(7), alias: 'carpio fw-a' });
  assert.is(made.kind, 'macvlan');
  assert.is(made.macvlanMode, 4);
  assert.is(made.mac, '00:00:5e:00:01:07');
  assert.is(made.parent, parent);
  assert.not(made.up);
  assert.is(rtnl.link('carp7-wan')?.alias, 'carpio fw-a');
  rtnl.setUp(made.index, true, 'carp7-wan');
  const up = rtnl.link('carp7-wan');
  assert.ok(up?.up);
  assert.ok(up?.carrier);
  assert.equal(
    rtnl.addresses().filter((address) => address.index === made.index),
    [],
  );
  rtnl.setUp(made.index, false, 'carp7-wan');
  assert.not(rtnl.link('carp7-wan')?.up);
  rtnl.deleteLink(made.index, 'carp7-wan');
  rtnl.deleteLink(made.index, 'carp7-wan');
  assert.is(rtnl.link('carp7-wan'), null);
});

links('addresses are added without duplicate detection, twice is fine, and removed, twice is fine', () => {
  const e0 = indexOf('e0');
  const four = parseIp('10.9.0.1')!;
  const six = parseIp('2001:db8::1')!;
  for (let i = 0; i < 2; i++) {
    rtnl.addAddress(e0, four, 24, 'e0', { noPrefixRoute: true });
    rtnl.addAddress(e0, six, 64, 'e0');
  }
  const own = rtnl.addresses().filter((address) => address.index === e0 && address.ours);
  assert.equal(own.map((address) => `${address.address}/${address.prefix}`).sort(), ['10.9.0.1/24', '2001:db8::1/64']);
  assert.ok(own.every((address) => !address.tentative));
  assert.is(
    run('ip route show dev e0')
      .split('\n')
      .filter((line) => line.startsWith('10.9.0.0/24')).length,
    1,
  );
  for (let i = 0; i < 2; i++) {
    rtnl.deleteAddress(e0, four, 24, 'e0');
    rtnl.deleteAddress(e0, six, 64, 'e0');
  }
  assert.is(rtnl.addresses().filter((address) => address.ours).length, 0);
});

links('errors name what was attempted and carry the kernel’s reason', () => {
  const fails = (attempt: () => void, pattern: RegExp): void => {
    try {
      attempt();
      assert.unreachable();
    } catch (error) {
      assert.instance(error, SysError);
      assert.match((error as SysError).message, pattern);
    }
  };
  const parent = indexOf('e0');
  const want = { name: 'carp7-wan', parent, mac: virtualMac(7), alias: 'carpio x' };
  rtnl.createMacvlan(want);
  fails(() => rtnl.createMacvlan(want), /^create macvlan carp7-wan .*EEXIST/);
  fails(() => rtnl.createMacvlan({ ...want, name: 'b', parent: 9999 }), /^create macvlan b .*(ENODEV|EINVAL)/);
  fails(() => rtnl.setUp(9999, true, 'gone'), /^set gone up: .*ENODEV/);
  fails(() => rtnl.addAddress(9999, parseIp('10.0.0.1')!, 24, 'gone'), /^add 10\.0\.0\.1\/24 to gone: .*ENODEV/);
});

links('the watch tells carrier loss, addresses and new devices within 50 ms', async () => {
  const until = new Until();
  let seen: LinkInfo[] = [];
  const watch = watchLinks((now) => {
    seen = now;
    until.poke();
  });
  const find = (name: string): LinkInfo | undefined => seen.find((link) => link.name === name);
  const measure = async (act: () => void, when: () => boolean, what: string): Promise<number> => {
    act();
    const begun = performance.now();
    await until.wait(when, what);
    return performance.now() - begun;
  };
  seen = watch.links();
  assert.ok(find('e0')?.carrier);
  const p0 = indexOf('p0');
  const e0 = indexOf('e0');
  const took = [
    await measure(
      () => rtnl.setUp(p0, false, 'p0'),
      () => find('e0')?.carrier === false,
      'carrier loss',
    ),
    await measure(
      () => rtnl.setUp(p0, true, 'p0'),
      () => find('e0')?.carrier === true,
      'carrier back',
    ),
    await measure(
      () => rtnl.addAddress(e0, parseIp('10.9.0.9')!, 32, 'e0'),
      () => find('e0')?.addresses.some((address) => address.address === '10.9.0.9') ?? false,
      'a new address',
    ),
    await measure(
      () => rtnl.deleteAddress(e0, parseIp('10.9.0.9')!, 32, 'e0'),
      () => !(find('e0')?.addresses.some((address) => address.address === '10.9.0.9') ?? true),
      'an address gone',
    ),
    await measure(
      () => rtnl.createMacvlan({ name: 'carp1-x', parent: e0, mac: virtualMac(1), alias: 'carpio a' }),
      () => find('carp1-x')?.kind === 'macvlan',
      'a new device',
    ),
    await measure(
      () => rtnl.deleteLink(find('carp1-x')!.index, 'carp1-x'),
      () => find('carp1-x') === undefined,
      'a device gone',
    ),
  ];
  console.log(`    link watch: ${took.map((ms) => ms.toFixed(1)).join(', ')} ms`);
  const middle = took.sort((a, b) => a - b)[took.length >> 1]!;
  assert.ok(middle < 50, `took ${took.join(', ')} ms`);
  watch.close();
});

links('a storm that overruns the notification buffer ends in the true state', async () => {
  const until = new Until();
  let seen: LinkInfo[] = [];
  const watch = watchLinks((now) => {
    seen = now;
    until.poke();
  });
  const e0 = indexOf('e0');
  // All of this happens without a turn of the event loop: several megabytes of notifications nobody reads.
  for (let i = 0; i < 8000; i++) rtnl.addAddress(e0, parseIp(`10.50.${i >> 8}.${i & 255}`)!, 32, 'e0');
  for (let i = 1; i < 8000; i++) rtnl.deleteAddress(e0, parseIp(`10.50.${i >> 8}.${i & 255}`)!, 32, 'e0');
  const count = (): number =>
    seen.find((link) => link.name === 'e0')?.addresses.filter((address) => address.address.startsWith('10.50.'))
      .length ?? -1;
  await until.wait(() => count() === 1, 'one of the 8000 addresses left', 10_000);
  watch.close();
});

if (insideNamespace()) links.run();
