/** Rules of any program that drop what the nodes send each other, as `nft -j list ruleset` gives them. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ruleDrops } from '../../../src/kernel/nft-drops.ts';

const test = suite("nft: who drops the nodes' packets");

const chain = (policy: string, change = {}): object => ({
  chain: { family: 'inet', table: 'filter', name: 'input', type: 'filter', hook: 'input', prio: 0, policy, ...change },
});
const rule = (...expr: object[]): object => ({ rule: { family: 'inet', table: 'filter', chain: 'input', expr } });
const match = (left: object, right: unknown, op = '=='): object => ({ match: { op, left, right } });
const l4 = { meta: { key: 'l4proto' } };
const source = { payload: { protocol: 'ip', field: 'saddr' } };
const accept = { accept: null };
const drop = { drop: null };
const told = (...entries: object[]): string[] =>
  ruleDrops({ nftables: entries }, ['10.99.0.2']).map(({ what, by }) => `${what.split(' ')[0]} by ${by}`);

test('a policy of drop without a rule that lets them in', () => {
  const established = rule(match({ ct: { key: 'state' } }, ['established', 'related'], 'in'), accept);
  const lo = rule(match({ meta: { key: 'iifname' } }, 'lo'), accept);
  const ssh = rule(match({ payload: { protocol: 'tcp', field: 'dport' } }, 22), accept);
  assert.equal(told(chain('drop'), lo, established, ssh), ['adverts by policy drop', 'sync by policy drop']);
  assert.equal(told(chain('drop'), rule(match(l4, { set: [112, 240] }), accept)), []);
  assert.equal(told(chain('drop'), rule(match(l4, 'vrrp'), accept)), ['sync by policy drop']);
  assert.equal(told(chain('drop'), rule(match({ meta: { key: 'iifname' } }, 'eth1'), accept)), [], 'may be the one');
  assert.equal(told(chain('drop'), rule({ jump: { target: 'more' } })), [], 'nobody knows');
  assert.equal(told(chain('accept'), lo), []);
});

test('a rule that drops them', () => {
  assert.equal(told(chain('accept'), rule(match(l4, 112), drop)), ['adverts by a rule']);
  assert.equal(told(chain('accept'), rule(match(l4, 112, '!='), drop)), ['sync by a rule']);
  assert.equal(told(chain('accept'), rule(match(source, { prefix: { addr: '10.99.0.0', len: 24 } }), drop)), [
    'packets by a rule',
  ]);
  assert.equal(told(chain('accept'), rule(match(source, '10.99.0.9'), drop)), []);
});

test("Carpio's own table, other hooks and nonsense say nothing", () => {
  const own = { family: 'inet', table: 'carpio' };
  assert.equal(told({ chain: { ...own, name: 'input', type: 'filter', hook: 'input', policy: 'drop' } }), []);
  assert.equal(told(chain('drop', { hook: 'forward' })), []);
  assert.equal(ruleDrops(null, []), []);
  assert.equal(ruleDrops({ nftables: [null, 7, { chain: 'x' }, { rule: { expr: 'x' } }] }, []), []);
});

test.run();
