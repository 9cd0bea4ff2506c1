import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importConfig } from '../../../src/import/import.ts';
import { entries, importSample, load, sample } from './samples/lib.ts';

const conntrackd = suite('import: conntrackd.conf');

conntrackd('a pair over UDP becomes [sync]', () => {
  const imported = importSample(sample('conntrackd-ftfw.conf'));
  const { config, warnings } = load(imported);
  assert.equal(config.interfaces, { sync: 'eth2' });
  assert.is(config.sync?.interface, 'sync');
  assert.is(config.sync?.peer, '10.99.0.2');
  assert.equal(config.sync?.ignore, ['127.0.0.1/32', '10.99.0.0/30', '::1/128']);
  assert.is(config.sync?.max_states, 524_288);
  assert.is(config.firewall, null);
  assert.is(imported.nft, null);
  assert.match(warnings.join('\n'), /sync is open/);
  assert.equal(entries(imported, 'left out'), []);
  assert.match(entries(imported, 'not needed').join('\n'), /20 not needed ExpectationSync: .* synced without asking/);
  assert.match(entries(imported, 'not needed').join('\n'), /6 not needed DisableExternalCache On: .*no second cache/);
  assert.match(
    entries(imported, 'approximated').join('\n'),
    /Protocol Accept { TCP UDP ICMP }: states of every protocol/,
  );
});

conntrackd('an odd file still gives a configuration that loads, and says what it could not use', () => {
  const imported = importSample(sample('conntrackd-ugly.conf'));
  const { config } = load(imported);
  assert.equal(config.interfaces, { sync: 'eth2' });
  const out = entries(imported, 'left out').join('\n');
  for (const text of [
    'Mode TELEPATHY',
    'Colour',
    'Interface a-device-name',
    'Multicast on eth3',
    'UDP on eth4',
    'HashLimit lots',
    'PollSecs 15',
    'Protocol Ignore',
    'Address Accept',
    '10.0.0.0/99',
    'Hostname',
    'Weekday',
    'Stats',
    'Helper',
    'Surprise',
    'Wave',
  ]) {
    assert.match(out, text, text);
  }
  assert.match(imported.report.advice.join('\n'), /eth2" is a guess/);
});

conntrackd('names and devices from the user win; a file out of balance is refused with its line', () => {
  const options = { name: 'left', devices: new Map([['cable', 'eth2']]) };
  const imported = importConfig('conntrackd', sample('conntrackd-ftfw.conf').text, 'c.conf', options);
  assert.ok(imported.ok);
  if (!imported.ok) return;
  const { config } = load(imported);
  assert.is(config.node.name, 'left');
  assert.equal(config.interfaces, { cable: 'eth2' });
  assert.is(config.sync?.interface, 'cable');
  const bad = importConfig('conntrackd', 'Sync {\n Mode FTFW {\n}\n', 'c.conf');
  assert.is(bad.ok ? '' : bad.error, 'c.conf:4: the file ends inside "Sync" of line 1: a } is missing');
});

conntrackd.run();
