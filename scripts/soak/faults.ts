/**
 * What is done to the pair. Each fault begins, lasts for a random time, and heals; the checks come after (checks.ts).
 */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pause } from '../lab/command.ts';
import { bare, type Cable, FIREWALLS, type FirewallName, PORTS, SERVER_IP } from '../lab/plan.ts';
import { STORM_PORTS } from '../lab/traffic/storm.ts';
import type { Sample } from '../lab/watch.ts';
import { carpio, type Scene, stateDirOf } from './scene.ts';

export interface Fault {
  name: string;
  weight: number;
  /** May be played together with another one. */
  mild?: boolean;
  act(scene: Scene): Promise<void>;
}

/** A start takes a second; on a machine that does much else, several. */
const START_MS = 60_000;

/** Stretched towards short times: most trouble of clusters is in the moment, not in the hour. */
async function awhile({ random }: Scene, most: number): Promise<void> {
  await pause(20 + random.next() ** 2 * (most - 20));
}

async function started(scene: Scene, node: FirewallName): Promise<void> {
  scene.line.note(`${node}: start`);
  await scene.stage.pair[node].start(START_MS);
}

async function killAndStart(scene: Scene, node: FirewallName): Promise<void> {
  const firewall = scene.stage.pair[node];
  if (!firewall.running) return;
  scene.line.note(`${node}: kill -9 of the daemon`);
  await firewall.kill();
  await awhile(scene, 5000);
  await started(scene, node);
}

async function stopAndGoOn(scene: Scene, node: FirewallName): Promise<void> {
  const { lab, pair } = scene.stage;
  const { pid } = pair[node];
  if (pid === null) return;
  scene.line.note(`${node}: SIGSTOP of the daemon`);
  lab.hung.add(node);
  process.kill(pid, 'SIGSTOP');
  try {
    await awhile(scene, 8000);
  } finally {
    scene.line.note(`${node}: SIGCONT`);
    if (pair[node].pid === pid) process.kill(pid, 'SIGCONT');
    // What it answers in its first moment was asked while it stood still.
    await pause(200);
    lab.hung.delete(node);
  }
}

async function cutAndHeal(scene: Scene, node: FirewallName, cable: Cable, most: number): Promise<void> {
  const { lab } = scene.stage;
  scene.line.note(cable === 'sync' ? 'sync cable: cut' : `${node}: ${cable} cable cut`);
  await lab.cut(node, cable);
  await awhile(scene, most);
  scene.line.note(cable === 'sync' ? 'sync cable: back' : `${node}: ${cable} cable back`);
  await lab.heal(node, cable);
}

const JUNK = fileURLToPath(new URL('../lab/traffic/junk.ts', import.meta.url));
const STORM = fileURLToPath(new URL('../lab/traffic/storm.ts', import.meta.url));
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
const addressOf = (node: FirewallName | 'client', cable: Cable): string =>
  bare(PORTS[node].find((port) => port.cable === cable)!.addresses[0]!);

async function junk(scene: Scene, protocol: 112 | 240): Promise<void> {
  const { random, stage, line } = scene;
  const seconds = random.int(1, 5);
  const rate = random.pick([500, 2000, 5000]);
  const node = random.pick(FIREWALLS);
  const peer = node === 'fw-a' ? 'fw-b' : 'fw-a';
  // CARP from a stranger on the LAN; sync from the peer's own place, the only one whose datagrams come in.
  const way =
    protocol === 112
      ? { machine: 'client', from: addressOf('client', 'lan'), to: '224.0.0.18' }
      : { machine: peer, from: addressOf(peer, 'sync'), to: addressOf(node, 'sync') };
  line.note(`${rate} packets/s of junk on protocol ${protocol} to ${way.to} for ${seconds} s`);
  const args = [protocol, way.from, way.to, rate, rate * seconds, random.int(1, 2 ** 31)].map(String);
  await stage.lab.exec(way.machine, [...NODE, JUNK, ...args], { timeoutMs: 60_000, check: false });
}

