/** Kernel settings that somebody changes are set again and said. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tell } from '../../../src/contract/words.ts';
import type { SettingChanged } from '../../../src/kernel/sysctl.ts';
import { SettingsKeeper } from '../../../src/node/settings-keeper.ts';

const test = suite('node: settings are looked after');

function keeper(found: SettingChanged[][]) {
  const said: string[] = [];
  const one = new SettingsKeeper({
    putBack: () => {
      const next = found.shift();
      if (next === undefined) throw new Error('nothing to read');
      return next;
    },
    publish: (event) => said.push(String(tell(event).text)),
    warn: (message) => said.push(message),
  });
  return { one, said };
}

const changed = (error: string | null): SettingChanged => ({ name: 'net.x', found: '0', value: '1', error });

test('each change is said', () => {
  const { one, said } = keeper([[changed(null)], [], [changed(null)]]);
  for (let i = 0; i < 3; i++) one.look();
  const sentence = 'another program has set net.x to 0; it is 1 again';
  assert.equal(said, [sentence, sentence]);
});

test('one that cannot be set is said once, until it can; what cannot be read ends nothing', () => {
  const { one, said } = keeper([[changed('EROFS')], [changed('EROFS')], [changed(null)], [changed('EROFS')]]);
  for (let i = 0; i < 5; i++) one.look();
  assert.equal(said, [
    'another program has set net.x to 0; it must be 1: EROFS',
    'another program has set net.x to 0; it is 1 again',
    'another program has set net.x to 0; it must be 1: EROFS',
    'kernel settings cannot be looked at: nothing to read',
  ]);
});

test.run();
