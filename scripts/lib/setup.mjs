/**
 * What a fresh clone needs before anything can be built: npm packages and Debian tools. Runs on Node 20 and with
 * nothing installed, so it imports only Node's own modules. A second call costs some milliseconds.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { must, run, which } from './command.mjs';
import { fileDigest } from './hash.mjs';
import { MODULES, ROOT } from './paths.mjs';
import { Refusal, say } from './say.mjs';
import { ensureTools } from './tools.mjs';

const STAMP = `${MODULES}/.carpio-stamp`;

/**
 * Makes the checkout usable: packages as the lock file says, tools as the named sets say.
 * @param {...('build' | 'lab' | 'test' | 'cross')} sets tools to make sure of
 * @throws {Refusal} when something needed is missing and could not be installed
 */
export async function ensureDeps(...sets) {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20)
    throw new Refusal(`Node ${process.versions.node} is too old to start the set-up: 20 or later is needed`);
  if (process.platform !== 'linux') throw new Refusal(`Carpio runs on Linux only; this is ${process.platform}`);
  const lacking = await ensureTools(...sets);
  if (lacking.length > 0) throw new Refusal(`cannot go on without: ${lacking.join(', ')} (see above how to get them)`);
  await ensurePackages();
}

async function ensurePackages() {
  const lock = fileDigest(`${ROOT}/package-lock.json`, 'sha256').digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8').trim() === lock) return;
  if (!installedAsLocked()) {
    if (!which('npm')) throw new Refusal('npm is not in PATH: install it beside Node');
    say(existsSync(MODULES) ? 'package-lock.json has changed: npm ci' : 'installing the npm packages: npm ci');
    await installPackages();
    say('npm packages are in place');
  }
  writeFileSync(STAMP, `${lock}\n`);
}

/**
 * `npm ci` refuses when the registry at hand does not carry some optional package of another system, because it then
 * takes the lock file for incomplete. `npm install` leaves such packages out; what it did is checked against the lock.
 */
async function installPackages() {
  const options = { cwd: ROOT, timeoutMs: 600_000 };
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  const clean = await run('npm', ['ci', ...quiet], options);
  if (clean.code === 0) return;
  if (!clean.stderr.includes('EUSAGE')) {
    throw new Refusal(`npm ci: exit ${clean.code}\n  ${clean.stderr.trim().split('\n').slice(-12).join('\n  ')}`);
  }
  say('npm ci finds packages of other systems missing in this registry; installing without them');
  await must('npm', ['install', '--no-save', ...quiet], options);
  if (!installedAsLocked()) throw new Refusal('npm install put other versions in place than package-lock.json names');
}

/**
 * Someone may have run npm by hand: npm's own record of what it installed tells whether that is what the lock file
 * asks for. Packages for other processors and systems are optional and may be absent.
 */
function installedAsLocked() {
  const record = `${MODULES}/.package-lock.json`;
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(`${ROOT}/package-lock.json`, 'utf8')).packages;
  const have = JSON.parse(readFileSync(record, 'utf8')).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    if (have[path] ? have[path].version !== entry.version : !entry.optional) return false;
  }
  return Object.keys(have).every((path) => wanted[path] !== undefined);
}