/** Commands must say what they cannot do; the node must go on, and must be able to start. */
async function diskFull(scene: Scene): Promise<void> {
  const { random, line } = scene;
  const node = random.pick(FIREWALLS);
  const file = `${stateDirOf(node)}/filler`;
  line.note(`${node}: state_dir is full`);
  fill(file);
  try {
    const { code, stdout, stderr } = await carpio(scene, node, ['maintenance', 'on']);
    line.note(`${node}: maintenance on with a full disk: exit ${code}: ${(stdout + stderr).trim()}`);
    if (random.chance(0.5)) await killAndStart(scene, node);
    await awhile(scene, 2000);
  } finally {
    rmSync(file, { force: true });
    line.note(`${node}: state_dir has room again`);
    await carpio(scene, node, ['maintenance', 'off']);
  }
}

function fill(file: string): void {
  const fd = openSync(file, 'w', 0o600);
  try {
    for (const size of [4096, 1]) for (;;) if (!wrote(fd, size)) break;
  } finally {
    closeSync(fd);
  }
}

function wrote(fd: number, size: number): boolean {
  try {
    return writeSync(fd, Buffer.alloc(size)) > 0;
  } catch {
    return false;
  }
}

/** A slow machine makes about 5000 flows a second: they must live for longer than the filling takes. Seconds. */
const STORM_TIMEOUT = 90;
const FILL_MS = 80_000;
const PIECE = 40_000;

/**
 * The master's kernel table is filled up to its limit with flows that nobody answers. (The limit itself cannot be
 * lowered here: the kernel has one for all namespaces.) Whether it was reached is told.
 */
async function tableFull(scene: Scene): Promise<void> {
  const { stage, line } = scene;
  const ports = `${STORM_PORTS.low}-${STORM_PORTS.high}`;
  const drop = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${ports} drop; }; }`;
  await stage.lab.exec('server', ['nft', drop]);
  const timeout = (seconds: number): Promise<unknown> =>
    Promise.all(
      FIREWALLS.map((node) =>
        stage.lab.exec(node, ['sh', '-c', `echo ${seconds} >/proc/sys/net/netfilter/nf_conntrack_udp_timeout`]),
      ),
    );
  await timeout(STORM_TIMEOUT);
  const most = Number((await stage.lab.exec('fw-a', ['cat', '/proc/sys/net/netfilter/nf_conntrack_max'])).stdout);
  const flows = Math.min(most + 20_000, 320_000);
  line.note(`${flows} flows that nobody answers, the kernel's table holds ${most}`);
  const storm = (n: number, from: number): Promise<unknown> => {
    const args = [addressOf('client', 'lan'), SERVER_IP, '30000', String(n), String(from)];
    return stage.lab.exec('client', [...NODE, STORM, ...args], { timeoutMs: 120_000 });
  };
  const tracked = async (): Promise<number> => {
    const count = (node: FirewallName) =>
      stage.lab.exec(node, ['cat', '/proc/sys/net/netfilter/nf_conntrack_count']).then(({ stdout }) => Number(stdout));
    return Math.max(...(await Promise.all(FIREWALLS.map(count))));
  };
  const until = performance.now() + FILL_MS;
  let from = scene.random.int(0, 1e6);
  try {
    let held = 0;
    for (let left = flows; left > 0 && held < most && performance.now() < until; left -= PIECE) {
      await storm(Math.min(PIECE, left), from);
      from += PIECE;
      held = await tracked();
    }
    line.note(`the master's kernel tracks ${held} of ${most}: ${held >= most * 0.99 ? 'full' : 'NOT full'}`);
    await awhile(scene, 3000);
  } finally {
    await timeout(30);
    await stage.lab.exec('server', ['nft', 'delete', 'table', 'inet', 'storm']);
  }
}

