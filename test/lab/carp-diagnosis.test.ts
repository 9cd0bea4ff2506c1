/**
 * What is wrong between the hosts of a vhid is said by name, on the node that can mend it, and said when it is over.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type FirewallName, SWITCH } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { isBackup, isMaster } from '../../scripts/lab/watch.ts';
import type { NodeStatus } from '../../src/contract/status.ts';
import type { Trouble } from '../../src/contract/trouble.ts';
import { gratuitousArp, unsolicitedNeighbourAdvertisement } from '../../src/gate/announce.ts';
import { advert, CARP, CARP_GROUP, inject } from './lib/packets.ts';
import { play, whole } from './lib/replay.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { Sniffer } from './lib/sniff.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const naming = suite('diagnosis');
let stage: Stage;
prepare(naming, async () => {
  stage = await setUpStage();
});
leaveWhenDone(naming);
const promise = onStage(naming, () => stage);

/** Waits for a diagnosis; `over`: that it has ended. */
async function said(on: Stage, node: FirewallName, what: string, reason: RegExp, over = false): Promise<void> {
  const found = () =>
    logged(on.pair[node], 'carp.diagnosis').some(
      (one) => one.what === what && one.over === over && reason.test(String(one.reason)),
    );
  await until(`${node} to say "${what}"${over ? ' is over' : ''}`, found, { withinMs: 40_000 });
}

/** Changes the configuration of fw-b for as long as `during` runs. */
async function changed(on: Stage, from: string, to: string, during: () => Promise<void>): Promise<void> {
  const { paths, pid } = on.pair['fw-b'];
  const text = readFileSync(paths.config, 'utf8');
  const second = text.lastIndexOf(from);
  assert.ok(second > 0);
  writeFileSync(paths.config, text.slice(0, second) + to + text.slice(second + from.length));
  process.kill(pid!, 'SIGHUP');
  await during();
  writeFileSync(paths.config, text);
  process.kill(pid!, 'SIGHUP');
}

promise('different address lists: both nodes name the address', async (on) => {
  await changed(on, '"10.77.1.1/24"', '"10.77.1.1/24", "10.77.1.9/24"', async () => {
    await said(on, 'fw-b', 'address_list', /both list 10\.77\.1\.1.*this node also has 10\.77\.1\.9/);
    await said(on, 'fw-a', 'address_list', /the peer also has 10\.77\.1\.9/);
    await pause(4000);
    assert.ok(isMaster('fw-a')(on.watch.latest) && isBackup('fw-b')(on.watch.latest), 'no second master because of it');
  });
  await said(on, 'fw-a', 'address_list', /10\.77\.1\.9/, true);
});

/** What `carpio status` calls wrong now. */
async function troubleOf(on: Stage, node: FirewallName): Promise<Trouble[]> {
  const answer = await on.pair[node].ask<NodeStatus>('status', {});
  assert.ok(answer.ok);
  return answer.result.trouble ?? [];
}

promise('wrong password', async (on) => {
  await changed(on, 'lab pass phrase', 'another phrase', async () => {
    await said(on, 'fw-b', 'password', /^wrong password: the peer's adverts of vhid 2 \(10\.77\.1\.2 on lan\)/);
    assert.not.match(on.pair['fw-b'].log(), /another phrase|lab pass phrase/);
    const trouble = (await troubleOf(on, 'fw-b')).find(({ what }) => what === 'password');
    assert.is(trouble?.where, 'vhid 2 on lan');
    assert.is(trouble?.severity, 'error');
  });
});

promise('a foreign user of the vhid on the segment', async (on) => {
  await inject(on.lab, 'client', [{ protocol: CARP, to: CARP_GROUP, ttl: 255, bytes: advert({ vhid: 2 }) }]);
  await said(on, 'fw-a', 'foreign_user', /^10\.77\.1\.10 on lan is not the peer and uses vhid 2, too/);
});

promise('a duplicate of a virtual address', async (on) => {
  const claim = gratuitousArp(Buffer.from('027700000110', 'hex'), Buffer.from([10, 77, 1, 1]));
  await play(on.lab, 'client', 'eth0', [claim]);
  await said(
    on,
    'fw-a',
    'duplicate_address',
    /^duplicate address: 02:77:00:00:01:10 on lan says that it has 10\.77\.1\.1/,
  );
  assert.is(
    logged(on.pair['fw-b'], 'carp.diagnosis').some((one) => one.what === 'duplicate_address'),
    false,
    'the backup has no duplicate',
  );
});

promise('a duplicate of a virtual IPv6 address: one that announces it, and one that only answers', async (on) => {
  const address = Buffer.from('fd770001000000000000000000000001', 'hex');
  await play(on.lab, 'client', 'eth0', [
    unsolicitedNeighbourAdvertisement(Buffer.from('027700000110', 'hex'), address, false),
  ]);
  const found = /^duplicate address: 02:77:00:00:01:10 on lan says that it has fd77:1::1/;
  await said(on, 'fw-a', 'duplicate_address', found);
  // A host that has had the address all along says nothing by itself: after a take-over it is asked.
  await on.lab.exec('server', ['ip', 'addr', 'add', 'fd77:2::1/64', 'dev', 'eth0', 'nodad']);
  await on.pair['fw-a'].ask('maintenance', { on: true });
  await said(
    on,
    'fw-b',
    'duplicate_address',
    /^duplicate address: 02:77:00:00:02:10 on wan says that it has fd77:2::1/,
  );
  await on.lab.exec('server', ['ip', 'addr', 'del', 'fd77:2::1/64', 'dev', 'eth0']);
  await on.pair['fw-a'].ask('maintenance', { on: false });
  await on.watch.until('fw-a to be master', isMaster('fw-a'), 20_000);
});

// Over IPv6: packets from an own IPv4 address are discarded by the kernel before any socket sees them.
promise('own adverts that come back', async (on) => {
  const wire = await Sniffer.start(on.lab, 'client', 'eth0');
  const own = () =>
    wire.adverts(2).filter((one) => one.family === 6 && one.from === 'fe80000000000000007700fffe000102');
  await until('four adverts', () => own().length >= 4, { withinMs: 8000 });
  await play(on.lab, 'client', 'eth0', own().map(whole));
  wire.stop();
  await said(on, 'fw-a', 'own_packets', /come back on lan/);
});

promise('a switch that does not let the virtual MAC pass', async (on) => {
  const { lab, pair, watch } = on;
  const rules = `table bridge strict { chain f { type filter hook forward priority 0;
    ether daddr 00:00:5e:00:01:02 drop; }; }`;
  await pair['fw-a'].ask('maintenance', { on: true });
  await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  await lab.exec(SWITCH, ['nft', '-f', '-'], { input: rules });
  await pair['fw-a'].ask('maintenance', { on: false });
  await watch.until('fw-b to be backup', isBackup('fw-b'), 10_000);
  await said(on, 'fw-b', 'virtual_mac', /^the virtual MAC 00:00:5e:00:01:02 does not pass the switch on lan/);
  await lab.exec(SWITCH, ['nft', 'delete', 'table', 'bridge', 'strict']);
  assert.is(
    logged(pair['fw-b'], 'carp.diagnosis').some((one) => one.what === 'virtual_mac' && one.interface === 'wan'),
    false,
    'where it passes nothing is said',
  );
});

promise('and through all of it there was one master', async ({ watch }) => {
  assert.equal(watch.violations, []);
});

naming.run();
