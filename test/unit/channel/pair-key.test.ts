/** Which keys of the pair count on a running node, from a reload that brings another one to the end of the change. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Secret } from '../../../src/config/secret.ts';
import type { Config } from '../../../src/config/types.ts';
import { fixedSections } from '../../../src/node/fixed-sections.ts';
import { PairKey } from '../../../src/node/pair-key.ts';
import { configOf, configText } from '../config/configs.ts';

const pairKey = suite("the pair's key of a running node");

const FILE = configText('peer = "10.99.0.2"');
const key = (n: number): Secret => new Secret(Buffer.alloc(32, n));

function config(now: Secret | null, old: Secret | null = null): Config {
  const made = configOf(FILE);
  const sync = made.sync!;
  return { ...made, sync: { ...sync, key: now, keyOld: old, key_file: `/k/${now?.length}`, key_file_old: null } };
}

function scene(begin: Config) {
  const given: number[][] = [];
  const it = new PairKey(begin, (secrets) => given.push(secrets.map(([first]) => first ?? -1)));
  return { it, given };
}

pairKey('a new key in front, the one before behind it, until both have it', () => {
  const { it, given } = scene(config(key(1)));
  assert.is(it.change(config(key(1))), false);
  assert.equal(given, [], 'nothing has changed');
  assert.is(it.change(config(key(2))), true);
  assert.equal(given, [[2, 1]]);
  it.settle();
  assert.equal(given, [[2, 1], [2]]);
  it.settle();
  assert.is(given.length, 2);
});

pairKey(
  'changed again before the peer has followed, and back: all that may be in use still count, four at most',
  () => {
    const { it, given } = scene(config(key(1)));
    for (const n of [2, 3, 1, 4, 5, 6]) it.change(config(key(n)));
    assert.equal(given, [
      [2, 1],
      [3, 2, 1],
      [1, 3, 2],
      [4, 1, 3, 2],
      [5, 4, 1, 3],
      [6, 5, 4, 1],
    ]);
  },
);

pairKey('what the file itself keeps stays after the change', () => {
  const { it, given } = scene(config(key(1)));
  it.change(config(key(2), key(9)));
  it.settle();
  assert.equal(given, [
    [2, 9, 1],
    [2, 9],
  ]);
});

pairKey('from a key to none or from none to one is a matter of the next start, from one to another is not', () => {
  const { it, given } = scene(config(key(1)));
  assert.is(it.change(config(null)), false);
  const open = scene(config(null));
  assert.is(open.it.change(config(key(1))), false);
  assert.equal([given, open.given], [[], []]);
  assert.equal(fixedSections(config(key(1)), config(key(2), key(1))), []);
  assert.equal(fixedSections(config(key(1)), config(null)), ['[sync]']);
  assert.equal(fixedSections(config(null), config(key(1))), ['[sync]']);
});

pairKey.run();
