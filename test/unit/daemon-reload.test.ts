/** A reload says what it cannot change while the node runs. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/types.ts';
import { fixedSections } from '../../src/daemon/fixed-sections.ts';

const reload = suite('reload');

const FILE = `[node]
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
peer = "10.99.0.2"
[feed]
listen = ["127.0.0.1:8180"]
`;

function config(text: string): Config {
  const parsed = parseConfig(text, 'carpio.toml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return parsed.config;
}

reload('nothing changed, nothing said; vips and rules are no matter of a restart', () => {
  assert.equal(fixedSections(config(FILE), config(FILE)), []);
  assert.equal(fixedSections(config(FILE), config(FILE.replace('"one"', '"two"').replace('.1/24', '.5/24'))), []);
});

reload('each section that needs a restart is named', () => {
  const changes: [string, string, string][] = [
    ['[node]', '"fw-a"', '"fw-c"'],
    ['[interfaces]', 'wan = "eth0"', 'wan = "eth7"'],
    ['[sync]', '10.99.0.2', '10.99.0.3'],
    ['[feed]', '8180', '8181'],
    ['[hooks]', '[feed]', '[hooks]\non_event = "/bin/true"\n[feed]'],
  ];
  for (const [section, from, to] of changes) {
    assert.equal(fixedSections(config(FILE), config(FILE.replace(from, to))), [section]);
  }
});

reload.run();
