/** The sync device is removed and made again (a USB adapter, a driver): state sync goes on through the new one. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { DEVICES, type FirewallName, PORTS, portName, SWITCH } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isMaster } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const device = suite('the sync device made anew');
let stage: Stage;
prepare(device, async () => {
  stage = await setUpStage({ connections: 20 });
});
leaveWhenDone(device);
const promise = onStage(device, () => stage);

async function pull({ lab }: Stage, node: FirewallName): Promise<void> {
  await lab.exec(node, ['ip', 'link', 'del', DEVICES.sync]);
}

async function plugAgain({ lab }: Stage, node: FirewallName): Promise<void> {
  const port = PORTS[node].find(({ cable }) => cable === 'sync')!;
  const end = portName(node, 'sync');
  const peer = ['peer', 'name', port.device, 'address', port.mac, 'netns', node];
  await lab.exec(SWITCH, ['ip', 'link', 'add', end, 'type', 'veth', ...peer]);
  await lab.exec(SWITCH, ['ip', 'link', 'set', end, 'master', 'sync', 'up']);
  for (const address of port.addresses) await lab.exec(node, ['ip', 'addr', 'add', address, 'dev', port.device]);
  await lab.exec(node, ['ip', 'link', 'set', port.device, 'up']);
}

for (const node of ['fw-b', 'fw-a'] as const) {
  promise(`of ${node}`, async (on) => {
    const { watch, traffic } = on;
    await pull(on, node);
    await watch.until('the nodes not to hear each other', (s) => s['fw-a']?.sync?.peer.alive === false, 10_000);
    await plugAgain(on, node);
    await watch.until('both to be in step again', inStep, 20_000);
    assert.ok(isMaster('fw-a')(watch.latest) && isBackup('fw-b')(watch.latest));
    await traffic.mark();
    await traffic.arm();
    assert.is((await traffic.worked()).alive, 20);
    assert.equal(watch.violations, []);
  });
}

device.run();
