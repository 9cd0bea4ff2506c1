/**
 * One box that a stick tells everything: host name, VLAN, console password, ssh key, both syslogs. Then what brings a
 * box back: a daemon that hangs, the hardware watchdog, both factory resets. `secure`: by UEFI with Secure Boot on,
 * only the first part.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskOf, fromStick, Machine, stickOf } from './lib/machine.ts';
import { freePort, imageOf, note, removeFolder, waitFor } from './lib/run.ts';
import { stickFiles, TOKEN } from './lib/settings.ts';
import { sshBanner } from './lib/ssh.ts';

/** Seconds; what an emulated start takes on a busy machine. */
const START_S = 1800;
/** Seconds without food until the watchdog resets the box. */
const WATCHDOG_S = 60;

const secure = process.argv.includes('secure');
const work = mkdtempSync(join(tmpdir(), 'carpio-fw-'));
const sshPort = await freePort();
const statusPort = await freePort();
let failed = 0;
const log: string[] = [];
const receiver = createSocket('udp4', (message) => log.push(message.toString()));
const systemLog: string[] = [];
const systemReceiver = createSocket('udp4', (message) => systemLog.push(message.toString()));
for (const socket of [receiver, systemReceiver])
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));

const key = (name: string): string => {
  const path = `${work}/${name}`;
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path]);
  return path;
};
const [admin, stranger] = [key('admin'), key('stranger')];

const CONFIG = `[node]
name = "one"
[interfaces]
lan = "port1"
[[vip]]
vhid = 1
interface = "lan"
addresses = ["192.168.77.10/24"]
password = "x"
[feed]
listen = ["127.0.0.1:8180", "192.168.77.1:8180"]
token_file = "/etc/carpio/feed.token"
[service]
watchdog = "/dev/watchdog"
watchdog_s = ${WATCHDOG_S}
syslog = ["192.168.77.2:${receiver.address().port}"]
`;
const HOST = `hostname = "one"
password_hash = "${/password_hash = "(.*)"/.exec(stickFiles('fw-a')['carpio-host.toml']!)![1]}"
dns = ["192.168.77.2"]
ntp = ["192.168.77.2"]
syslog = ["192.168.77.2:${systemReceiver.address().port}"]
[ports.port1]
addresses = ["192.168.77.1/24"]
[ports."port1.20"]
addresses = ["192.168.20.2/24"]
[[route]]
to = "10.0.0.0/8"
via = "192.168.20.254"
port = "port1.20"
`;
const stick = `${work}/stick`;
stickOf(stick, {
  'carpio.toml': CONFIG,
  'carpio-host.toml': HOST,
  'feed.token': `${TOKEN}\n`,
  authorized_keys: readFileSync(`${admin}.pub`, 'utf8'),
});
const box = new Machine({
  name: 'box',
  arch: 'x86_64',
  work,
  secure,
  cpus: 2,
  disk: diskOf(imageOf('x86_64'), `${work}/disk.qcow2`),
  stick,
  nets: [
    `user,net=192.168.77.0/24,host=192.168.77.2,hostfwd=tcp:127.0.0.1:${sshPort}-192.168.77.1:22,hostfwd=tcp:127.0.0.1:${statusPort}-192.168.77.1:8180`,
  ],
  verbose: process.argv.includes('--verbose'),
});

const HOST_KEY = 'dropbearkey -y -f /data/ssh/dropbear_ed25519_host_key | grep ^ssh';

interface Said {
  code: number | null;
  text: string;
}
/** Not spawnSync: the console has to be read meanwhile. */
function ssh(identity: string, command: string): Promise<Said> {
  const options = [
    'StrictHostKeyChecking=no',
    `UserKnownHostsFile=${work}/hosts`,
    'BatchMode=yes',
    'IdentitiesOnly=yes',
  ];
  const args = [...options, 'ConnectTimeout=60', 'IdentityAgent=none'].flatMap((option) => ['-o', option]);
  const argv = [...args, '-F', 'none', '-i', identity, '-p', String(sshPort), 'root@127.0.0.1', command];
  const child = spawn('ssh', argv, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 300_000 });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk;
    });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, text: text.trim() })));
}
async function asked(command: string): Promise<string> {
  const said = await ssh(admin, command);
  if (said.code !== 0) throw new Error(`ssh ${command}: exit ${said.code}: ${said.text}`);
  return said.text;
}
async function role(): Promise<string | null> {
  try {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const options = { headers, signal: AbortSignal.timeout(10_000) };
    const response = await fetch(`http://127.0.0.1:${statusPort}/status`, options);
    return ((await response.json()) as { role: string }).role;
  } catch {
    return null;
  }
}
/** One broken promise does not end the run: a start is too dear. */
function must(what: string, found: string, expected: RegExp): void {
  const kept = expected.test(found);
  if (!kept) failed = 1;
  console.log(kept ? `ok: ${what}` : `BROKEN: ${what}: found ${JSON.stringify(found)}, expected ${expected}`);
}
const master = () => waitFor('MASTER', START_S, async () => (await role()) === 'master', [box]);
const sshIsOn = () => waitFor('ssh', START_S, async () => (await sshBanner(sshPort)) !== null, [box]);

