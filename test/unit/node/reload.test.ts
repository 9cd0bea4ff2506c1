/** A reload says what it cannot change while the node runs. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fixedSections } from '../../../src/node/fixed-sections.ts';
import { configOf, configText } from '../config/configs.ts';

const reload = suite('reload');

const FILE = configText('peer = "10.99.0.2"', '[feed]\nlisten = ["127.0.0.1:8180"]\n');

reload('nothing changed, nothing said; vips and rules are no matter of a restart', () => {
  assert.equal(fixedSections(configOf(FILE), configOf(FILE)), []);
  assert.equal(fixedSections(configOf(FILE), configOf(FILE.replace('"one"', '"two"').replace('.1/24', '.5/24'))), []);
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
    assert.equal(fixedSections(configOf(FILE), configOf(FILE.replace(from, to))), [section]);
  }
});

reload.run();
