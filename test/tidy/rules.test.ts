/** Each rule of the house, broken once in a small tree of its own: a rule that finds nothing holds nothing. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { circularImports, impureImports, upwardImports } from '../../scripts/tidy/arrows.ts';
import { longLines, unusedExports } from '../../scripts/tidy/exports.ts';
import { missingFiles, missingSections, missingSymbols } from '../../scripts/tidy/mentions.ts';
import { cutSource } from '../../scripts/tidy/source.ts';
import type { Finding, Tree } from '../../scripts/tidy/tree.ts';
import { treeOf } from '../../scripts/tidy/tree.ts';
import { wrongWords } from '../../scripts/tidy/words.ts';

const rules = suite('tidy: each rule, broken once');

const tree = (texts: Record<string, string>): Tree => treeOf(new Map(Object.entries(texts)));
const places = (findings: Finding[]): string[] => findings.map(({ path, line }) => `${path}:${line}`);

rules('an import that points up', () => {
  const texts = {
    'src/net/ip.ts': '\nimport { a } from "x";\nimport { Config } from \'../config/types.ts\';\n',
    'src/config/types.ts': "import { b } from '../net/ip.ts';\n",
  };
  assert.equal(places(upwardImports(tree(texts))), ['src/net/ip.ts:3']);
});

rules('an import that points up inside a room', () => {
  const texts = {
    'src/sync/session/a.ts': "import { b } from '../wire/b.ts';\nimport { c } from '../worker/c.ts';\n",
    'src/sync/wire/b.ts': '',
    'src/sync/worker/c.ts': "import { d } from '../attic/d.ts';\n",
    'src/sync/attic/d.ts': '',
  };
  assert.equal(places(upwardImports(tree(texts))), ['src/sync/session/a.ts:2', 'src/sync/worker/c.ts:1']);
});

rules('a room without a floor, scripts/ that import test/, a product that imports scripts/', () => {
  const texts = {
    'src/cellar/a.ts': "import { b } from '../net/ip.ts';\n",
    'src/net/ip.ts': "import { lab } from '../../scripts/lab.ts';\n",
    'scripts/lab.ts': "import { t } from '../test/t.ts';\n",
    'test/t.ts': '',
  };
  assert.equal(places(upwardImports(tree(texts))), ['src/cellar/a.ts:1', 'src/net/ip.ts:1', 'scripts/lab.ts:1']);
});

rules('a circle of files, and one of folders that no file closes', () => {
  const files = { 'asm/a.ts': "import { b } from './b';\n", 'asm/b.ts': "import { a } from './a';\n" };
  assert.match(circularImports(tree(files))[0]?.found ?? '', 'files in a circle: asm/a.ts > asm/b.ts > asm/a.ts');
  const folders = {
    'src/sync/x/one.ts': "import { b } from '../y/one.ts';\n",
    'src/sync/y/one.ts': '',
    'src/sync/y/two.ts': "import { a } from '../x/two.ts';\n",
    'src/sync/x/two.ts': '',
  };
  assert.match(circularImports(tree(folders))[0]?.found ?? '', 'folders in a circle: src/sync/x > src/sync/y');
  assert.equal(circularImports(tree({ 'src/a.ts': "import { b } from './x/b.ts';\n", 'src/x/b.ts': '' })), []);
});

rules('a pure file with an effect, native code outside kernel/', () => {
  const texts = {
    'src/net/file.ts': "/** Reads. Pure. */\nimport { readFileSync } from 'node:fs';\n",
    'src/net/kind.ts': "/** Pure. */\nimport type { A } from '../kernel/a.ts';\n",
    'src/net/call.ts': "/** Pure. */\nimport { a } from '../kernel/a.ts';\n",
    'src/kernel/a.ts': "import koffi from 'koffi';\n",
    'src/sync/b.ts': "import koffi from 'koffi';\n",
  };
  assert.equal(places(impureImports(tree(texts))), ['src/net/file.ts:1', 'src/net/call.ts:2', 'src/sync/b.ts:1']);
});

rules('comments and pages that name what is not there', () => {
  const texts = {
    'docs/a.md': '# A\n\n## 2. Two\n\nSee `noSuchThing` and docs/b.md.\n',
    'src/a.ts': '/** See a.md section 2, a.md section 7\n * and gone.ts; `realThing`. */\nconst realThing = 1;\n',
  };
  assert.equal(places(missingFiles(tree(texts))), ['docs/a.md:5', 'src/a.ts:2']);
  assert.equal(places(missingSections(tree(texts))), ['src/a.ts:1']);
  assert.equal(places(missingSymbols(tree(texts), new Set())), ['docs/a.md:5']);
  assert.equal(places(missingSymbols(tree(texts), new Set(['noSuchThing']))), []);
});

rules('an export that nobody uses, a line that is too long', () => {
  const long = `// ${'x'.repeat(120)}\n`;
  const texts = { 'src/a.ts': `export const used = 1;\nexport const unused = 2;\n${long}`, 'src/b.ts': 'used;\n' };
  assert.equal(places(unusedExports(tree(texts))), ['src/a.ts:2']);
  assert.equal(places(longLines(tree(texts))), ['src/a.ts:3']);
});

rules('a word that means something else here', () => {
  const texts = {
    'src/sync/a.ts': 'const x: Record<string, 1> = {};\nlet lastRecord; // record\n',
    'src/cli/b.ts': 'record;\n',
  };
  assert.equal(places(wrongWords(tree(texts))), ['src/sync/a.ts:2']);
});

rules('strings, templates and regular expressions are no comments', () => {
  const text = `const a = "// no"; const b = \`/* ${'$'}{\`x\`} */\`; const c = /[/]"/; const d = 4 / 2; // yes\n`;
  const cut = cutSource(text);
  assert.equal(cut.comments, [{ text: '// yes', line: 1 }]);
  assert.is(cut.code.length, text.length);
  assert.not.match(cut.bare, 'no');
});

rules.run();