async function told(): Promise<void> {
  box.powerOn();
  await box.expect(/Booting .Carpio, slot A/, START_S);
  await box.expect(/taken from the stick: [^\n]*carpio\.toml/, START_S);
  await master();
  note(box, 'one box, told by its stick, is MASTER after');
  await sshIsOn();
  must("a stranger's key", String((await ssh(stranger, 'true')).code), /^255$/);
  must('host name, asked by ssh with the key', await asked('hostname'), /^one$/);
  must('no password by ssh', await asked('ps -o args'), /dropbear -F -R -s/);
  must(
    'VLAN 20 on port1',
    await asked('ip -d addr show port1.20'),
    /vlan protocol 802.1Q id 20[\s\S]*192\.168\.20\.2\/24/,
  );
  must('route through the VLAN', await asked('ip route'), /10\.0\.0\.0\/8 via 192\.168\.20\.254 dev port1\.20/);
  if (secure) {
    must('Secure Boot is on', await asked('journalctl -k -o cat'), /secureboot: Secure boot enabled/i);
    must('the kernel is locked down', await asked('cat /sys/kernel/security/lockdown'), /\[integrity\]/);
  }
  must('Carpio by syslog', log.join('\n'), /carpio/);
  must('Carpio alone there', log.filter((line) => !/^<\d+>1 \S+ one carpio /.test(line)).join('\n'), /^$/);
  await remoteJournal();
}

/** All that the journal has, from the kernel's first line on, though the network came later. */
async function remoteJournal(): Promise<void> {
  for (const [what, line] of [
    ['the kernel', /^<5>1 \S+ one kernel - - - +Linux version/m],
    ['systemd', /^<30>1 \S+ one systemd \S+ - - .*Started/m],
    ['ssh: who came in', /^<\d+>1 \S+ one dropbear .*Pubkey auth succeeded for 'root'/m],
    ['ssh: who did not', /^<\d+>1 \S+ one dropbear .*(?:Exit before auth|bad)/im],
    ["Carpio's own", /^<\d+>1 \S+ one carpio .*node\.start/m],
  ] as const) {
    const came = async () => line.test(systemLog.join('\n'));
    const late = await waitFor(what, 120, came, [box]).catch((error: Error) => error.message);
    must(`the box's journal by syslog: ${what}`, late ?? 'came', /^came$/);
  }
  if (process.argv.includes('--verbose')) console.log(systemLog.join('\n'));
  const senders = (await asked('ps -o user,args')).split('\n').filter((line) => / \S*rsyslogd /.test(line));
  must('it has one sender, which is not root', senders.join('\n'), /^(?!root)\S+ +\S*rsyslogd[^\n]*$/);
  must('nothing failed', await asked('systemctl --failed --no-legend --no-pager'), /^$/);
}

/** systemd ends a hung daemon and starts it again; the box stays up. */
async function hungDaemon(): Promise<void> {
  const pid = await asked('systemctl show -p MainPID --value carpio');
  await asked(`kill -STOP ${pid}`);
  const again = async () => {
    const now = await ssh(admin, 'systemctl show -p MainPID --value carpio');
    return now.code === 0 && /^[1-9]\d*$/.test(now.text) && now.text !== pid;
  };
  await waitFor('another Carpio', START_S, again, [box]);
  await master();
  console.log('ok: a stopped daemon was ended, another one is MASTER, without a restart of the box');
}

/** No Carpio can be started any more: nobody feeds the watchdog. */
async function watchdog(): Promise<void> {
  await asked('touch /data/state/marker /data/etc/marker');
  console.log(`the watchdog: ${await asked('cat /sys/class/watchdog/watchdog0/identity')}`);
  const begun = performance.now();
  await asked('mount --bind /usr/bin/false /usr/bin/carpio; kill -9 $(systemctl show -p MainPID --value carpio)');
  await box.expect(/Factory reset \(forget/, START_S);
  const took = ((performance.now() - begun) / 1000).toFixed(0);
  console.log(`ok: the watchdog reset the box, its boot menu is there ${took} s after Carpio's end`);
}

/** In the boot menu that the watchdog's reset has led to. */
async function resetFromMenu(hostKey: string): Promise<void> {
  // Two lines down. One key at a time: the emulated serial port loses what comes too fast.
  for (const press of ['\x0e', '\x0e', '\r', '\r', '\r']) {
    box.type(press);
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
  await box.expect(/taken from the stick: [^\n]*carpio\.toml/, START_S);
  await master();
  await sshIsOn();
  removeFolder(`${work}/hosts`);
  must('the boot menu', await asked('journalctl -o cat -u carpio-data'), /anew: factory reset from the boot menu/);
  must('the reset from the boot menu', await asked('ls /data/state /data/etc'), /^(?![\s\S]*marker)/);
  const fresh = await asked(HOST_KEY);
  must('another host key', String(fresh !== hostKey), /true/);
}

async function resetByFile(): Promise<void> {
  await box.cutPower();
  removeFolder(stick);
  stickOf(stick, { 'factory-reset': '' });
  box.powerOn();
  await box.expect(/factory reset: configuration, keys and state are forgotten/, START_S);
  await box.expect(/safe mode: /, START_S);
  await box.expect(/login: /, START_S);
  must('the stick says it is done', fromStick(stick, 'carpio-report.txt'), /factory reset/);
  must('the file on a stick: safe mode, and ssh is off', String(await sshBanner(sshPort)), /^null$/);
}

try {
  await told();
  if (!secure) {
    const hostKey = await asked(HOST_KEY);
    await hungDaemon();
    await watchdog();
    await resetFromMenu(hostKey);
    await resetByFile();
  }
  console.log(`box: ${failed ? 'FAILED' : 'passed'}${secure ? ', with Secure Boot' : ''}`);
} catch (error) {
  failed = 1;
  console.log(`box: FAILED: ${(error as Error).message}\n${box.tail(60)}`);
} finally {
  receiver.close();
  systemReceiver.close();
  await box.cutPower();
  removeFolder(work);
}
process.exit(failed);
