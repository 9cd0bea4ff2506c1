/**
 * npm run test:firmware: the images in firmware/out under QEMU (software emulation). With names, only those:
 * `npm run test:firmware -- boot pair`. Takes long; what each figure was is printed.
 */
import { existsSync } from 'node:fs';
import { ROOT } from './lib/paths.mjs';
import { onRuntime } from './lib/runtime.mjs';
import { Refusal, runMain, say } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

const TESTS = {
  boot: ['boot.ts', 'x86_64'],
  uefi: ['boot.ts', 'x86_64', 'uefi'],
  arm64: ['boot.ts', 'arm64'],
  box: ['box.ts'],
  secure: ['box.ts', 'secure'],
  pair: ['pair.ts'],
  upgrade: ['upgrade.ts'],
};
const FIRMWARE = [
  '/usr/share/OVMF/OVMF_CODE_4M.fd',
  '/usr/share/OVMF/OVMF_CODE_4M.ms.fd',
  '/usr/share/AAVMF/AAVMF_CODE.fd',
];

await runMain(async () => {
  const names = process.argv.slice(2).filter((word) => !word.startsWith('-'));
  const options = process.argv.slice(2).filter((word) => word.startsWith('-'));
  const unknown = names.find((name) => !Object.hasOwn(TESTS, name));
  if (unknown) throw new Refusal(`found ${unknown}, allowed ${Object.keys(TESTS).join(', ')}`);
  await ensureDeps('test:firmware');
  for (const file of FIRMWARE)
    if (!existsSync(file)) throw new Refusal(`${file} is missing: apt-get install ovmf qemu-efi-aarch64`);
  const failed = [];
  for (const name of names.length > 0 ? names : Object.keys(TESTS)) {
    const [file, ...args] = TESTS[name];
    const begun = Date.now();
    const code = await onRuntime(`test/firmware/${file}`, [...args, ...options]);
    say(`${name}: ${code === 0 ? 'passed' : 'FAILED'} in ${((Date.now() - begun) / 60_000).toFixed(1)} minutes`);
    if (code !== 0) failed.push(name);
  }
  say(failed.length > 0 ? `failed: ${failed.join(', ')}; see ${ROOT}/test/firmware` : 'all passed');
  return failed.length > 0 ? 1 : 0;
});
