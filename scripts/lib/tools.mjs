/** The Debian tools that set-up, lab and tests call: which are missing, and installing them where that is allowed. */
import { existsSync, readdirSync } from 'node:fs';
import { run, which } from './command.mjs';
import { say } from './say.mjs';

/** Program -> Debian package. `need`: without it nothing works; the others only cost the tests that use them. */
const SETS = {
  build: { need: true, tools: { 'g++': 'g++' } },
  lab: { need: true, tools: { nft: 'nftables', ip: 'iproute2', unshare: 'util-linux', mount: 'mount' } },
  test: {
    need: false,
    tools: {
      conntrack: 'conntrack',
      ucarp: 'ucarp',
      keepalived: 'keepalived',
      ping: 'iputils-ping',
      chromium: 'chromium',
    },
  },
  deb: { need: true, tools: { 'dpkg-deb': 'dpkg', xz: 'xz-utils' } },
  firmware: {
    need: true,
    tools: {
      mmdebstrap: 'mmdebstrap',
      mksquashfs: 'squashfs-tools',
      rauc: 'rauc',
      sfdisk: 'fdisk',
      'mkfs.vfat': 'dosfstools',
      mcopy: 'mtools',
      mke2fs: 'e2fsprogs',
      cpio: 'cpio',
      depmod: 'kmod',
      zstd: 'zstd',
      xz: 'xz-utils',
      openssl: 'openssl',
    },
  },
  'test:firmware': {
    need: true,
    tools: {
      'qemu-system-x86_64': 'qemu-system-x86',
      'qemu-system-aarch64': 'qemu-system-arm',
      'qemu-img': 'qemu-utils',
      'mkfs.vfat': 'dosfstools',
      mcopy: 'mtools',
      rauc: 'rauc',
    },
  },
  cross: { need: false, tools: { 'aarch64-linux-gnu-g++': 'g++-aarch64-linux-gnu' } },
};

const missingOf = (set) => Object.entries(SETS[set].tools).filter(([program]) => !which(program));

/**
 * Makes sure of the tools of the named sets: looks, installs by apt-get when root, else says what to run.
 * @param {('build' | 'lab' | 'test' | 'cross')[]} sets
 * @returns {Promise<string[]>} programs that are needed and still missing
 */
export async function ensureTools(...sets) {
  const missing = sets.flatMap(missingOf);
  if (missing.length === 0) return [];
  const packages = [...new Set(missing.map(([, pkg]) => pkg))];
  const root = process.getuid?.() === 0;
  if (root && which('apt-get')) {
    say(`installing Debian packages: ${packages.join(' ')}`);
    await install(packages);
  } else {
    const why = which('apt-get') ? 'not root' : 'no apt-get here';
    say(`missing programs: ${missing.map(([program]) => program).join(' ')} (${why}, so not installed by itself)`);
    say(`to mend: ${root ? '' : 'sudo '}apt-get install -y --no-install-recommends ${packages.join(' ')}`);
  }
  for (const set of sets.filter((name) => !SETS[name].need)) {
    for (const [program] of missingOf(set)) say(`without ${program}: what needs it will say so and be left out`);
  }
  return sets.filter((name) => SETS[name].need).flatMap((set) => missingOf(set).map(([program]) => program));
}

async function install(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => run('apt-get', ['-q', '-y', ...args], { env, timeoutMs: 600_000 });
  const listed =
    existsSync('/var/lib/apt/lists') && readdirSync('/var/lib/apt/lists').some((n) => n.endsWith('Packages'));
  const get = (names) => apt('install', '--no-install-recommends', ...names);
  if (listed && (await get(packages)).code === 0) return;
  say('refreshing the package lists');
  await apt('update');
  if ((await get(packages)).code === 0) return;
  // One package that does not exist on this release must not cost the others.
  for (const name of packages) {
    const result = await get([name]);
    if (result.code !== 0) say(`apt-get could not install ${name}: ${result.stderr.trim().split('\n').at(-1) ?? ''}`);
  }
}
