import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ArgsSpec, parseArgs } from '../../../src/cli/args.ts';

const args = suite('cli: arguments');

const SPEC: ArgsSpec = {
  positionals: ['WEIGHT', '[NAME]'],
  options: [
    { name: 'json', help: '' },
    { name: 'reason', value: 'TEXT', help: '' },
    { name: 'format', value: 'F', help: '', choices: ['text', 'json'] },
  ],
};

const parsed = (...argv: string[]) => {
  const result = parseArgs(argv, SPEC);
  return result.ok ? { ...result.args.options, _: result.args.positionals } : result.error;
};

args('options and positionals in any order', () => {
  assert.equal(parsed('5', '--json', '--reason', 'a b', 'x'), { json: true, reason: 'a b', _: ['5', 'x'] });
  assert.equal(parsed('--reason=a=b', '5'), { reason: 'a=b', _: ['5'] });
  assert.equal(parsed('--reason', '--json', '5'), { reason: '--json', _: ['5'] });
  assert.equal(parsed('--format', 'json', '5'), { format: 'json', _: ['5'] });
});

args('negative numbers, "-" and what follows "--" are values', () => {
  assert.equal(parsed('-10'), { _: ['-10'] });
  assert.equal(parsed('-', '--', '--json'), { _: ['-', '--json'] });
});

args('mistakes are named', () => {
  assert.is(parsed('5', '--jsn'), 'unknown option "--jsn"; did you mean --json?');
  assert.is(parsed('5', '-x'), 'unknown option "-x"');
  assert.is(parsed('5', '--json=1'), '--json takes no value');
  assert.is(parsed('5', '--reason'), '--reason needs a value: --reason TEXT');
  assert.is(parsed('5', '--reason='), '--reason needs a value: --reason TEXT');
  assert.is(parsed('5', '--json', '--json'), '--json is given twice');
  assert.is(parsed('5', '--format', 'xml'), '--format: found "xml", allowed text, json');
  assert.is(parsed(), 'WEIGHT is missing');
  assert.is(parsed('1', '2', '3'), '"3" is one argument too many');
  assert.is(parsed('5', '--__proto__'), 'unknown option "--__proto__"');
});

args('help is help whatever else is wrong with the positionals', () => {
  assert.equal(parsed('--help'), { help: true, _: [] });
  assert.equal(parsed('-h', '1', '2', '3'), { help: true, _: ['1', '2', '3'] });
});

args('an endless argument makes a bounded message', () => {
  const text = parsed(`--${'x'.repeat(10_000)}`);
  assert.ok(typeof text === 'string' && text.length < 120);
});

args.run();
