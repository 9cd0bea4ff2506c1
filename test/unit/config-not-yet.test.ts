/** What this version cannot do is refused or said, never silently without effect. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.ts';
import { notYet } from '../../src/config/not-yet.ts';

const yet = suite('config: not yet');

function found(sync: string, rest = ''): { refused: string[]; said: string[] } {
  const text = `[node]
name = "fw-a"
[interfaces]
wan = "eth0"
sync = "eth2"
[[vip]]
vhid = 1
interface = "wan"
addresses = ["203.0.113.1/24"]
password = "one"
[sync]
${sync}
${rest}`;
  const parsed = parseConfig(text, 'carpio.toml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  const { refused, said } = notYet(parsed.config);
  return { refused: refused.map((e) => `${e.line} ${e.key}`), said: said.map((e) => e.key) };
}

yet('an ordinary file: nothing', () => {
  assert.equal(found('peer = "10.99.0.2"'), { refused: [], said: [] });
});

yet('another dialect and an IPv6 peer are refused at their line', () => {
  assert.equal(found('dialect = "openbsd"').refused, ['12 sync.dialect']);
  assert.equal(found('peer = "fd00::2"').refused, ['12 sync.peer']);
});

yet('defer and replication are said', () => {
  assert.equal(found('defer = true').said, ['sync.defer']);
  assert.equal(found('', '[replicate]\nfrom = "fw-a"').said, ['replicate']);
});

yet.run();
