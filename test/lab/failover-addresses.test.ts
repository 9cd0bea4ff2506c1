/** The NIC's own addresses, which adverts are sent from, go and come back while the node runs. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { DEVICES, PORTS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isLearning, isMaster, type Sample, stateOf } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

/** A vhid with IPv6 addresses alone. */
const SIX = `
[[vip]]
vhid = 6
interface = "lan"
addresses = ["fd77:1::6/64"]
password = "lab pass phrase"
`;

const addresses = suite('own addresses');
let stage: Stage;
prepare(addresses, async () => {
  const edit = (text: string, node: string): string => `${text}${SIX}advskew = ${node === 'fw-a' ? 0 : 100}\n`;
  stage = await setUpStage({ connections: 10, config: { edit } });
});
leaveWhenDone(addresses);
const promise = onStage(addresses, () => stage);
const settled = (sample: Sample): boolean =>
  isMaster('fw-a')(sample) && isBackup('fw-b')(sample) && inStep(sample) && !isLearning('fw-a')(sample);
const lan = DEVICES.lan;
const troubles = (sample: Sample, node: 'fw-a' | 'fw-b'): string[] =>
  (sample[node]?.trouble ?? []).map(({ what, where }) => `${what} ${where}`);

promise(
  'the master loses the own IPv4 address of its LAN: the other leads, one at a time, and it says so',
  async (on) => {
    const { lab, watch } = on;
    await lab.exec('fw-a', ['ip', '-4', 'addr', 'flush', 'dev', lan]);
    await watch.until('fw-b to lead all', (s) => isMaster('fw-b')(s) && !isMaster('fw-a')(s), 15_000);
    await watch.until('the trouble', (s) => troubles(s, 'fw-a').includes('no_address lan'), 5000);
    assert.ok(watch.latest['fw-a']?.carp.demotion.reasons.some(({ reason }) => reason === 'no_ipv4:lan'));
    const own = PORTS['fw-a'].find(({ device }) => device === lan)?.addresses[0] ?? '';
    await lab.exec('fw-a', ['ip', 'addr', 'add', own, 'dev', lan]);
    await watch.until('fw-a to lead again', settled, 30_000);
    assert.equal(troubles(watch.latest, 'fw-a'), []);
    assert.equal(watch.violations, []);
  },
);

promise('an IPv6-only vhid is out of work without a link-local address, and goes on by itself with one', async (on) => {
  const { lab, watch } = on;
  await lab.exec('fw-b', ['ip', '-6', 'addr', 'flush', 'dev', lan, 'scope', 'link']);
  await watch.until('vhid 6 to be in INIT on fw-b', (s) => stateOf(s['fw-b'], 6) === 'INIT', 10_000);
  await watch.until('the trouble', (s) => troubles(s, 'fw-b').includes('no_address lan'), 5000);
  await lab.exec('fw-b', ['ip', 'addr', 'add', 'fe80::b/64', 'dev', lan, 'nodad']);
  await watch.until('vhid 6 to be BACKUP on fw-b', (s) => stateOf(s['fw-b'], 6) === 'BACKUP', 10_000);
  await watch.until('no trouble', (s) => troubles(s, 'fw-b').length === 0, 10_000);
  assert.equal(watch.violations, []);
});

addresses.run();
