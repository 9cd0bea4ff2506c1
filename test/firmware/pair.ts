/**
 * Two images on one virtual switch are a pair. One TCP connection through NAT outlives the upgrade of both boxes, one
 * after the other, to another version, and then the power cut of the master. `--no-upgrade`: only the latter.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { diskOf, fromStick, Machine, stickOf } from './lib/machine.ts';
import { idle, upgradeBoth } from './lib/rolling.ts';
import { imageOf, note, removeFolder, waitFor } from './lib/run.ts';
import { ADDRESSES, type BoxName, stickFiles, TOKEN } from './lib/settings.ts';
import { buildStreet, statusOf, Talk, tapsFor } from './lib/street.ts';

await enterOrExit(import.meta.url);

/** Seconds; generous, because the machine may be busy with something else. */
const BOOT_S = 2400;
const work = mkdtempSync(join(tmpdir(), 'carpio-fw-'));
const boxes = new Map<BoxName, Machine>();
const talk = new Talk();
let failed = 0;
try {
  buildStreet();
  for (const name of ['fw-a', 'fw-b'] as const) {
    boxes.set(
      name,
      new Machine({
        name,
        arch: 'x86_64',
        work,
        disk: diskOf(imageOf('x86_64'), `${work}/${name}.qcow2`),
        stick: stickOf(`${work}/${name}.stick`, stickFiles(name)),
        nets: tapsFor(name),
        verbose: process.argv.includes('--verbose'),
      }),
    );
  }
  const a = boxes.get('fw-a')!;
  const b = boxes.get('fw-b')!;
  const role = async (name: BoxName) => (await statusOf(ADDRESSES[name], TOKEN))?.role ?? 'none';
  a.powerOn();
  b.powerOn();
  await waitFor('fw-a to be master', BOOT_S, async () => (await role('fw-a')) === 'master', [a, b]);
  note(a, 'fw-a is MASTER after');
  await waitFor('fw-b to be backup', BOOT_S, async () => (await role('fw-b')) === 'backup', [a, b]);
  note(b, 'fw-b is BACKUP after');
  if (!/taken from the stick/.test(fromStick(`${work}/fw-a.stick`, 'carpio-report.txt')))
    throw new Error('no report on the stick');
  console.log(fromStick(`${work}/fw-a.stick`, 'carpio-report.txt'));
  await talk.begin();
  await waitFor('answers through NAT', 120, async () => talk.answered > 8, [a, b]);
  await waitFor(
    'both to be in step',
    300,
    async () => (await statusOf(ADDRESSES['fw-b'], TOKEN))?.sync?.in_step === true,
    [a, b],
  );
  console.log('in step');
  console.log(await idle(b));
  if (!process.argv.includes('--no-upgrade')) await upgradeBoth({ boxes, talk, work });
  const masterName = (await role('fw-a')) === 'master' ? 'fw-a' : 'fw-b';
  const [master, other] = masterName === 'fw-a' ? [a, b] : [b, a];
  console.log(`cutting the power of ${masterName}`);
  const before = talk.answered;
  const cut = performance.now();
  await master.cutPower();
  const after = () => `${((performance.now() - cut) / 1000).toFixed(1)} s after the cut`;
  const name = other.options.name as BoxName;
  await waitFor('the other to be master', 300, async () => (await role(name)) === 'master', [other]);
  console.log(`${name} is master ${after()}`);
  await waitFor('the same connection to answer again', 300, async () => talk.answered > before + 8, [other]);
  console.log(`the connection lives; ${after()} it had 8 new answers`);
  console.log('pair: passed');
} catch (error) {
  failed = 1;
  console.log(`pair: FAILED: ${(error as Error).message}`);
  for (const box of boxes.values()) console.log(box.tail(60));
} finally {
  talk.end();
  for (const box of boxes.values()) await box.cutPower();
  removeFolder(work);
}
process.exit(failed);
