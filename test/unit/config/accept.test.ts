/** `[sync] accept`: from the file to pairs of networks. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { acceptRules } from '../../../src/config/accept.ts';
import { good, HEAD, only, VIP } from './parsed.ts';

const accept = suite('config: sync.accept');
const VIPS = [{ interface: 'lan', addresses: ['192.168.1.1/24', '2001:db8:1::1/64'] }];

accept('roles, networks, addresses and any become pairs of one family', () => {
  assert.equal(acceptRules(['lan to any'], VIPS), [
    { from: '192.168.1.0/24', to: '0.0.0.0/0' },
    { from: '2001:db8:1::/64', to: '::/0' },
  ]);
  assert.equal(acceptRules(['any to 192.168.1.10'], VIPS), [{ from: '0.0.0.0/0', to: '192.168.1.10/32' }]);
  assert.equal(acceptRules(['10.1.2.3/8 to 2001:db8::/32'], VIPS), [], 'no connection has two families');
});

accept('what names nothing is refused where it stands', () => {
  const list = (text: string): string => `${HEAD}${VIP}[sync]\naccept = [${text}]\n`;
  assert.equal(good(list('"wan to any", "any to 2001:db8::/32"')).sync?.accept, ['wan to any', 'any to 2001:db8::/32']);
  assert.match(
    only(list('"lan to any"')),
    /sync\.accept\[0\].*"lan", a role without virtual addresses: write its network/,
  );
  assert.match(only(list('"any to any", "dmz to any"')), /sync\.accept\[1\].*found "dmz", allowed a role/);
  assert.match(only(list('"wan any"')), /allowed "FROM to TO"/);
});

accept.run();
