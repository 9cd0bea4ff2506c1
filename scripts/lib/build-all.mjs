/**
 * From sources to executables. Runs on the bundled runtime; scripts/build.mjs starts it when the set-up is done.
 * `--host`: only this machine's. `--quiet`: says nothing when everything is up to date.
 */
import { copyFileSync, existsSync, linkSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { buildAddon, compilerFor } from './addon.mjs';
import { buildAsm } from './asm.mjs';
import { bundle, bundleInputs } from './bundle.mjs';
import { run, which } from './command.mjs';
import { fileDigest, hashOf, stampIs, writeWhole } from './hash.mjs';
import { buildPage } from './page.mjs';
import { BUILD, DIST, ROOT } from './paths.mjs';
import { ARCHES, hostArch, runtimeVersion } from './runtime.mjs';
import { Refusal, runMain, say } from './say.mjs';
import { koffiAddon, makeExecutable } from './sea.mjs';

const SOURCES = ['src', 'asm', 'package.json', 'package-lock.json', 'scripts/lib'];
const quiet = process.argv.includes('--quiet');

/** The last commit that touched what goes into the binary, so that editing a README does not make a new binary. */
async function commitFacts() {
  const log = await run('git', ['log', '-1', '--format=%H %cI', '--', ...SOURCES], { cwd: ROOT });
  if (log.code !== 0 || !log.stdout.trim()) return { commit: null, date: null };
  const [commit, date] = log.stdout.trim().split(' ');
  const changed = await run('git', ['status', '--porcelain', '--', ...SOURCES], { cwd: ROOT });
  return { commit: changed.stdout.trim() ? `${commit}+changes` : commit, date };
}

async function buildOne(arch, facts, inputs) {
  const out = `${DIST}/carpio-linux-${arch}`;
  const stamp = `${BUILD}/stamp-${arch}`;
  if (existsSync(out) && stampIs(stamp, `${inputs} ${statSync(out).size}`)) {
    if (!quiet) say(`dist/carpio-linux-${arch} is up to date`);
    return;
  }
  const begun = Date.now();
  const raw = await buildAddon(arch);
  const wasm = buildAsm();
  await buildPage(ROOT);
  const version = { ...facts, node: runtimeVersion(arch), wasm: fileDigest(wasm, 'sha256').digest('hex') };
  const bundles = await bundle(arch, version).catch(() => {
    throw new Refusal('the sources do not bundle (see above)');
  });
  const assets = {
    'koffi.node': await koffiAddon(arch),
    'raw.node': raw,
    'engine.wasm': wasm,
    'page.html': `${BUILD}/page.html`,
  };
  if (bundles['worker.cjs']) assets['worker.cjs'] = bundles['worker.cjs'];
  await makeExecutable({ arch, main: bundles['main.cjs'], assets });
  writeWhole(stamp, `${inputs} ${statSync(out).size}\n`);
  say(`dist/carpio-linux-${arch}: ${megabytes(out)} MB, built in ${((Date.now() - begun) / 1000).toFixed(1)} s`);
}

const megabytes = (path) => (statSync(path).size / 1e6).toFixed(1);

/** dist/carpio is this machine's binary under a short name. */
function nameHost() {
  const from = `${DIST}/carpio-linux-${hostArch()}`;
  const to = `${DIST}/carpio`;
  if (existsSync(to) && statSync(to).ino === statSync(from).ino) return;
  const beside = `${to}.${process.pid}.new`;
  rmSync(beside, { force: true });
  try {
    linkSync(from, beside);
  } catch {
    copyFileSync(from, beside);
  }
  renameSync(beside, to);
}

/** Starts the binary once: it must answer `version`, and the time that takes is what a user waits. */
async function tryOut(arch) {
  const binary = `${DIST}/carpio-linux-${arch}`;
  const native = arch === hostArch();
  const emulator = native ? null : which(`qemu-${arch === 'arm64' ? 'aarch64' : 'x86_64'}-static`);
  if (!native && !emulator)
    return say(`dist/carpio-linux-${arch} was not started here: no emulator for it (qemu-user-static)`);
  // The cross compiler brings the C library that the emulated program is linked with.
  const libraries = `/usr/${arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const call = emulator ? [emulator, '-L', libraries, binary, 'version'] : [binary, 'version'];
  const begun = performance.now();
  const result = await run(call[0], call.slice(1), { timeoutMs: 60_000 });
  const took = (performance.now() - begun).toFixed(0);
  if (result.code !== 0) throw new Error(`${binary} version: exit ${result.code}\n${result.stderr}`);
  say(
    `dist/carpio-linux-${arch} version: "${result.stdout.trim().split('\n')[0]}" after ${took} ms${emulator ? ' (emulated)' : ''}`,
  );
}

await runMain(async () => {
  const version = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')).version;
  const facts = { version, ...(await commitFacts()) };
  const inputs = hashOf(bundleInputs(), [JSON.stringify(facts)]);
  const host = hostArch();
  const built = [];
  for (const arch of [host, ...ARCHES.filter((name) => name !== host)]) {
    if (arch !== host && process.argv.includes('--host')) continue;
    if (!compilerFor(arch)) {
      say(`dist/carpio-linux-${arch} is left out: no cross compiler (apt-get install g++-aarch64-linux-gnu)`);
      continue;
    }
    const stampBefore = existsSync(`${BUILD}/stamp-${arch}`) ? statSync(`${BUILD}/stamp-${arch}`).mtimeMs : 0;
    await buildOne(arch, facts, inputs);
    if (arch === host) nameHost();
    if (statSync(`${BUILD}/stamp-${arch}`).mtimeMs !== stampBefore) built.push(arch);
  }
  for (const arch of built) await tryOut(arch);
});
