/**
 * `boot.ts ARCH [uefi]`: one box without a configuration starts, says on the console what it is, and answers on the
 * documented address. Without `uefi` an x86_64 image starts by BIOS; arm64 knows UEFI only.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SAFE_ADDRESS, SAFE_TOKEN } from '../../src/box/safe-mode.ts';
import { diskOf, Machine } from './lib/machine.ts';
import { freePort, imageOf, note, removeFolder, waitFor } from './lib/run.ts';
import { sshBanner } from './lib/ssh.ts';

const arch = process.argv[2] === 'arm64' ? 'arm64' : 'x86_64';
const uefi = arch === 'arm64' || process.argv.includes('uefi');
/** Seconds; what an emulated start takes on a busy machine. */
const START_S = 1800;

async function answers(port: number): Promise<string | null> {
  try {
    const headers = { authorization: `Bearer ${SAFE_TOKEN}` };
    const url = `http://127.0.0.1:${port}/status`;
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(10_000) });
    return response.ok ? await response.text() : null;
  } catch {
    return null;
  }
}

const work = mkdtempSync(join(tmpdir(), 'carpio-fw-'));
const port = await freePort();
const sshPort = await freePort();
const image = imageOf(arch);
const machine = new Machine({
  name: 'box',
  arch,
  work,
  uefi,
  disk: diskOf(image, `${work}/disk.qcow2`),
  cpus: 2,
  nets: [
    `user,net=192.168.77.0/24,host=192.168.77.2,hostfwd=tcp:127.0.0.1:${port}-${SAFE_ADDRESS}:8180,hostfwd=tcp:127.0.0.1:${sshPort}-${SAFE_ADDRESS}:22`,
  ],
  verbose: process.argv.includes('--verbose'),
});
const what = `boot ${arch} by ${uefi ? 'UEFI' : 'BIOS'}`;
let failed = 0;
try {
  machine.powerOn();
  await machine.expect(/Booting .Carpio, slot A/, START_S);
  note(machine, `${what}: boot menu after`);
  await machine.expect(/Carpio \d+\.\d+\.\d+/, START_S);
  await machine.expect(/safe mode: /, START_S);
  note(machine, `${what}: settings after`);
  let status: string | null = null;
  const ask = async () => {
    status = await answers(port);
    return status !== null;
  };
  await waitFor('an answer of /status', START_S, ask, [machine]);
  note(machine, `${what}: /status after`);
  const found = JSON.parse(status!) as { version: string; role: string; carp: { vips: unknown[] } };
  if (found.carp.vips.length !== 0) throw new Error(`safe mode has virtual addresses: ${status}`);
  if ((await sshBanner(sshPort)) !== null) throw new Error('ssh is on without a key');
  const size = spawnSync('sh', ['-c', `zstd -q -9 -c "$0" | wc -c`, image], { encoding: 'utf8' });
  console.log(`${what}: passed; role ${found.role}; image ${(Number(size.stdout) / 1e6).toFixed(1)} MB compressed`);
} catch (error) {
  failed = 1;
  console.log(`${what}: FAILED: ${(error as Error).message}\n${machine.tail(60)}`);
} finally {
  await machine.cutPower();
  removeFolder(work);
}
process.exit(failed);
