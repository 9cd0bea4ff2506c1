/** The manual pages say what the program and its configuration have, and are roff that a formatter takes. */
import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { manPages } from '../../../scripts/lib/man-pages.ts';
import { escapeRoff, inline, markdownPage } from '../../../scripts/lib/man-text.ts';
import { COMMANDS } from '../../../src/cli/registry.ts';
import { everyKey } from '../../../src/config/schema.ts';

const man = suite('manual pages');
const pages = await manPages(process.cwd(), '0.0.0', '2026-01-01');
const HEAD = { name: 'x', section: 1, summary: 's', version: '1', date: '2026-01-01' };

man('carpio(8) has every command, carpio.toml(5) every key', () => {
  const program = pages['carpio.8'] ?? '';
  for (const name of Object.keys(COMMANDS)) assert.ok(program.includes(`.SS ${name}\n`), name);
  const file = pages['carpio.toml.5'] ?? '';
  for (const key of everyKey()) {
    const last = key.split('.').at(-1) ?? '';
    assert.ok(file.includes(escapeRoff(last)), key);
  }
});

man('what a formatter would take for a command is text', () => {
  assert.is(escapeRoff(".so /etc/passwd\n'x\\-"), "\\&.so /etc/passwd\n\\&'x\\e\\-");
  assert.is(inline('a `b-c` **d** [e](f)'), 'a \\fBb\\-c\\fR \\fBd\\fR e');
  const page = markdownPage(
    HEAD,
    '# X\n\n## Y\n\n| key | type | meaning |\n|---|---|---|\n| `k` | int | what |\n\n```\n.x\n```\n',
  );
  assert.ok(page.includes('.SH Y\n.TP\n\\fBk\\fR\nwhat (type: int)\n'));
  assert.ok(page.includes('\n\\&.x\n'));
});

man('groff has nothing to warn of', () => {
  const tried = spawnSync('groff', ['--version']);
  if (tried.error) {
    console.log('skip: groff is not installed');
    return;
  }
  for (const [name, text] of Object.entries(pages)) {
    const result = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-z', '-K', 'utf8'], { input: text, encoding: 'utf8' });
    assert.is(result.stderr, '', name);
  }
});

man.run();
