/**
 * One program out of a Debian package, without installing the package: some start a service when they are installed,
 * and a test has no business doing that to a machine.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { run } from './command.mjs';
import { CACHE } from './paths.mjs';

/**
 * @param {string} name Debian package
 * @param {string} program its path in the package, with the leading slash
 * @returns {Promise<{ path: string } | { missing: string }>} where it is now, or why it could not be had
 */
export async function borrow(name, program) {
  const folder = `${CACHE}/borrowed/${name}`;
  const path = `${folder}${program}`;
  if (existsSync(path)) return { path };
  mkdirSync(`${CACHE}/borrowed`, { recursive: true });
  const work = mkdtempSync(`${CACHE}/borrowed/.${name}-`);
  try {
    const options = { cwd: work, timeoutMs: 60_000 };
    const fetched = await run('apt-get', ['-q', 'download', name], options);
    const file = readdirSync(work).find((entry) => entry.endsWith('.deb'));
    if (fetched.code !== 0 || file === undefined) {
      return { missing: `Debian's package ${name} could not be fetched (apt-get update?)` };
    }
    const unpacked = await run('dpkg-deb', ['-x', file, 'tree'], options);
    if (unpacked.code !== 0) return { missing: `${file} could not be unpacked` };
    if (!existsSync(folder)) renameSync(`${work}/tree`, folder);
    return existsSync(path) ? { path } : { missing: `${name} has no ${program}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
