/**
 * Load sharing for clients that know one router address only, as `net.inet.carp.arpbalance` had it: the rules of
 * docs/carp.md ("One router address for both boxes") on two vhids with different masters.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { ECHO_PORT, FIREWALLS, type FirewallName, SERVER_IP } from '../../scripts/lab/plan.ts';
import { Traffic } from '../../scripts/lab/traffic.ts';
import { neighbourMac } from './lib/bsd.ts';
import { addRules } from './lib/rules.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const sharing = suite('one router address, both boxes');
const CLIENTS = 16;
const EACH = 10;
const ROUTER = '10.77.1.1';
const MACS: Record<FirewallName, string> = { 'fw-a': '00:00:5e:00:01:02', 'fw-b': '00:00:5e:00:01:0c' };
const client = (i: number): string => `client-${i}`;

/** As in docs/carp.md. */
const SHARE = `
table netdev share {
  chain router {
    type filter hook egress device "eth1" priority 0; policy accept;
    arp operation request arp saddr ip ${ROUTER} arp daddr ip ${ROUTER} arp saddr ip set 0.0.0.0
    arp operation reply arp saddr ip ${ROUTER} jhash arp daddr ip mod 2 seed 0x63617270 1 arp saddr ether set ${MACS['fw-b']}
  }
}
table inet share {
  chain prerouting {
    type filter hook prerouting priority mangle;
    iifname "carp12-lan" ct state new ct mark set 12
  }
}
`;

/** A second pair of addresses, of which fw-b is the better master. */
function second(text: string, node: FirewallName): string {
  const vip = (vhid: number, role: string, address: string): string => `
[[vip]]
vhid = ${vhid}
interface = "${role}"
addresses = ["${address}"]
password = "lab pass phrase"
advskew = ${node === 'fw-b' ? 0 : 100}
`;
  const rules = addRules(SHARE, 'ct mark 12 oifname $wan snat ip to 203.0.113.11');
  return rules(text, node) + vip(11, 'wan', '203.0.113.11/24') + vip(12, 'lan', '10.77.1.11/24');
}

let lab: Lab;
let pair: Record<FirewallName, Firewall>;
let traffic: Traffic[] = [];

/** Hosts of their own on the LAN: each has its own neighbour table, and asks with its own address. */
async function plugClient(i: number): Promise<void> {
  const ip = (...argv: string[]): Promise<unknown> => command(['ip', ...argv]);
  await ip('netns', 'add', client(i));
  await ip('-n', 'client', 'link', 'add', `c${i}`, 'link', 'eth0', 'type', 'macvlan', 'mode', 'bridge');
  await ip('-n', 'client', 'link', 'set', `c${i}`, 'netns', client(i));
  await ip('-n', client(i), 'addr', 'add', `10.77.1.${100 + i}/24`, 'dev', `c${i}`);
  await ip('-n', client(i), 'link', 'set', `c${i}`, 'up');
  await ip('-n', client(i), 'route', 'add', 'default', 'via', ROUTER);
}

const everyClient = <T>(ask: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: CLIENTS }, (_, i) => ask(i)));

async function held(first: FirewallName, other: FirewallName): Promise<void> {
  const want = JSON.stringify([[first], [other]]);
  await until(
    `${first} to be master of the first vhids and ${other} of the second`,
    async () => JSON.stringify(await Promise.all([lab.holders(ROUTER), lab.holders('10.77.1.11')])) === want,
    { withinMs: 30_000 },
  );
}

const inStep = async (): Promise<boolean> =>
  (await Promise.all(FIREWALLS.map((name) => pair[name].status()))).every((status) => status?.sync?.in_step === true);

prepare(sharing, async () => {
  lab = new Lab();
  await lab.up();
  const make = (name: FirewallName): Firewall => new Firewall(lab, name, { edit: second });
  pair = { 'fw-a': make('fw-a'), 'fw-b': make('fw-b') };
  await Promise.all(FIREWALLS.map((name) => pair[name].start()));
  await held('fw-a', 'fw-b');
  for (let i = 0; i < CLIENTS; i++) await plugClient(i);
});
leaveWhenDone(sharing);

