/**
 * The Debian package under a real systemd: a Debian made by debootstrap, the package installed with dpkg, booted in a
 * container (systemd-nspawn) with a network of its own, and asked what it promises (deb-inside.sh).
 *
 *   node test/firmware/deb.mjs [--keep]     as root; needs debootstrap, systemd-container; some minutes, once 1 more
 *
 * Last line: `N passed, N failed`. The Debian is kept under build/ for the next run, the copy that ran is removed.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUILD, DIST, ROOT } from '../../scripts/lib/paths.mjs';

/** What the package depends on, beside systemd: dpkg fetches nothing. */
const PACKAGES = 'systemd,systemd-sysv,nftables,iproute2,kmod,netbase,libstdc++6';
/** Another list, another Debian. */
const BASE = `${BUILD}/debian-base-${PACKAGES.split(',').length}`;
const LIMIT_MS = 300_000;

function must(program, ...args) {
  const result = spawnSync(program, args, { encoding: 'utf8', timeout: LIMIT_MS });
  if (result.error || result.status !== 0) {
    const why = result.error?.message ?? `exit ${result.status}\n${result.stdout}${result.stderr}`;
    throw new Error(`${program} ${args.join(' ')}: ${why}`);
  }
}

/** A plain Debian, made once. */
function ensureBase() {
  if (existsSync(BASE)) return;
  const making = `${BASE}.new`;
  rmSync(making, { recursive: true, force: true });
  must('debootstrap', '--variant=minbase', `--include=${PACKAGES}`, 'bookworm', making, 'http://deb.debian.org/debian');
  must('mv', making, BASE);
}

const CONFIG = `[node]
name = "fw-a"
[interfaces]
lan = "host0"
[[vip]]
vhid = 1
interface = "lan"
addresses = ["192.168.77.1/24"]
password = "x"
[firewall]
forward = true
`;

const unit = (name, text) => ({ [`etc/systemd/system/${name}`]: text });

/** The box's own address, and the questions once it is up. */
const UNITS = {
  ...unit(
    'own-address.service',
    `[Unit]
Before=carpio.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'ip link set host0 up; ip addr add 192.168.77.2/24 dev host0'
`,
  ),
  ...unit(
    'ask.service',
    `[Unit]
After=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=240
StandardOutput=journal+console
ExecStart=/bin/bash /root/deb-inside.sh
`,
  ),
  ...unit('ask.timer', '[Timer]\nOnBootSec=1\n'),
};

function prepare(root, deb) {
  must('cp', '-a', '--reflink=auto', `${BASE}/.`, root);
  cpSync(deb, `${root}/root/carpio.deb`);
  must('chroot', root, 'dpkg', '-i', '/root/carpio.deb');
  writeFileSync(`${root}/etc/carpio/carpio.toml`, CONFIG, { mode: 0o640 });
  must('chroot', root, 'chown', 'carpio:carpio', '/etc/carpio/carpio.toml');
  cpSync(`${ROOT}/test/firmware/deb-inside.sh`, `${root}/root/deb-inside.sh`);
  for (const [path, text] of Object.entries(UNITS)) writeFileSync(`${root}/${path}`, text);
  for (const [target, name] of [
    ['multi-user.target', 'own-address.service'],
    ['timers.target', 'ask.timer'],
  ]) {
    const wants = `${root}/etc/systemd/system/${target}.wants`;
    mkdirSync(wants, { recursive: true });
    symlinkSync(`../${name}`, `${wants}/${name}`);
  }
}

/** @returns what its console said */
function boot(root) {
  const inside = `
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add host0 type veth peer name peer0
ip link set peer0 up
exec systemd-nspawn -q -D ${root} --register=no --keep-unit --capability=all --boot systemd.unified_cgroup_hierarchy=1`;
  // Mounts and network are this process's own and go with it.
  const result = spawnSync('unshare', ['-mn', 'bash', '-c', inside], { encoding: 'utf8', timeout: LIMIT_MS });
  return `${result.stdout}${result.stderr}`;
}

const name = existsSync(DIST) && readdirSync(DIST).find((file) => /^carpio_.*_amd64\.deb$/.test(file));
const deb = name ? `${DIST}/${name}` : undefined;
if (process.getuid() !== 0 || deb === undefined) {
  process.stderr.write(`error: ${deb === undefined ? 'no package: npm run deb -- --host' : 'must be root'}\n`);
  process.exit(1);
}
ensureBase();
const root = mkdtempSync(join(tmpdir(), 'carpio-deb-'));
try {
  prepare(root, deb);
  const console_ = boot(root);
  const lines = [...console_.matchAll(/PROMISE (kept|BROKEN): ([^\r\n]+)/g)];
  for (const [, word, what] of lines) process.stdout.write(`${word === 'kept' ? 'ok  ' : 'FAIL'} ${what}\n`);
  const ended = lines.some(([, , what]) => what === 'the configuration stays');
  if (!ended) process.stdout.write(`FAIL the container did not come to its end\n${console_.slice(-4000)}\n`);
  const failed = lines.filter(([, word]) => word !== 'kept').length + (ended ? 0 : 1);
  if (failed > 0 && ended)
    process.stdout.write(spawnSync('cat', [`${root}/root/journal.txt`], { encoding: 'utf8' }).stdout);
  process.stdout.write(
    `${lines.length - lines.filter(([, word]) => word !== 'kept').length} passed, ${failed} failed\n`,
  );
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  if (!process.argv.includes('--keep')) rmSync(root, { recursive: true, force: true });
}
