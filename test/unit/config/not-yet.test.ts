/** What this version cannot do is refused or said, never silently without effect. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { notYet } from '../../../src/config/not-yet.ts';
import { configOf, configText } from './configs.ts';

const yet = suite('config: not yet');

function found(sync: string, rest = ''): { refused: string[]; said: string[] } {
  const { refused, said } = notYet(configOf(configText(sync, rest)));
  return { refused: refused.map((e) => `${e.line} ${e.key}`), said: said.map((e) => e.key) };
}

yet('an ordinary file: nothing', () => {
  assert.equal(found('peer = "10.99.0.2"'), { refused: [], said: [] });
});

yet('another dialect and an IPv6 peer are refused at their line', () => {
  assert.equal(found('dialect = "openbsd"').refused, ['12 sync.dialect']);
  assert.equal(found('peer = "fd00::2"').refused, ['12 sync.peer']);
});

yet('defer and replication are there', () => {
  assert.equal(found('defer = true').said, []);
  assert.equal(found('', '[replicate]\nfrom = "fw-a"').said, []);
});

yet.run();