/** Rules and weights change and change back, one of the reloads is refused. */
async function reload(scene: Scene): Promise<void> {
  const { random, stage, line } = scene;
  const node = random.pick(FIREWALLS);
  const firewall = stage.pair[node];
  const { rules } = firewall.paths;
  const sound = readFileSync(rules, 'utf8');
  const turn = async (what: string, text: string): Promise<void> => {
    line.note(`${node}: SIGHUP with ${what}`);
    writeFileSync(rules, text);
    // A program that is still being loaded ends by this signal; service managers do not send it before either.
    if (firewall.ready && firewall.pid !== null) process.kill(firewall.pid, 'SIGHUP');
    await awhile(scene, 2000);
  };
  try {
    if (random.chance(0.5))
      await turn('rules that nft refuses', `${sound}\ntable inet broken { chain x { nonsense } }\n`);
    await turn('another rule', `${sound}\ntable inet more { chain c { ct state invalid counter } }\n`);
  } finally {
    await turn('the old rules', sound);
  }
}

async function maintenance(scene: Scene): Promise<void> {
  const { line } = scene;
  line.note('fw-a: maintenance on');
  const on = await carpio(scene, 'fw-a', ['maintenance', 'on']);
  line.note(`fw-a: exit ${on.code}: ${(on.stdout + on.stderr).trim()}`);
  await awhile(scene, 3000);
  line.note('fw-a: maintenance off');
  await carpio(scene, 'fw-a', ['maintenance', 'off']);
}

async function reboot(scene: Scene, node: FirewallName): Promise<void> {
  const { pair } = scene.stage;
  scene.line.note(`${node}: power off`);
  await pair[node].powerOff();
  await awhile(scene, 5000);
  scene.line.note(`${node}: power on`);
  await pair[node].powerOn(START_MS);
}

/** The only fault that no pair survives: both kernels lose their tables. New connections must be possible at once. */
async function rebootBoth(scene: Scene): Promise<void> {
  await Promise.all(FIREWALLS.map((node) => reboot(scene, node)));
  const someone = (sample: Sample): boolean => FIREWALLS.some((node) => sample[node]?.role === 'master');
  await scene.stage.watch.until('a master after both came back', someone, START_MS);
  scene.line.note('all connections anew');
  await scene.stage.traffic.reconnect();
}

const both = (act: (scene: Scene, node: FirewallName) => Promise<void>) => async (scene: Scene) => {
  await Promise.all(FIREWALLS.map((node) => act(scene, node)));
};
const oneOf = (act: (scene: Scene, node: FirewallName) => Promise<void>) => (scene: Scene) =>
  act(scene, scene.random.pick(FIREWALLS));

/** A burst of short connections during whatever else happens. */
async function churn(scene: Scene): Promise<void> {
  const { traffic } = scene.stage;
  scene.line.note('short connections come and go');
  await traffic.churn.ask('start');
  await awhile(scene, 8000);
  await traffic.churn.ask('stop');
}

export const FAULTS: readonly Fault[] = [
  { name: 'kill -9', weight: 4, mild: true, act: oneOf(killAndStart) },
  { name: 'kill -9 of both', weight: 2, act: both(killAndStart) },
  { name: 'SIGSTOP', weight: 4, mild: true, act: oneOf(stopAndGoOn) },
  { name: 'SIGSTOP of both', weight: 2, act: both(stopAndGoOn) },
  { name: 'LAN cut', weight: 3, mild: true, act: oneOf((scene, node) => cutAndHeal(scene, node, 'lan', 6000)) },
  { name: 'WAN cut', weight: 3, mild: true, act: oneOf((scene, node) => cutAndHeal(scene, node, 'wan', 6000)) },
  { name: 'sync cut', weight: 4, mild: true, act: (scene) => cutAndHeal(scene, 'fw-a', 'sync', 8000) },
  { name: 'junk on 112', weight: 2, mild: true, act: (scene) => junk(scene, 112) },
  { name: 'junk on 240', weight: 2, mild: true, act: (scene) => junk(scene, 240) },
  { name: 'disk full', weight: 2, act: diskFull },
  { name: 'conntrack table full', weight: 0.5, act: tableFull },
  { name: 'reload', weight: 2, mild: true, act: reload },
  { name: 'maintenance', weight: 3, act: maintenance },
  { name: 'power off', weight: 4, act: oneOf(reboot) },
  { name: 'power off of both', weight: 0.7, act: rebootBoth },
  { name: 'churn', weight: 3, mild: true, act: churn },
];
