/** The completion scripts, run by the shells that they are for (a shell that is not here is left out by name). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { completionScript, type Described, SHELLS } from '../../../src/cli/completion/scripts.ts';
import { describeCommands } from '../../../src/cli/registry.ts';

const completion = suite('cli: completion');
const described: Described[] = await describeCommands();

function offered(...words: string[]): string[] {
  const script = completionScript('bash', described);
  const line = words.map((word) => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(carpio ${line}); COMP_CWORD=${words.length}; _carpio; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const result = spawnSync('bash', ['--norc', '-c', `${script}\n${ask}`], { encoding: 'utf8', cwd: '/' });
  assert.is(result.stderr, '');
  return result.stdout.split('\n').filter(Boolean);
}

completion('bash offers commands, options, choices and files', () => {
  assert.equal(offered('sta'), ['status', 'states']);
  assert.equal(offered('status', '--js'), ['--json']);
  assert.equal(offered('maintenance', '').sort(), ['--config', '--help', '--socket', 'off', 'on']);
  assert.ok(offered('import', 'pf').includes('pfsense'));
  assert.equal(offered('run', '--log-format', 'j'), ['json']);
  const here = import.meta.filename;
  assert.equal(offered('check', '--config', here.slice(0, -2)), [here]);
});

completion('every command and every option is in all three', () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell, described);
    for (const { command } of described) {
      assert.match(script, command.name, shell);
      for (const { name } of command.options)
        assert.match(script, shell === 'fish' ? `-l ${name} ` : `--${name}`, shell);
    }
  }
});

for (const shell of ['zsh', 'fish'] as const) {
  const there = spawnSync(shell, ['-c', 'true']).status === 0;
  if (!there) process.stdout.write(`skip: ${shell} is missing (apt-get install ${shell})\n`);
  (there ? completion : completion.skip)(`${shell} reads its script without a complaint`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'completion-'));
    try {
      const file = join(folder, 'carpio');
      writeFileSync(file, completionScript(shell, described));
      const result = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
      assert.is(result.stderr, '');
      assert.is(result.status, 0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

completion.run();
