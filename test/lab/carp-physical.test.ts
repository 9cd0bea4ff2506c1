/** mac = "physical": no virtual device, the address on the NIC, announced with the NIC's own MAC. For clouds. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { PORTS, VIPS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import { macvlans } from './lib/kernel.ts';
import { NOISE_MS } from './lib/noise.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { Sniffer } from './lib/sniff.ts';
import { logged, virtualAddresses } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const physical = suite('physical MAC');
let stage: Stage;
prepare(physical, async () => {
  const edit = (text: string): string => text.replaceAll('password =', 'mac = "physical"\npassword =');
  stage = await setUpStage({ config: { edit } });
});
leaveWhenDone(physical);
const promise = onStage(physical, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
const macOf = (node: 'fw-a' | 'fw-b'): string => PORTS[node].find((port) => port.cable === 'lan')!.mac;
const ADDRESSES = Object.values(VIPS).flatMap((vip) => vip.addresses);

/** The client's neighbour entry for the virtual router. */
async function neighbour({ lab }: Stage): Promise<string> {
  const { stdout } = await lab.exec('client', ['ip', '-j', 'neigh', 'show', '10.77.1.1']);
  return (JSON.parse(stdout) as { lladdr?: string }[])[0]?.lladdr ?? '';
}

promise('no virtual device; the client knows the router by the NIC of the master', async (on) => {
  assert.equal(await macvlans(on.lab, 'fw-a'), []);
  assert.equal(
    (await virtualAddresses(on.lab, 'fw-a')).map((line) => line.split(' ')[0]),
    ['eth0', 'eth0', 'eth1', 'eth1'],
  );
  assert.is(await neighbour(on), macOf('fw-a'));
  assert.is(on.watch.latest['fw-a']?.carp.vips.find((vip) => vip.vhid === 2)?.mac, macOf('fw-a'));
});

promise('adverts leave with the own MAC', async ({ lab }) => {
  const wire = await Sniffer.start(lab, 'client', 'eth0');
  const { value } = await until('an advert', () => wire.adverts(2)[0], { withinMs: 5000 });
  wire.stop();
  assert.is(value.source, macOf('fw-a'));
});

promise('power off: the announcement moves the clients to the other NIC; back again later', async (on) => {
  const { lab, pair, traffic, watch } = on;
  await traffic.mark();
  await pair['fw-a'].powerOff();
  await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  await traffic.arm();
  assert.is((await traffic.worked()).alive, 200);
  assert.is(await neighbour(on), macOf('fw-b'));
  const { gap_ms } = await traffic.probe.ask<{ gap_ms: number }>('report');
  process.stdout.write(`power off: gap ${gap_ms.toFixed(0)} ms\n`);
  await traffic.mark();
  await pair['fw-a'].powerOn();
  await watch.until('fw-a to be master again, in step', settled, 45_000);
  await traffic.arm();
  assert.is((await traffic.worked()).alive, 200);
  for (const address of ADDRESSES) assert.equal(await lab.holders(address), ['fw-a'], address);
  assert.is(await neighbour(on), macOf('fw-a'));
});

promise('kill -9: nobody answers for the virtual addresses on the NIC any more, and it keeps its own', async (on) => {
  const { lab, pair, traffic, watch } = on;
  await traffic.mark();
  const begun = performance.now();
  const killed = pair['fw-a'].kill();
  await killed;
  await until('the gates to close', async () => (await lab.openGates('fw-a')) === 0, { withinMs: 1000, everyMs: 1 });
  const ms = performance.now() - begun;
  process.stdout.write(`kill -9: gates seen closed after ${ms.toFixed(0)} ms\n`);
  assert.ok(ms < 150 + NOISE_MS, `${ms.toFixed(0)} ms`);
  const { stdout } = await lab.exec('fw-a', ['ip', '-br', 'addr', 'show', 'eth1']);
  assert.match(stdout, /10\.77\.1\.2\/24.*fd77:1::2\/64/);
  await watch.until('fw-b to be master', isMaster('fw-b'), 5000);
  await traffic.arm();
  assert.is((await traffic.worked()).alive, 200);
  await pair['fw-a'].start();
  await watch.until('fw-a to be master again, in step', settled, 45_000);
  assert.equal(logged(pair['fw-a'], 'carp.diagnosis'), [], 'a hand-over is no duplicate address');
  assert.equal(logged(pair['fw-b'], 'carp.diagnosis'), []);
  assert.equal(watch.violations, []);
});

physical.run();
