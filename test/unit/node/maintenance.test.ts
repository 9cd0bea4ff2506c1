/** Maintenance is handed to the election also when the disk takes nothing; then the answer says so. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HandOver } from '../../../src/node/maintenance.ts';
import { Log } from '../../../src/node/report/log.ts';

const test = suite('node: maintenance');
let dir = '';
test.before.each(() => {
  dir = mkdtempSync(join(tmpdir(), 'carpio-maintenance-'));
});
test.after.each(() => rmSync(dir, { recursive: true, force: true }));

function change(stateDir: string, on: boolean): Promise<{ done: boolean; reason: string }> {
  const handOver = new HandOver(stateDir, new Log('fw-a', 'text', () => {}));
  const { signal } = new AbortController();
  const event = { kind: 'carp.maintenance', on, done: true, cause: { why: 'switched_off' } } as never;
  return handOver.change(on, signal, () => handOver.onEvent(event));
}

test('remembered over a restart', async () => {
  const { done, reason } = await change(dir, true);
  assert.ok(done);
  assert.not.match(reason, 'restart');
  assert.ok(new HandOver(dir, new Log('fw-a', 'text', () => {})).wasOn());
});

test('a state directory that cannot be written: handed over all the same, and said', async () => {
  const file = join(dir, 'file');
  writeFileSync(file, '');
  const { done, reason } = await change(join(file, 'below'), true);
  assert.ok(done);
  assert.match(reason, /; "on" will not outlive a restart: .* cannot be written \(ENOTDIR\)$/);
});

test.run();