/** Which virtual MAC each client has for the router. */
const routers = (): Promise<(string | null)[]> => everyClient((i) => neighbourMac(client(i), ROUTER));
const shareOf = (macs: (string | null)[], name: FirewallName): number =>
  macs.filter((mac) => mac === MACS[name]).length;

sharing('each client is sent to one of the two boxes, and always to the same', async () => {
  await everyClient((i) => command(['ip', 'netns', 'exec', client(i), 'ping', '-c1', '-W2', SERVER_IP]));
  const macs = await routers();
  const [a, b] = [shareOf(macs, 'fw-a'), shareOf(macs, 'fw-b')];
  process.stdout.write(`${CLIENTS} clients: ${a} by fw-a, ${b} by fw-b\n`);
  assert.is(a + b, CLIENTS);
  assert.ok(a >= 3 && b >= 3, 'the hash spreads them');
  await everyClient((i) => command(['ip', '-n', client(i), 'neigh', 'flush', 'all']));
  await everyClient((i) => command(['ip', 'netns', 'exec', client(i), 'ping', '-c1', '-W2', SERVER_IP]));
  assert.equal(await routers(), macs);
});

sharing('connections go and come through the same box, translated to its address', async () => {
  const echo = new Traffic(lab, 'server', 'echo', [ECHO_PORT, 300]);
  await echo.told('ready', 10_000);
  traffic = Array.from(
    { length: CLIENTS },
    (_, i) => new Traffic(lab, client(i) as 'client', 'connections', [SERVER_IP, ECHO_PORT, EACH, 100, 300]),
  );
  await Promise.all(traffic.map((one) => one.told('ready', 30_000)));
  const { stdout } = await lab.exec('server', ['ss', '-Htn', 'state', 'established', 'sport', '=', `${ECHO_PORT}`]);
  const through = (address: string): number =>
    stdout.split('\n').filter((line) => line.includes(`${address}]:`)).length;
  const macs = await routers();
  assert.is(through('203.0.113.1'), shareOf(macs, 'fw-a') * EACH);
  assert.is(through('203.0.113.11'), shareOf(macs, 'fw-b') * EACH);
});

const alive = async (): Promise<number> => {
  const reports = await Promise.all(traffic.map((one) => one.ask<{ alive: number }>('report')));
  return reports.reduce((sum, { alive: count }) => sum + count, 0);
};

async function allWork(): Promise<void> {
  await Promise.all(traffic.map((one) => one.ask('arm')));
  await until(
    'all connections to have worked',
    async () => {
      const reports = await Promise.all(traffic.map((one) => one.ask<{ worked_after_ms: number | null }>('report')));
      return reports.every((one) => one.worked_after_ms !== null);
    },
    { withinMs: 30_000, everyMs: 200 },
  );
  assert.is(await alive(), CLIENTS * EACH);
}

for (const dead of FIREWALLS) {
  const other = dead === 'fw-a' ? 'fw-b' : 'fw-a';
  sharing(
    `${dead} is powered off: ${other} goes on with all connections; afterwards they are shared as before`,
    async () => {
      const macs = await routers();
      await until('both nodes to be in step', inStep, { withinMs: 30_000 });
      await Promise.all(traffic.map((one) => one.ask('mark')));
      await pair[dead].powerOff();
      await held(other, other);
      await allWork();
      await pair[dead].powerOn();
      await held('fw-a', 'fw-b');
      await allWork();
      assert.equal(await routers(), macs, "no announcement changed a client's mind");
    },
  );
}

sharing('neither node takes the other for a thief of the address', async () => {
  for (const name of FIREWALLS) assert.not.match(pair[name].log(), /duplicate_address/);
});

sharing.run();
