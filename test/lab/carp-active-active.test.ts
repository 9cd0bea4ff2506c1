/** Load sharing by two vhids: each box is master of one, and holds both when the other is gone. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { FIREWALLS, type FirewallName } from '../../scripts/lab/plan.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';

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

sharing.run();
