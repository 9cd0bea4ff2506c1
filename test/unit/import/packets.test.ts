/**
 * Imported and starting rules with real packets: a gateway with its virtual addresses on macvlans, a host on each side,
 * all in network namespaces of their own. Run again inside of `unshare`, so that everything vanishes with it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { importConfig } from '../../../src/import/import.ts';
import { makePlan } from '../../../src/import/init/plan.ts';
import { rulesText } from '../../../src/import/init/rules-text.ts';
import { roleDefines } from '../../../src/kernel/nft-text.ts';
import { sample } from './samples/lib.ts';

const MARK = 'CARPIO_IMPORT_PACKETS';
const packets = suite('import: real packets');

const ROLES = { wan: ['w0', 'carp1-wan'], lan: ['l0', 'carp2-lan'], sync: ['s0'], guests_friends: ['g0'] };

const SETUP = `set -e
mount -t tmpfs none /run; mkdir /run/netns; ip netns add W; ip netns add L; ip link set lo up
for side in "w0 W 203.0.113 100 carp1-wan 01" "l0 L 192.168.1 80 carp2-lan 02"; do
  set -- $side
  ip link add $1 type veth peer name e netns $2
  ip addr add $3.2/24 dev $1; ip link set $1 up
  ip -n $2 addr add $3.$4/24 dev e; ip -n $2 link set e up
  ip link add $5 link $1 address 00:00:5e:00:01:$6 type macvlan mode bridge
  ip addr add $3.1/24 dev $5 noprefixroute; ip link set $5 up
  for dev in $1 $5; do echo 0 >/proc/sys/net/ipv4/conf/$dev/rp_filter; done
done
cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 0 >conf/all/rp_filter; echo 1 >conf/all/arp_ignore; echo 2 >conf/all/arp_announce
ip -n L route add default via 192.168.1.1
ip -n W route add 192.168.1.0/24 via 203.0.113.2`;

/** Answers every connection with the address that it came from. */
const SERVER = `for (const port of process.argv.slice(1)) require('net').createServer((s) => s.on('error', () => {}).end(s.remoteAddress.replace('::ffff:', ''))).listen(+port, '0.0.0.0', () => console.log('up'))`;
const CLIENT = `const s = require('net').connect(+process.argv[2], process.argv[1]); s.setTimeout(700, () => { console.log('silence'); process.exit() }); s.on('error', (e) => console.log(e.code)); s.on('data', (d) => { console.log(String(d)); process.exit() })`;

const inside = (ns: string | null, ...argv: string[]) => (ns === null ? argv : ['ip', 'netns', 'exec', ns, ...argv]);

async function serve(ns: string | null, ...ports: number[]): Promise<() => void> {
  const [program = '', ...args] = inside(ns, process.execPath, '-e', SERVER, ...ports.map(String));
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let up = 0;
  while (up < ports.length) up += String((await once(child.stdout, 'data'))[0]).split('up').length - 1;
  return () => child.kill('SIGKILL');
}

/** What a connection brings: the address that the server saw, or `silence`, or an error. */
function connect(ns: string | null, address: string, port: number): string {
  const [program = '', ...args] = inside(ns, process.execPath, '-e', CLIENT, address, String(port));
  return spawnSync(program, args, { encoding: 'utf8' }).stdout.trim();
}

function loadRules(text: string): void {
  const done = spawnSync('nft', ['-f', '-'], {
    input: `flush ruleset\n${roleDefines(ROLES)}${text}`,
    encoding: 'utf8',
  });
  assert.is(done.status, 0, done.stderr);
}

if (process.env[MARK] !== '1') {
  const how = process.getuid?.() === 0 ? ['-mnpf'] : ['-Urmnpf'];
  const unshare = [...how, '--mount-proc', '--kill-child'];
  const probe = spawnSync(
    'unshare',
    [
      ...unshare,
      'sh',
      '-c',
      'mount -t tmpfs none /run && mkdir /run/netns && ip netns add x && nft list ruleset && ip link add v0 type veth peer name v1 && ip link add m0 link v0 type macvlan',
    ],
    { encoding: 'utf8' },
  );
  if (probe.status !== 0)
    console.log(
      `skip: no network namespaces can be made here: ${(probe.error?.message ?? probe.stderr).trim().split('\n')[0]}`,
    );
  else {
    const again = spawnSync('unshare', [...unshare, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
      stdio: 'inherit',
      env: { ...process.env, [MARK]: '1' },
    });
    process.exit(again.status ?? 1);
  }
} else {
  const stops: (() => void)[] = [];
  packets.before(async () => {
    const done = spawnSync('sh', ['-c', SETUP], { encoding: 'utf8' });
    assert.is(done.status, 0, done.stderr);
    stops.push(await serve('W', 80, 445), await serve('L', 8443, 6001, 9999), await serve(null, 22, 8080));
  });
  packets.after(() => {
    for (const stop of stops) stop();
  });

  packets('control: without rules everything is reached', () => {
    loadRules('');
    assert.is(connect('W', '203.0.113.1', 22), '203.0.113.100');
    assert.is(connect('W', '192.168.1.80', 9999), '203.0.113.100');
  });

  packets('rules of a pfSense file do what they did there', () => {
    const one = sample('pfsense-pair.xml');
    const text = one.text.replaceAll('192.168.1.90', '192.168.1.80');
    const result = importConfig('pfsense', text, one.name);
    assert.ok(result.ok && result.nft !== null);
    if (!result.ok) return;
    loadRules(result.nft ?? '');
    assert.is(connect('L', '203.0.113.100', 80), '203.0.113.1', 'out by the virtual address');
    assert.is(connect('W', '203.0.113.1', 443), '203.0.113.100', 'port forward with a rule of its own');
    assert.is(connect('W', '203.0.113.2', 5001), '203.0.113.100', 'forward of "WAN address" that passes by itself');
    assert.is(connect('W', '203.0.113.1', 5001), 'silence', 'a virtual address is not the "WAN address"');
    assert.is(connect('W', '192.168.1.80', 6001), 'silence', 'the same, not by the forward');
    assert.is(connect('W', '192.168.1.80', 9999), 'silence', 'nothing lets that in');
    assert.is(connect('W', '203.0.113.1', 22), 'silence');
    assert.is(connect('L', '192.168.1.1', 22), '192.168.1.80', 'anti-lockout, and "LAN to any"');
  });

  packets('the starting rules of init: out, not in', () => {
    const made = makePlan({
      name: 'a',
      wan: 'w0',
      lan: 'l0',
      sync: 's0',
      'wan-vip': '203.0.113.1/24',
      'lan-vip': '192.168.1.1/24',
    });
    assert.ok(made.ok);
    if (!made.ok) return;
    const rules = rulesText(made.plan);
    loadRules(rules);
    assert.is(connect('L', '203.0.113.100', 80), '203.0.113.1');
    assert.is(connect('L', '192.168.1.1', 22), '192.168.1.80');
    assert.is(connect('L', '192.168.1.1', 8080), 'silence');
    assert.is(connect('W', '203.0.113.1', 22), 'silence');
    assert.is(connect('W', '192.168.1.80', 9999), 'silence');
    const forward = 'iifname $wan ip daddr 203.0.113.1 tcp dport 443 dnat ip to 192.168.1.80';
    assert.match(rules, `# ${forward}\n`);
    loadRules(rules.replace(`# ${forward}`, `${forward}:8443`));
    assert.is(connect('W', '203.0.113.1', 443), '203.0.113.100', 'the example of a port forward, taken in');
  });

  packets.run();
}
