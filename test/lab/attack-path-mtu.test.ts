/**
 * Somebody on the sync segment forges one ICMP "fragmentation needed" (RFC 792, RFC 1191). A kernel that believes it
 * takes no packet of that size to the peer for ten minutes, and state sync stands still.
 */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, DEVICES, PORTS, SERVER_IP } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { STORM_PORTS } from '../../scripts/lab/traffic/storm.ts';
import { inStep } from '../../scripts/lab/watch.ts';
import { internetChecksum } from '../../src/net/checksum.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../../scripts/lab/traffic/storm.ts', import.meta.url));
const INJECT = fileURLToPath(new URL('lib/inject-icmp.ts', import.meta.url));
const FLOWS = 2000;
const FORGED_MTU = 576;
const [A, B] = (['fw-a', 'fw-b'] as const).map((name) =>
  bare(PORTS[name].find(({ cable }) => cable === 'sync')?.addresses[0] ?? ''),
);

const attack = suite('attack: forged path MTU');
let stage: Stage;
prepare(attack, async () => {
  stage = await setUpStage({ connections: 20, config: { syncWhen: 'all' } });
  const ports = `${STORM_PORTS.low}-${STORM_PORTS.high}`;
  const drop = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${ports} drop; }; }`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', drop]);
});
leaveWhenDone(attack);
const promise = onStage(attack, () => stage);

const bytesOf = (address: string): number[] => address.split('.').map(Number);

/** "Your packet of protocol 240 was too long for me, cut it to `mtu`." */
function fragmentationNeeded(from: string, to: string, mtu: number): Buffer {
  const quoted = Buffer.alloc(28);
  quoted.set([0x45, 0, 0x05, 0xdc, 0, 1, 0x40, 0, 255, 240]);
  quoted.set(bytesOf(from), 12);
  quoted.set(bytesOf(to), 16);
  quoted.writeUInt16BE(internetChecksum(quoted.subarray(0, 20)), 10);
  const head = Buffer.from([3, 4, 0, 0, 0, 0, mtu >> 8, mtu & 0xff]);
  const message = Buffer.concat([head, quoted]);
  message.writeUInt16BE(internetChecksum(message), 2);
  return message;
}

async function storm(on: Stage, count: number, first: number): Promise<void> {
  const client = bare(PORTS.client[0]?.addresses[0] ?? '');
  const line = [process.execPath, STORM, client, SERVER_IP, '20000', String(count), String(first)];
  await on.lab.exec('client', line, { timeoutMs: 30_000 });
}

promise('the kernel takes the forged message for true, and state sync goes on all the same', async (on) => {
  const { lab, pair, watch } = on;
  const forged = fragmentationNeeded(A ?? '', B ?? '', FORGED_MTU).toString('hex');
  await lab.exec('fw-b', [process.execPath, '--disable-warning=ExperimentalWarning', INJECT, A ?? '', forged]);
  // The attack itself works: who asks the kernel for the way is told the forged size.
  const { stdout } = await lab.exec('fw-a', ['ip', 'route', 'get', B ?? '']);
  assert.match(stdout, new RegExp(`mtu ${FORGED_MTU}`));
  await storm(on, FLOWS, 0);
  await watch.until(
    'all of it to be mirrored',
    () => (watch.latest['fw-b']?.sync?.states.mirrored ?? 0) >= FLOWS,
    10_000,
  );
  await watch.until('both to be in step', inStep, 10_000);
  assert.equal(logged(pair['fw-a'], 'sync.too_long'), []);
  assert.equal(watch.violations, []);
});

promise('a device that really takes less than [sync] mtu says: an event with both sizes', async (on) => {
  const { lab, pair, watch } = on;
  await lab.exec('fw-a', ['ip', 'link', 'set', DEVICES.sync, 'mtu', '800']);
  await storm(on, FLOWS, FLOWS);
  await watch.until('the event', () => logged(pair['fw-a'], 'sync.too_long').length > 0, 10_000);
  const [event] = logged(pair['fw-a'], 'sync.too_long');
  assert.is(event?.device, DEVICES.sync);
  assert.is(event?.mtu, 1500);
  assert.ok(Number(event?.bytes) > 800 && Number(event?.bytes) <= 1500, `${event?.bytes} bytes`);
  await lab.exec('fw-a', ['ip', 'link', 'set', DEVICES.sync, 'mtu', '1500']);
  await watch.until('both to be in step again', inStep, 20_000);
});

attack.run();
