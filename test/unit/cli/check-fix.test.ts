/** `carpio check --fix`: exactly what the findings allow, once, and kept for the next start. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { error, ok, warning } from '../../../src/cli/check/finding.ts';
import { applyFixes, type FixPlaces } from '../../../src/cli/check/fix.ts';

const fixing = suite('cli: check --fix');
let dir = '';
let loaded: string[] = [];

const NAME = 'net.netfilter.nf_conntrack_events';
const FILE = 'carpio-check.conf';

function places(): FixPlaces {
  return {
    proc: join(dir, 'proc'),
    sysctlDir: join(dir, 'sysctl.d'),
    modulesDir: join(dir, 'modules-load.d'),
    modprobe: (name) => {
      loaded.push(name);
      return name === 'absent' ? 'FATAL: Module absent not found.' : null;
    },
  };
}

fixing.before.each(() => {
  dir = mkdtempSync(join(tmpdir(), 'carpio-fix-'));
  loaded = [];
  for (const name of ['proc/net/netfilter', 'sysctl.d', 'modules-load.d'])
    mkdirSync(join(dir, name), { recursive: true });
  writeFileSync(join(dir, 'proc/net/netfilter/nf_conntrack_events'), '0');
});
fixing.after.each(() => rmSync(dir, { recursive: true, force: true }));

const sysctl = (value: number) => ({ fix: { kind: 'sysctl', name: NAME, value } }) as const;

fixing('a sysctl now and for the next start, each once however many findings ask', () => {
  const list = [error('a', 'x', null, sysctl(1)), warning('b', 'x', null, sysctl(1))];
  const done = applyFixes(list, places());
  assert.equal(
    done.map(({ done: good, text }) => `${good} ${text.replace(dir, '')}`),
    [`true ${NAME} = 1`, `true ${NAME} = 1 in /sysctl.d/${FILE}, for the next start`],
  );
  assert.is(readFileSync(join(dir, 'proc/net/netfilter/nf_conntrack_events'), 'utf8'), '1');
  const kept = readFileSync(join(dir, 'sysctl.d', FILE), 'utf8');
  assert.is(kept, `# Made by carpio check --fix.\n${NAME} = 1\n`);
  applyFixes(list, places());
  assert.is(readFileSync(join(dir, 'sysctl.d', FILE), 'utf8'), kept, 'a second time adds nothing');
  applyFixes([error('a', 'x', null, sysctl(2))], places());
  assert.is(readFileSync(join(dir, 'sysctl.d', FILE), 'utf8'), `# Made by carpio check --fix.\n${NAME} = 2\n`);
});

fixing('what is ok is left alone, also when it could be mended', () => {
  assert.equal(applyFixes([ok('a', 'x', sysctl(1)), error('b', 'no fix', 'by hand')], places()), []);
  assert.is(readFileSync(join(dir, 'proc/net/netfilter/nf_conntrack_events'), 'utf8'), '0');
});

fixing('modules before sysctls, and one that is not there is said', () => {
  const names = ['nf_conntrack', 'absent'];
  const list = [error('a', 'x', null, sysctl(1)), error('b', 'x', null, { fix: { kind: 'modules', names } })];
  const done = applyFixes(list, places());
  assert.equal(loaded, names);
  assert.equal(
    done.map(({ done: good, text }) => `${good} ${text.split(' in ')[0]}`),
    [
      'true modprobe nf_conntrack',
      'true nf_conntrack',
      'false modprobe absent: FATAL: Module absent not found.',
      `true ${NAME} = 1`,
      `true ${NAME} = 1`,
    ],
  );
  assert.is(readFileSync(join(dir, 'modules-load.d', FILE), 'utf8'), '# Made by carpio check --fix.\nnf_conntrack\n');
});

fixing('the mode of a file; a setting that is not there is no new file', () => {
  const path = join(dir, 'pair.key');
  writeFileSync(path, 'secret');
  chmodSync(path, 0o644);
  const unknown = { fix: { kind: 'sysctl', name: 'net.nothing', value: 1 } } as const;
  const mode = { fix: { kind: 'mode', path, mode: 0o600 } } as const;
  const done = applyFixes([warning('a', 'x', null, mode), error('b', 'x', null, unknown)], places());
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.equal(
    done.map((one) => one.done),
    [true, false],
  );
  assert.match(done[1]?.text ?? '', /^net\.nothing = 1: ENOENT$/);
});

fixing('without the directories nothing is kept, and that is no failure', () => {
  rmSync(join(dir, 'sysctl.d'), { recursive: true });
  assert.equal(applyFixes([error('a', 'x', null, sysctl(1))], places()), [{ done: true, text: `${NAME} = 1` }]);
});

fixing.run();
