import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_LIMITS, readBlocks, type Statement } from '../../../src/import/blocks.ts';

const blocks = suite('import: block files');
const KEEPALIVED = { comments: '#!', variables: true };

const read = (text: string): Statement => {
  const result = readBlocks(text, KEEPALIVED);
  if (!result.ok) throw new Error(`${result.line}: ${result.error}`);
  return result.root;
};

const refused = (text: string): string => {
  const result = readBlocks(text, KEEPALIVED);
  assert.not(result.ok, text.slice(0, 80));
  return result.ok ? '' : `${result.line}: ${result.error}`;
};

blocks('statements, blocks, comments and quotes, with lines', () => {
  const root = read('! head\na 1 2 # three\nb\n{\n c "x { y" \'z\'\n} d { e } f\r\n');
  assert.equal(
    root.children.map((one) => [one.words.join('|'), one.line, one.block, one.children.length]),
    [
      ['a|1|2', 2, false, 0],
      ['b', 3, true, 1],
      ['d', 6, true, 1],
      ['f', 6, false, 0],
    ],
  );
  assert.equal(root.children[1]!.children[0]!.words, ['c', 'x { y', 'z']);
});

blocks('variables are filled in, and stay in view as statements', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is keepalived's own syntax
  const root = read('$IF=eth0\n$BOTH = ${IF} $IF\nuse ${IF}.20 $BOTH $NONE a-$IF\n');
  assert.equal(
    root.children.map((one) => one.words),
    [
      ['$IF', 'eth0'],
      ['$BOTH', 'eth0', 'eth0'],
      ['use', 'eth0.20', 'eth0 eth0', '$NONE', 'a-eth0'],
    ],
  );
});

blocks('a variable of variables cannot blow up', () => {
  const lines = ['$A=xxxxxxxxxxxxxxxx'];
  for (let i = 0; i < 20; i++) lines.push(`$A=$A$A`);
  assert.match(refused(lines.join('\n')), /longer than 4096/);
});

blocks('what is out of balance is refused with its line', () => {
  assert.match(refused('a {\nb\n'), /^\d: the file ends inside "a" of line 1/);
  assert.match(refused('a\n}\n'), /^2: found a } too many/);
  assert.match(refused('{ a }'), /^1: found a { that belongs to nothing/);
  assert.match(refused('a {\n} {\n}'), /^2: found a {/);
  assert.match(refused('a "b'), /^1: a quote/);
  assert.match(refused('a {'.repeat(BLOCK_LIMITS.depth + 2)), /deeper than 32/);
  assert.match(refused('a\n'.repeat(BLOCK_LIMITS.statements + 1)), /more than 100000 statements/);
  assert.match(refused('a '.repeat(BLOCK_LIMITS.words + 2)), /more than 256 words/);
  assert.match(refused('x'.repeat(BLOCK_LIMITS.characters + 1)), /allowed at most/);
});

blocks.run();
