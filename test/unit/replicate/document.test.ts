/** What is shared, what is own, and what becomes of keys that one of two versions does not know. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveVips } from '../../../src/config/resolve.ts';
import { everyKey } from '../../../src/config/schema.ts';
import { SCOPES, SHARED_KEYS } from '../../../src/config/scope.ts';
import type { Config } from '../../../src/config/types.ts';
import { describeChanges, diffEntries, diffLines } from '../../../src/replicate/diff.ts';
import {
  type Entries,
  entriesHash,
  inForce,
  makeDocument,
  maskEntries,
  sharedEntries,
  unknownKeys,
  unsharedKeys,
} from '../../../src/replicate/document.ts';
import { merge } from '../../../src/replicate/merge.ts';
import { documentSchema } from '../../../src/replicate/messages.ts';
import { configOf } from '../config/configs.ts';

const shared = suite('replicate: what is shared');
const KEY = Buffer.alloc(32, 1);

const TEXT = `[node]
name = "fw-a"
[interfaces]
wan = "eth0"
lan = "eth1"
sync = "eth2"
[carp]
preempt = false
log = 2
[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24"]
password = "pass phrase"
advskew = 7
[[vip]]
vhid = 2
interface = "lan"
addresses = ["10.0.0.1/24"]
password = "other"
peers = ["10.0.0.3"]
[[track]]
kind = "link"
interface = "wan"
[sync]
peer = "10.99.0.2"
ignore = ["10.99.0.0/24"]
[firewall]
forward = true
`;

function entriesOf(config: Config, rules: string | null = 'rules\n'): Entries {
  const resolved = resolveVips(config, []);
  if (!resolved.ok) throw new Error(resolved.errors[0]?.message);
  return sharedEntries(config, resolved.vips, rules);
}

const base = entriesOf(configOf(TEXT));

shared('every key of the schema is either shared or own, and every shared one can travel', () => {
  const keys = everyKey();
  assert.equal(
    keys.filter((key) => SCOPES[key] === undefined),
    [],
    'without a scope',
  );
  assert.equal(
    Object.keys(SCOPES).filter((key) => !keys.includes(key)),
    [],
    'not in the schema',
  );
});

shared('what is own does not travel: no name, device, address, skew, path or key', () => {
  const text = JSON.stringify(base);
  for (const own of ['fw-a', 'eth', '10.99.0.2', '10.0.0.3', 'advskew', 'peers', 'log']) assert.not.match(text, own);
  assert.equal(base['carp.preempt'], false);
  assert.equal(base['vip[wan/1].addresses'], ['203.0.113.1/24']);
  assert.equal([base['vip[wan/1].unicast'], base['vip[lan/2].unicast']], [false, true]);
  assert.equal(base['track[link wan].weight'], 240);
  assert.equal(base['sync.ignore'], ['10.99.0.0/24']);
});

shared('what is own changes no hash, what is shared changes it; the order of sections means nothing', () => {
  const hash = entriesHash(base, KEY);
  const other = TEXT.replace('"fw-a"', '"fw-b"').replace('eth0', 'enp1s0').replace('advskew = 7', 'advskew = 100');
  assert.is(entriesHash(entriesOf(configOf(other.replace('log = 2', 'log = 0'))), KEY), hash);
  const [head = '', first = '', second = '', rest = ''] = TEXT.split(/(?=\[\[vip\]\])|(?=\[\[track\]\])/);
  assert.is(entriesHash(entriesOf(configOf(head + second + first + rest)), KEY), hash);
  for (const [was, now] of [
    ['203.0.113.1/24', '203.0.113.9/24'],
    ['pass phrase', 'pass phrasE'],
    ['preempt = false', 'preempt = true'],
    ['interface = "wan"\n[sync]', 'interface = "lan"\n[sync]'],
    ['10.99.0.0/24', '10.98.0.0/24'],
  ] as const) {
    assert.is.not(entriesHash(entriesOf(configOf(TEXT.replace(was, now))), KEY), hash, now);
  }
  assert.is.not(entriesHash(base, Buffer.alloc(32, 2)), hash, 'and it is keyed');
});

shared('pass phrases are tags in what is compared, and never in what is shown', () => {
  const masked = maskEntries(base, KEY);
  const changed = maskEntries(entriesOf(configOf(TEXT.replace('pass phrase', 'secret thing'))), KEY);
  const lines = describeChanges(diffEntries(masked, changed));
  assert.equal(lines, ['vip[wan/1].password: another pass phrase']);
  const phrases = ['pass phrase', 'secret thing', 'other'].flatMap((p) => [p, Buffer.from(p).toString('base64')]);
  for (const phrase of phrases) assert.not.ok(JSON.stringify([masked, changed]).includes(phrase), phrase);
  const same = describeChanges(diffEntries(masked, maskEntries(base, KEY)));
  assert.equal(same, []);
});

shared('a difference is shown key by key, texts by their lines', () => {
  const now: Entries = { ...base, 'firewall.rules': 'one\ntwo\nthree\n', 'carp.preempt': true };
  const was: Entries = { ...base, 'firewall.rules': 'one\nthree\nfour\n' };
  delete was['vip[lan/2].mac'];
  assert.equal(describeChanges(diffEntries(was, now)), [
    'carp.preempt: false -> true',
    'firewall.rules: changed',
    '  +2 two',
    '  -3 four',
    'vip[lan/2].mac: new, virtual',
  ]);
});

shared('two texts of 20,000 lines each that have nothing in common are told in bounded time', () => {
  const text = (word: string): string[] => Array.from({ length: 20_000 }, (_, i) => `${word} ${i}`);
  const begun = performance.now();
  const lines = diffLines(text('a'), text('b'));
  assert.equal([lines.length, lines.at(-1)], [41, '… and 39960 more lines differ']);
  assert.ok(performance.now() - begun < 5000);
});

const ownOf = (text: string): { document: Record<string, unknown>; vips: ReturnType<typeof vipsOf> } => ({
  document: {
    node: { name: 'fw-b' },
    interfaces: { wan: 'p1', lan: 'p2' },
    carp: { log: 0 },
    feed: { listen: [] },
    sync: { peer: 'x' },
  },
  vips: vipsOf(text),
});
function vipsOf(text: string) {
  const resolved = resolveVips(configOf(text), []);
  if (!resolved.ok) throw new Error('not resolved');
  return resolved.vips;
}

shared("a replica's own parts stay, the shared ones are the source's", () => {
  const own = ownOf(TEXT.replace('advskew = 7', 'advskew = 99').replace('203.0.113.1', '203.0.113.200'));
  const result = merge(own.document, own.vips, makeDocument('fw-a', '1', base));
  assert.ok(result.ok);
  const { document, passwords, rules } = result.merged;
  assert.equal(
    [document.node, document.interfaces, document.feed],
    [own.document.node, own.document.interfaces, own.document.feed],
  );
  assert.equal(document.carp, { log: 0, preempt: false });
  assert.equal(document.sync, {
    peer: 'x',
    sync_when: 'answered',
    ignore: ['10.99.0.0/24'],
    defer: false,
    defer_ms: 20,
  });
  const [first, second] = document.vip as Record<string, unknown>[];
  assert.equal([first?.advskew, first?.addresses, first?.peers], [99, ['203.0.113.1/24'], []]);
  assert.equal([second?.advskew, second?.peers], [0, ['10.0.0.3']]);
  assert.equal(passwords.map(String), ['pass phrase', 'other']);
  assert.is(rules, 'rules\n');
});

shared('a new vhid gets the skew that most have; a unicast one needs peers of its own', () => {
  const own = ownOf(TEXT);
  const third = { 'vip[lan/3].addresses': ['10.0.0.9/24'], 'vip[lan/3].unicast': false, 'vip[lan/3].password': '' };
  const result = merge(own.document, own.vips.slice(0, 1), makeDocument('fw-a', '1', { ...third }));
  assert.ok(result.ok);
  assert.is((result.merged.document.vip as Record<string, unknown>[])[0]?.advskew, 7);
  const refused = merge(own.document, [], makeDocument('fw-a', '1', base));
  assert.not.ok(refused.ok);
  if (!refused.ok) assert.match(refused.errors[0] ?? '', /vhid 2 on lan is unicast, .* names no peers/);
});

shared('a key of a newer version is kept and named, without effect; both hashes are the same', () => {
  const newer: Entries = { ...base, 'carp.colour': 'blue', 'vip[wan/1].weight': 3, 'dhcp.pool': ['a', 'b'] };
  const document = makeDocument('fw-a', '9', newer);
  assert.equal(unknownKeys(document), ['carp.colour', 'dhcp.pool', 'vip[wan/1].weight']);
  const own = ownOf(TEXT);
  const result = merge(own.document, own.vips, document);
  assert.ok(result.ok);
  assert.equal(result.merged.document.dhcp, undefined);
  assert.not.match(JSON.stringify(result.merged.document), 'blue');
  assert.is(entriesHash(inForce(base, document), KEY), entriesHash(newer, KEY));
});

shared('a key that an older version does not share keeps its own value; both hashes are the same', () => {
  const older = Object.fromEntries(Object.entries(base).filter(([key]) => key !== 'sync.defer'));
  const document = { ...makeDocument('fw-a', '0', older), shares: SHARED_KEYS.filter((key) => key !== 'sync.defer') };
  assert.equal(unsharedKeys(document), ['sync.defer']);
  const mine = { ...base, 'sync.defer': true };
  assert.is(entriesHash(inForce(mine, document), KEY), entriesHash(older, KEY));
});

shared('what travels passes its own check, and a damaged one does not', () => {
  const document = makeDocument('fw-a', '1', base);
  assert.equal(documentSchema.parse(JSON.parse(JSON.stringify(document))), JSON.parse(JSON.stringify(document)));
  const odd: unknown[] = [
    null,
    [],
    { ...document, entries: { 'a.b': { c: { d: {} } } } },
    { ...document, entries: { 'a.b': 'x'.repeat(2 * 1024 * 1024 + 1) } },
    { ...document, entries: Object.fromEntries(Array.from({ length: 20_001 }, (_, i) => [`a.k${i}`, 1])) },
    { ...document, node: '' },
    { ...document, shares: 'all' },
  ];
  for (const one of odd) assert.not.ok(documentSchema.safeParse(one).success);
});

shared('the page that describes it names every shared key', () => {
  const page = readFileSync(new URL('../../../docs/replicate.md', import.meta.url), 'utf8');
  for (const key of SHARED_KEYS) assert.ok(page.includes(`\`${key}\``), key);
});

shared.run();
