/**
 * npm run firmware -- --arch x86_64|arm64: firmware/out/carpio-VERSION-ARCH.img, and the .raucb to upgrade with.
 * `--cert FILE --key FILE`: who may sign upgrades; without them a key of your own is made once, in build/firmware.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { must, run } from './lib/command.mjs';
import { BUILD, DIST, ROOT } from './lib/paths.mjs';
import { onRuntime } from './lib/runtime.mjs';
import { Refusal, runMain } from './lib/say.mjs';
import { ensureDeps } from './lib/setup.mjs';

const ARCHES = { x86_64: { debian: 'amd64', binary: 'x64' }, arm64: { debian: 'arm64', binary: 'arm64' } };

function option(args, name) {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? null : args[at + 1];
}

/** The certificate in the image and the key that belongs to it. */
async function signer(args) {
  const cert = option(args, 'cert');
  const key = option(args, 'key');
  if ((cert === null) !== (key === null)) throw new Refusal('--cert and --key belong together');
  if (cert) return { cert, key };
  const own = { cert: `${BUILD}/firmware/upgrade.cert.pem`, key: `${BUILD}/firmware/upgrade.key.pem` };
  if (!existsSync(own.key)) {
    const subject = ['-subj', '/CN=Carpio upgrades, own build', '-days', '36500'];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await must('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', own.key, '-out', own.cert]);
  }
  return own;
}

await runMain(async () => {
  const args = process.argv.slice(2);
  const name = option(args, 'arch') ?? 'x86_64';
  const arch = ARCHES[name];
  if (!arch) throw new Refusal(`--arch: found ${name}, allowed ${Object.keys(ARCHES).join(', ')}`);
  if (process.getuid?.() !== 0) throw new Refusal('root is needed: packages are unpacked with their owners');
  await ensureDeps('build', 'firmware', ...(name === 'arm64' ? ['cross'] : []));
  const built = await onRuntime('scripts/lib/build-all.mjs', ['--quiet', ...(name === 'x86_64' ? ['--host'] : [])]);
  if (built !== 0) return built;
  mkdirSync(`${BUILD}/firmware/${name}`, { recursive: true });
  const { cert, key } = await signer(args);
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));
  const date = (await must('git', ['log', '-1', '--format=%ct'], { cwd: ROOT })).stdout.trim();
  const out = option(args, 'out') ?? `${ROOT}/firmware/out`;
  mkdirSync(out, { recursive: true });
  const env = {
    ...process.env,
    SOURCE_DATE_EPOCH: process.env.SOURCE_DATE_EPOCH ?? date,
    CARPIO_CERT: cert,
    CARPIO_KEY: key,
    CARPIO_WORK: `${BUILD}/firmware/${name}`,
  };
  const call = [`${ROOT}/firmware/build.sh`, arch.debian, version, `${DIST}/carpio-linux-${arch.binary}`, out];
  return (await run('bash', call, { env, inherit: true })).code;
});
