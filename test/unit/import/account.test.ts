/**
 * Never a silent loss: every element of every sample is accounted for, shown by changing the samples one element at a
 * time.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importConfig } from '../../../src/import/import.ts';
import { Ledger } from '../../../src/import/ledger.ts';
import { importSample, load, samples } from './samples/lib.ts';
import { ancestors, leaves, type Node, textOf, treeOf } from './samples/mutate.ts';

const account = suite('import: every element is accounted for');

function importText(kind: 'pfsense' | 'keepalived' | 'conntrackd', text: string) {
  const result = importConfig(kind, text, 'f');
  if (!result.ok) throw new Error(result.error);
  return result;
}

type Result = ReturnType<typeof importText>;

/** An entry says of an ancestor that all of it is not translated. */
function coveredBy(node: Node, result: Result): boolean {
  const lines = new Set(ancestors(node).map((one) => one.line));
  const names = new Set(ancestors(node).map((one) => one.name));
  return result.report.entries.some((entry) => {
    if (!/^(left out|not needed)$/.test(entry.outcome)) return false;
    // `system: user, group`: several of one parent in one entry, by name.
    return (
      lines.has(entry.line) ||
      entry.what
        .split(/[:,] /)
        .slice(1)
        .some((name) => names.has(name))
    );
  });
}

for (const one of samples()) {
  account(`${one.name}: a name that nobody knows is found wherever it stands`, () => {
    const tree = treeOf(one);
    const all = leaves(tree).filter((node) => node.parent !== null);
    assert.ok(all.length > 10);
    for (const [index, node] of all.entries()) {
      const { name, words } = node;
      const strange = `zz_${index}`;
      node.name = strange;
      node.words = words.length > 0 ? [strange, ...words.slice(1)] : [];
      const result = importText(one.kind, textOf(tree, one.kind));
      const named = result.report.entries.some((entry) => `${entry.what} ${entry.detail}`.includes(strange));
      // Who wrote a rule and when is one thing, whatever is in it.
      const who = ancestors(node).some((up) => up.name === 'created' || up.name === 'updated');
      const where = `${ancestors(node)
        .map((up) => up.name)
        .join(' < ')} line ${node.line}`;
      assert.ok(named || who || coveredBy(node, result), `${name} -> ${strange} in ${where} got lost`);
      node.name = name;
      node.words = words;
    }
  });
}

/** Elements whose absence may change nothing, because they say nothing: bookkeeping, and empty or default values. */
const SAYS_NOTHING =
  /^(id|tracker|time|username|uniqid|type|detail|statetype|tag|tagged|max|max-src-nodes|os|sourceport|poolopts|targetip|targetip_subnet|category|natreflection|noexpand|nobind|gateway|nosync|proto|counters|updatefreq|log|direction|quick|local-port|port|not|nordr|disabled|sequence|source_not|destination_not|source_port|destination_port|enabled|associated-rule-id|staticnatport|ipprotocol|protocol|descr|description|advbase|advskew|password|peer|peer6|any|target|updatefreq|url|floating|destination_net|source_net|enable)$/;

for (const one of samples()) {
  account(`${one.name}: what is taken away is missed`, () => {
    const tree = treeOf(one);
    const plain = (result: Result) => {
      const entries = result.report.entries.map(({ what, outcome, detail }) => `${outcome} ${what} ${detail}`).sort();
      const nft = (result.nft ?? '').replace(/line \d+/g, '');
      const toml = result.toml({ secrets: true, rulesPath: '/x' }).replace(/^# Made by.*/m, '');
      return JSON.stringify([entries, nft, toml]);
    };
    const before = importText(one.kind, textOf(tree, one.kind));
    const whole = plain(before);
    for (const node of leaves(tree)) {
      const { parent } = node;
      if (!parent) continue;
      if (one.kind === 'pfsense' && (SAYS_NOTHING.test(node.name) || node.text === 'any')) continue;
      textOf(tree, one.kind);
      if (coveredBy(node, before)) continue;
      // Of two that say the same, one may go unnoticed.
      if (
        parent.children.some(
          (other) =>
            other !== node &&
            other.name === node.name &&
            other.words.join() === node.words.join() &&
            other.text === node.text,
        )
      )
        continue;
      const { children } = parent;
      parent.children = children.filter((other) => other !== node);
      if (parent.children.length > 0 || one.kind !== 'pfsense') {
        const after = plain(importText(one.kind, textOf(tree, one.kind)));
        assert.is.not(after, whole, `${node.name} ${node.words.join(' ')}${node.text} in ${parent.name} is not missed`);
      }
      parent.children = children;
    }
  });
}

account('every sample gives a configuration that loads, and counts that add up', () => {
  for (const one of samples()) {
    const result = importSample(one);
    load(result);
    const { translated, approximated, not_needed, left_out } = result.report.counts;
    assert.is(translated + approximated + not_needed + left_out, result.report.entries.length);
    for (const entry of result.report.entries) {
      assert.ok(entry.line >= 1 && entry.line <= one.text.split('\n').length);
      assert.ok(entry.what !== '' && !/[\n\r]/.test(entry.what + entry.detail));
      if (entry.outcome === 'left out') assert.ok(entry.detail !== '', `${one.name}: ${entry.what} without a reason`);
    }
  }
});

account('the ledger itself finds what was not looked at (control)', () => {
  const leaf = (name: string, line: number) => ({ name, line, children: [] });
  const seen = leaf('seen', 2);
  const group = { name: 'group', line: 1, children: [seen, leaf('lost', 3)] };
  const ledger = new Ledger();
  ledger.use(seen);
  ledger.sweep({ name: '', line: 1, children: [group, leaf('other', 4)] });
  assert.equal(
    ledger.entries.map(({ line, what, outcome }) => [line, what, outcome]),
    [
      [3, 'lost', 'left out'],
      [4, 'other', 'left out'],
    ],
  );
});

account.run();
