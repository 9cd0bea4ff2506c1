import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MEANINGS } from '../../../scripts/lib/config-meanings.ts';
import { withTables } from '../../../scripts/lib/config-reference.ts';
import { parseConfig } from '../../../src/config/load.ts';
import { formatError } from '../../../src/config/problem.ts';
import { everyKey } from '../../../src/config/schema.ts';
import { advertIntervalMs, takeoverMs } from '../../../src/config/timing.ts';

const document = suite('config: documentation');
const TEXT = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');

/** `section.key` of every table row that begins with a key in code quotes, under the heading of its section. */
function documented(): string[] {
  const keys: string[] = [];
  let section = '';
  for (const line of TEXT.split('\n')) {
    section = /^## \[+([a-z]+)\]+$/.exec(line)?.[1] ?? section;
    const key = /^\| `([a-z_.]+)` \|/.exec(line)?.[1];
    if (key) keys.push(`${section}.${key}`);
  }
  return keys;
}

document('every key of the schema stands in docs/configuration.md, and no other', () => {
  const known = everyKey().filter((key) => key !== 'interfaces');
  assert.ok(known.length >= 39, `${known.length}`);
  const there = documented();
  assert.equal(
    known.filter((key) => !there.includes(key)),
    [],
    'not documented',
  );
  // `tls` is documented as a whole and by its two parts.
  assert.equal(
    there.filter((key) => !known.includes(key) && key !== 'feed.tls'),
    [],
    'documented, but not there',
  );
  assert.match(TEXT, /^## \[interfaces\]$/m);
});

document('its tables are what the schema says: node scripts/config-reference.ts makes them anew', () => {
  assert.is(withTables(TEXT), TEXT);
  const forged = TEXT.replace('| 1..255 |', '| 1..256 |');
  assert.is.not(forged, TEXT);
  assert.is(withTables(forged), TEXT, 'and a table that is wrong is found');
  assert.throws(() => withTables(TEXT.replace('## [hooks]', '## hooks')), /no heading for \[hooks\]/);
  const unknown = Object.keys(MEANINGS).filter((key) => !everyKey().includes(key) && key !== 'feed.tls');
  assert.equal(unknown, [], 'a meaning without a key');
});

document('its example is sound', () => {
  const example = /```toml\n(.*?)```/s.exec(TEXT)?.[1] ?? '';
  const text = example
    .replace(/password_file = .*/g, 'password = "p"')
    .replace(/key_file = .*/, '')
    .replace(/rules = .*/, '');
  const result = parseConfig(text, 'example');
  assert.equal(result.ok ? [] : result.errors.map(formatError), []);
});

document('its table of times is what is computed', () => {
  const rows = [...TEXT.matchAll(/^\| (\d+) \| (\d+) \| ([\d.]+) (m?s) \| ([\d.]+) (m?s) \|$/gm)];
  assert.is(rows.length, 4);
  const shown = (ms: number, unit: string) => (unit === 's' ? (ms / 1000).toFixed(3) : ms.toFixed(0));
  for (const [, base, skew, interval, intervalUnit, takeover, takeoverUnit] of rows) {
    const timers = { advbase: Number(base), advskew: Number(skew) };
    assert.is(interval, shown(advertIntervalMs(timers), intervalUnit!));
    assert.is(takeover, shown(takeoverMs(timers), takeoverUnit!));
  }
});

document.run();
