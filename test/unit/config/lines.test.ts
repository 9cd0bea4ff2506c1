import { parse } from 'smol-toml';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type KeyPath, TomlLines } from '../../../src/config/toml-lines.ts';

const lines = suite('config: line of a key');

const DOCUMENT = `a = 1 # [not.a.table]
b.c = "x = 1"

[one]
two = [
  10, # ]
  20,
  [ 31,
    32 ],
]
'three four' = '''
[[no]]
''''
"f\\u0069ve" = """
six = "seven\\"""" # after
inline = { k = 1, deep = [
  { m = 1 },
  { m = 2, n = { o = 3 } },
], last = 9 }
[one.sub]
x = 1
[[list]]
q = 1
[list.inner]
r = 2
[[list.more]]
s = 3
[[list.more]]
s = 4
[[list]]
q = 5
[ spaced . "out" ]
y = 1979-05-27T07:32:00Z
[[list.more]]
s = 6
`;

const EXPECTED: [KeyPath, number][] = [
  [['a'], 1],
  [['b', 'c'], 2],
  [['one'], 4],
  [['one', 'two'], 5],
  [['one', 'two', 0], 6],
  [['one', 'two', 1], 7],
  [['one', 'two', 2, 1], 9],
  [['one', 'three four'], 11],
  [['one', 'five'], 14],
  [['one', 'inline', 'k'], 16],
  [['one', 'inline', 'deep', 0, 'm'], 17],
  [['one', 'inline', 'deep', 1, 'n', 'o'], 18],
  [['one', 'inline', 'last'], 19],
  [['one', 'sub', 'x'], 21],
  [['list', 0], 22],
  [['list', 0, 'q'], 23],
  [['list', 0, 'inner', 'r'], 25],
  [['list', 0, 'more', 0, 's'], 27],
  [['list', 0, 'more', 1, 's'], 29],
  [['list', 1], 30],
  [['list', 1, 'q'], 31],
  [['spaced', 'out', 'y'], 33],
  [['list', 1, 'more', 0, 's'], 35],
];

lines('every kind of key has its line', () => {
  parse(DOCUMENT); // it is TOML
  for (const newline of ['\n', '\r\n']) {
    const found = new TomlLines(DOCUMENT.replaceAll('\n', newline));
    for (const [path, line] of EXPECTED) assert.is(found.lineOf(path), line, `${path.join('.')}`);
  }
});

lines('what is missing is reported at the table it is missing from', () => {
  const found = new TomlLines(DOCUMENT);
  assert.is(found.lineOf(['list', 0, 'nothing']), 22);
  assert.is(found.lineOf(['list', 7]), 22);
  assert.is(found.lineOf(['one', 'sub', 'nothing']), 20);
  assert.is(found.lineOf(['nothing', 'at', 'all']), 1);
});

lines('a byte order mark and an empty document do no harm', () => {
  assert.is(new TomlLines('\uFEFF\na = 1').lineOf(['a']), 2);
  assert.is(new TomlLines('').lineOf(['a']), 1);
});

lines('the cost grows with the length only', () => {
  const deep = `${new Array(50_000).fill('a').join('.')} = 1\nb = 2`;
  assert.is(new TomlLines(deep).lineOf(['b']), 2);
});

lines.run();
