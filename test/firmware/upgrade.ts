/**
 * Upgrade, refusal of a stranger's signature, a broken upgrade that is taken back, ten power cuts while upgrading.
 * `--cuts N`: another number of power cuts; `--only-cuts`: nothing else.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brokenRoot, bundleOf, serve, strangersKey } from './lib/bundles.ts';
import { diskOf, Machine, stickOf } from './lib/machine.ts';
import { imageOf, note, removeFolder } from './lib/run.ts';
import { PASSWORD, stickFiles } from './lib/settings.ts';

const BOOT_S = 900;
const TRIAL_S = 900;
const build = fileURLToPath(new URL('../../build/firmware', import.meta.url));
const signer = { cert: `${build}/upgrade.cert.pem`, key: `${build}/upgrade.key.pem` };
const work = mkdtempSync(join(tmpdir(), 'carpio-fw-'));
const cutsAt = process.argv.indexOf('--cuts');
const CUTS = cutsAt < 0 ? 10 : Number(process.argv[cutsAt + 1]);
const ONLY_CUTS = process.argv.includes('--only-cuts');
let failed = 0;

const host = stickFiles('fw-a')['carpio-host.toml']!.split('\n[ports')[0]!.split('[ports')[0]!;
const box = new Machine({
  name: 'box',
  arch: 'x86_64',
  work,
  disk: diskOf(imageOf('x86_64'), `${work}/disk.qcow2`),
  stick: stickOf(`${work}/stick`, { 'carpio-host.toml': `${host}\n[ports.port1]\naddresses = ["192.168.77.1/24"]\n` }),
  nets: ['user,net=192.168.77.0/24,host=192.168.77.2'],
  cpus: 2,
  verbose: process.argv.includes('--verbose'),
});

/** Waits for the start and what the box says about its slot, then logs in. */
async function started(slot: 'A' | 'B', said: RegExp): Promise<void> {
  await box.expect(new RegExp(`Booting .Carpio, slot ${slot}`), BOOT_S);
  await box.expect(said, BOOT_S + TRIAL_S);
  note(box, `slot ${slot}: ${said.source} after`);
}

/**
 * Power on and log in. A cut that comes after the last byte leaves a finished upgrade: then the other slot is as right.
 */
async function begin(slots: string): Promise<void> {
  box.powerOn();
  await box.expect(new RegExp(`Booting .Carpio, slot [${slots}]`), BOOT_S);
  await box.login(PASSWORD, BOOT_S);
}

async function upgrades(): Promise<void> {
  bundleOf(`${build}/x86_64/root.img`, work, 'stranger', strangersKey(work));
  bundleOf(brokenRoot(`${build}/x86_64/root`, work), work, 'broken', signer);
  await begin('A');
  const refused = await box.shell(`carpio upgrade ${url('stranger')} && echo taken || echo refused`, 600);
  if (!/refused$/.test(refused)) throw new Error(`a stranger's signature: ${refused}`);
  console.log("a stranger's signature is refused");

  box.type(`carpio upgrade ${url('good')}\n`);
  await started('B', /slot B is proven/);
  console.log('upgraded from A to B');

  // The prompt may have come before the proof.
  box.type('\n');
  await box.login(PASSWORD, BOOT_S);
  box.type(`carpio upgrade ${url('broken')}\n`);
  await started('A', /slot A is on trial/);
  await started('B', /Carpio \d/);
  console.log('the broken upgrade was taken back');
  await box.login(PASSWORD, BOOT_S);
  await box.cutPower();
}

const { server, port } = await serve(work);
const url = (name: string) => `http://192.168.77.2:${port}/${name}.raucb`;
try {
  const root = `${build}/x86_64/root.img`;
  bundleOf(root, work, 'good', signer);
  if (!ONLY_CUTS) await upgrades();
  for (let cut = 1; cut <= CUTS; cut++) {
    await begin('AB');
    box.type(`carpio upgrade --no-reboot ${url('good')}\n`);
    // The slot's bytes are written between 47 % and 99 %; how long that takes is the emulator's affair. One may be
    // passed over.
    const percent = 47 + Math.floor(Math.random() * 52);
    const onwards = Array.from({ length: 100 - percent }, (_, i) => percent + i).join('|');
    await box.expect(new RegExp(`(?:${onwards})% Copying`), BOOT_S);
    await box.cutPower();
    console.log(`power cut ${cut} of ${CUTS}, at ${percent} %`);
  }
  box.powerOn();
  await box.login(PASSWORD, BOOT_S);
  console.log(`${CUTS} power cuts: starts every time`);
  console.log('upgrade: passed');
} catch (error) {
  failed = 1;
  console.log(`upgrade: FAILED: ${(error as Error).message}\n${box.tail(60)}`);
} finally {
  server.close();
  await box.cutPower();
  removeFolder(work);
}
process.exit(failed);
