/** Load sharing by two vhids: each box is master of one, and holds both when the other is gone. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { FIREWALLS, type FirewallName } from '../../scripts/lab/plan.ts';
import { noConntrack } from './lib/kernel.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';
import { entries, toPort } from './lib/table.ts';

await enterOrExit(import.meta.url);

const sharing = suite('active-active');
let lab: Lab;
let pair: Record<FirewallName, Firewall>;

/** A second router on the LAN and a second address on the WAN; fw-b is the better one there. */
function second(node: FirewallName): string {
  const vip = (vhid: number, role: string, address: string): string => `
[[vip]]
vhid = ${vhid}
interface = "${role}"
addresses = ["${address}"]
password = "lab pass phrase"
advskew = ${node === 'fw-b' ? 0 : 100}
`;
  return vip(11, 'wan', '203.0.113.11/24') + vip(12, 'lan', '10.77.1.11/24');
}

const FIRST = ['203.0.113.1/24', '10.77.1.1/24'];
const SECOND = ['203.0.113.11/24', '10.77.1.11/24'];

async function held(first: FirewallName, other: FirewallName, withinMs = 30_000): Promise<void> {
  await until(
    `${first} to hold the first addresses and ${other} the second ones`,
    async () => {
      const holders = async (list: string[]): Promise<string> =>
        JSON.stringify(await Promise.all(list.map((address) => lab.holders(address))));
      const want = (name: FirewallName): string => JSON.stringify([[name], [name]]);
      return (await holders(FIRST)) === want(first) && (await holders(SECOND)) === want(other);
    },
    { withinMs },
  );
  for (const address of ['10.77.1.1', '10.77.1.11']) {
    const { code } = await lab.exec('client', ['ping', '-c', '1', '-W', '1', address], { check: false });
    if (code !== 0)
      for (const name of FIREWALLS)
        process.stdout.write(`${new Date().toISOString()} ${name}\n${pair[name].logTail()}\n`);
    assert.is(code, 0, address);
  }
}

prepare(sharing, async () => {
  lab = new Lab();
  await lab.up();
  const make = (name: FirewallName): Firewall => new Firewall(lab, name, { edit: (text, node) => text + second(node) });
  pair = { 'fw-a': make('fw-a'), 'fw-b': make('fw-b') };
  await Promise.all(FIREWALLS.map((name) => pair[name].start()));
});
leaveWhenDone(sharing);

sharing('each is master of one pair of addresses, and says "mixed"', async () => {
  await held('fw-a', 'fw-b');
  for (const name of FIREWALLS) assert.is((await pair[name].status())?.role, 'mixed');
});

/** Idle connections behind either node's virtual address: no packet of theirs comes in all that follows. */
const IDLE_PORT = 5900;
const idleVia = (address: string, sport: number): string[] =>
  `-I -p udp -s 10.77.1.10 -d 203.0.113.10 --sport ${sport} --dport ${IDLE_PORT} -n ${address} -t 600 -u SEEN_REPLY,ASSURED`.split(
    ' ',
  );
const idleOn = async (node: FirewallName): Promise<number> => (await entries(lab, node, toPort(IDLE_PORT))).length;

async function idleOnBoth(): Promise<void> {
  const all = async (): Promise<boolean> => (await idleOn('fw-a')) === 4 && (await idleOn('fw-b')) === 4;
  await until('all idle connections to be in both kernels', all, { withinMs: 15_000, everyMs: 200 });
}

if (noConntrack()) process.stdout.write(`skip: idle connections: ${noConntrack()}\n`);
else {
  sharing('idle connections of both are in both kernels', async () => {
    for (const sport of [5001, 5002]) await lab.exec('fw-a', ['conntrack', ...idleVia('203.0.113.1', sport)]);
    for (const sport of [5003, 5004]) await lab.exec('fw-b', ['conntrack', ...idleVia('203.0.113.11', sport)]);
    await idleOnBoth();
  });
}

for (const dead of FIREWALLS) {
  const other = dead === 'fw-a' ? 'fw-b' : 'fw-a';
  sharing(`${dead} is powered off: ${other} holds everything; then each has its own again`, async () => {
    const begun = performance.now();
    await pair[dead].powerOff();
    await held(other, other, 5000);
    process.stdout.write(`${dead} off: all addresses on ${other} after ${(performance.now() - begun).toFixed(0)} ms\n`);
    await pair[dead].powerOn();
    await held('fw-a', 'fw-b');
  });
}

sharing('a cable of one box: all of its vhids move, not only the one on that cable', async () => {
  await lab.cut('fw-b', 'lan');
  await held('fw-a', 'fw-a', 5000);
  await lab.heal('fw-b', 'lan');
  await held('fw-a', 'fw-b');
});

if (!noConntrack()) {
  sharing('after all this each node owns its idle connections again: only the owner can end one', async () => {
    await idleOnBoth();
    const remove = (node: FirewallName, sport: number): Promise<unknown> =>
      lab.exec(node, ['conntrack', '-D', '-p', 'udp', '--sport', String(sport)]);
    const owns = (name: FirewallName) => async (): Promise<boolean> => {
      const answer = await pair[name].ask<{ count: number }>('states', {
        filter: `owner=own dport=${IDLE_PORT} nat=snat`,
        count: true,
      });
      return answer.ok && answer.result.count === 2 && (await pair[name].status())?.sync?.in_step === true;
    };
    // Claims are made within 5 s of a change.
    for (const name of FIREWALLS) await until(`${name} to own its two`, owns(name), { withinMs: 20_000 });
    await remove('fw-b', 5001);
    await remove('fw-a', 5003);
    await idleOnBoth();
    await remove('fw-a', 5002);
    await remove('fw-b', 5004);
    const two = async (): Promise<boolean> => (await idleOn('fw-a')) === 2 && (await idleOn('fw-b')) === 2;
    await until('what its owner deletes to go on both', two, { withinMs: 10_000, everyMs: 200 });
  });
}

sharing.run();
