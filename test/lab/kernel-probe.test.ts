import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { kernelProbe } from '../../src/kernel/probe.ts';
import { cable, insideNamespace, remove, run } from './kernel-lab.ts';

const probe = suite('lab: probes');

probe('with privileges all four succeed and leave nothing behind', async () => {
  cable('e0', 'p0', []);
  const before = run('ip -o link') + run('nft list ruleset');
  for (const name of ['conntrackNetlink', 'nft', 'macvlan', 'rawSocket'] as const) {
    const result = await kernelProbe[name]();
    assert.equal(result.ok, true, `${name}: ${result.found}`);
    assert.is(result.mend, null);
  }
  assert.is(run('ip -o link') + run('nft list ruleset'), before);
  remove('e0');
});

probe('without a device the macvlan probe says so', async () => {
  const result = await kernelProbe.macvlan();
  assert.is(result.ok, false);
  assert.match(result.found, /no network device/);
});

probe('without privileges each says what was refused and how to mend it', () => {
  const script = `import { kernelProbe } from ${JSON.stringify(new URL('../../src/kernel/probe.ts', import.meta.url).href)};
    const out = {};
    for (const [name, run] of Object.entries(kernelProbe)) out[name] = await run();
    console.log(JSON.stringify(out));`;
  const done = spawnSync(
    'setpriv',
    ['--bounding-set', '-all', '--inh-caps', '-all', process.execPath, '--input-type=module', '-e', script],
    { encoding: 'utf8' },
  );
  if (done.status !== 0) {
    console.log(
      `skip: setpriv cannot drop privileges here (${(done.error?.message ?? done.stderr).trim().split('\n')[0]})`,
    );
    return;
  }
  const results = JSON.parse(done.stdout) as Record<string, { ok: boolean; found: string; mend: string | null }>;
  for (const name of ['conntrackNetlink', 'nft', 'rawSocket']) {
    assert.is(results[name]?.ok, false, `${name}: ${results[name]?.found}`);
    assert.match(results[name]?.mend ?? '', /root/, `${name}: ${results[name]?.found}`);
  }
});

if (insideNamespace()) probe.run();
