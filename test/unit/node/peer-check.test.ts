/** What two nodes compare of themselves: passwords without showing them, the shared configuration part by part. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ResolvedVip } from '../../../src/config/resolve.ts';
import { Secret } from '../../../src/config/secret.ts';
import { comparePasswords, passwordDigests, sharedDigests } from '../../../src/node/control/peer-check.ts';
import { configOf, configText } from '../config/configs.ts';

const compare = suite('peer check');

const vip = (vhid: number, password: string, change: Partial<ResolvedVip> = {}): ResolvedVip => ({
  ...(configOf(configText()).vip[0] as ResolvedVip),
  vhid,
  interface: 'wan',
  device: 'eth0',
  virtual_device: null,
  password: new Secret(Buffer.from(password)),
  ...change,
});
const KEY = Buffer.alloc(32, 7);

compare('passwords: equal, different, on one side only', () => {
  const own = passwordDigests(KEY, 'a'.repeat(32), [vip(1, 'one'), vip(2, 'two'), vip(3, 'three')]);
  const peer = passwordDigests(KEY, 'a'.repeat(32), [vip(1, 'one'), vip(2, 'TWO'), vip(4, 'four')]);
  assert.equal(comparePasswords(own, peer), {
    '1 on wan': true,
    '2 on wan': false,
    '3 on wan': null,
    '4 on wan': null,
  });
});

compare('a digest tells nothing without the key, and nothing the next time', () => {
  const digests = [
    passwordDigests(KEY, 'a'.repeat(32), [vip(1, 'one')]),
    passwordDigests(KEY, 'b'.repeat(32), [vip(1, 'one')]),
    passwordDigests(Buffer.alloc(32, 8), 'a'.repeat(32), [vip(1, 'one')]),
    passwordDigests(KEY, 'a'.repeat(32), [vip(1, 'one', { interface: 'lan' })]),
  ].flatMap((one) => Object.values(one));
  assert.is(new Set(digests).size, digests.length);
  for (const digest of digests) assert.match(digest, /^[0-9a-f]{64}$/);
});

compare('the shared configuration: what is a part of it, and what is a node its own', () => {
  const config = configOf(configText());
  const shared = (vips: ResolvedVip[], rules: string | null = 'rules', text = configText()) =>
    sharedDigests(configOf(text), vips, rules);
  const usual = sharedDigests(config, [vip(1, 'one'), vip(2, 'two')], 'rules');
  assert.equal(shared([vip(2, 'two'), vip(1, 'one')]), usual, 'the order of vhids does not count');
  const own = [vip(1, 'one', { advskew: 100, device: 'enp1s0' }), vip(2, 'x')];
  assert.equal(shared(own), usual, 'skew, devices and passwords are no part of it');
  const parts = (other: Record<string, string>) => Object.keys(usual).filter((part) => usual[part] !== other[part]);
  assert.equal(parts(shared([vip(1, 'one'), vip(2, 'two', { addresses: ['203.0.113.9/24'] })])), ['vip']);
  assert.equal(parts(shared([vip(1, 'one'), vip(2, 'two', { advbase: 2 })])), ['vip']);
  const firewall = '[firewall]\nforward = false';
  const ruled = (rules: string) => shared([vip(1, 'one')], rules, configText('peer = "10.99.0.2"', firewall)).rules;
  assert.is.not(ruled('rules'), ruled('rules '));
  assert.is(ruled('rules'), ruled('rules'));
  const policy = configText('peer = "10.99.0.2"\nsync_when = "all"');
  assert.equal(parts(shared([vip(1, 'one'), vip(2, 'two')], 'rules', policy)), ['policy']);
  const ownSync = configText('peer = "10.99.0.9"\nmtu = 9000\nmax_states = 2048');
  assert.equal(shared([vip(1, 'one'), vip(2, 'two')], 'rules', ownSync), usual);
});

compare.run();
