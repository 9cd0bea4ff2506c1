/** Debian packages around the built binaries. Same commit, same bytes: every date is the commit's. */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { must, run } from './command.mjs';
import { completionFiles } from './completion-files.ts';
import { filesBelow } from './hash.mjs';
import { manPages } from './man-pages.ts';
import { BUILD, DIST, ROOT } from './paths.mjs';
import { hostArch } from './runtime.mjs';
import { runMain, say } from './say.mjs';

const DEBIAN_NAME = { x64: 'amd64', arm64: 'arm64' };
const FROM = `${ROOT}/firmware/deb`;

/** Where each file of firmware/deb goes. */
const PLACES = {
  'carpio.service': 'usr/lib/systemd/system/carpio.service',
  'sysusers.conf': 'usr/lib/sysusers.d/carpio.conf',
  'modules-load.conf': 'usr/lib/modules-load.d/carpio.conf',
  'sysctl.conf': 'usr/lib/sysctl.d/50-carpio.conf',
};

/** @returns seconds since 1970 of the last commit; of 1980 in a tree without one */
async function sourceDate() {
  const log = await run('git', ['log', '-1', '--format=%ct'], { cwd: ROOT });
  return Number(log.stdout.trim()) || 315532800;
}

const compressed = (text) => gzipSync(text, { level: 9 });

function put(root, path, data, mode = 0o644) {
  const file = `${root}/${path}`;
  mkdirSync(file.slice(0, file.lastIndexOf('/')), { recursive: true });
  writeFileSync(file, data);
  chmodSync(file, mode);
}

async function fill(root, arch, version, epoch) {
  const date = new Date(epoch * 1000).toISOString().slice(0, 10);
  mkdirSync(`${root}/usr/bin`, { recursive: true });
  cpSync(`${DIST}/carpio-linux-${arch}`, `${root}/usr/bin/carpio`);
  chmodSync(`${root}/usr/bin/carpio`, 0o755);
  for (const [name, path] of Object.entries(PLACES)) put(root, path, readFileSync(`${FROM}/${name}`));
  for (const [name, text] of Object.entries(await manPages(ROOT, version, date))) {
    put(root, `usr/share/man/man${name.at(-1)}/${name}.gz`, compressed(text));
  }
  for (const [path, text] of Object.entries(await completionFiles())) put(root, path, text);
  for (const name of ['README.md', 'alerts.yml', 'dashboard.json']) {
    put(root, `usr/share/doc/carpio/monitoring/${name}`, readFileSync(`${ROOT}/docs/monitoring/${name}`));
  }
  put(root, 'usr/share/doc/carpio/copyright', readFileSync(`${ROOT}/LICENSE`));
  put(root, 'usr/share/doc/carpio/changelog.gz', compressed(readFileSync(`${ROOT}/CHANGELOG.md`)));
  const kib = Math.ceil(filesBelow(root).reduce((sum, file) => sum + statSync(file).size, 0) / 1024);
  const control = readFileSync(`${FROM}/control.in`, 'utf8')
    .replace('@VERSION@', version)
    .replace('@ARCH@', DEBIAN_NAME[arch])
    .replace('@KIB@', String(kib));
  put(root, 'DEBIAN/control', control);
  for (const name of ['postinst', 'prerm', 'postrm'])
    put(root, `DEBIAN/${name}`, readFileSync(`${FROM}/${name}`), 0o755);
}

/** @returns the package's path */
async function makeDeb(arch, version, epoch) {
  const root = `${BUILD}/deb-${arch}`;
  const out = `${DIST}/carpio_${version}_${DEBIAN_NAME[arch]}.deb`;
  rmSync(root, { recursive: true, force: true });
  try {
    await fill(root, arch, version, epoch);
    const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) };
    // Without a root's ownership of the caller's files in it; dpkg-deb clamps all dates to SOURCE_DATE_EPOCH.
    await must('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', root, out], { env, timeoutMs: 300_000 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  say(`${out.slice(ROOT.length + 1)}: ${(statSync(out).size / 1e6).toFixed(1)} MB`);
  return out;
}

await runMain(async () => {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));
  const epoch = await sourceDate();
  const arches = process.argv.includes('--host') ? [hostArch()] : ['x64', 'arm64'];
  for (const arch of arches) {
    if (existsSync(`${DIST}/carpio-linux-${arch}`)) await makeDeb(arch, version, epoch);
    else say(`no package for ${DEBIAN_NAME[arch]}: dist/carpio-linux-${arch} was not built (see above)`);
  }
});
