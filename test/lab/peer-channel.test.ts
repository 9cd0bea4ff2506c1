/** The peer channel between two real nodes: on the sync cable only, with the pair's key only. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { FIREWALLS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import type { PeerChannelStatus } from '../../src/contract/status.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const channel = suite('peer channel between two nodes');
let stage: Stage;
prepare(channel, async () => {
  stage = await setUpStage({ connections: 10 });
});
leaveWhenDone(channel);
const promise = onStage(channel, () => stage);

const both = async ({ pair }: Stage): Promise<(PeerChannelStatus | null | undefined)[]> =>
  Promise.all(FIREWALLS.map(async (name) => (await pair[name].status())?.channel));

const open = (on: Stage): Promise<unknown> =>
  until('the channel on both nodes', async () => (await both(on)).every((one) => one?.state === 'open'), {
    withinMs: 15_000,
  });

promise('it opens through rules with policy drop, and is listened for on the sync address only', async (on) => {
  await open(on);
  const [a, b] = await both(on);
  assert.equal([a?.node, a?.address, a?.peer_address], ['fw-b', '10.77.3.2', '10.77.3.3']);
  assert.equal([b?.node, b?.address, b?.seal], ['fw-a', '10.77.3.3', 'TLSv1.3 TLS_AES_128_GCM_SHA256']);
  const { stdout } = await on.lab.exec('fw-b', ['ss', '-Hltn', 'sport', '=', ':8240']);
  assert.equal(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/)[3]),
    ['10.77.3.3:8240'],
  );
});

promise('from another network nobody gets to it, even by its address', async (on) => {
  await on.lab.exec('client', ['ip', 'route', 'add', '10.77.3.3/32', 'via', '10.77.1.3']);
  const dropped = async (): Promise<number> => {
    const { stdout } = await on.lab.exec('fw-b', ['nft', 'list', 'counter', 'inet', 'carpio', 'channel_device']);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  };
  const before = await dropped();
  const script = 'timeout 2 bash -c "exec 3<>/dev/tcp/10.77.3.3/8240"';
  const { code } = await on.lab.exec('client', ['sh', '-c', script], { check: false });
  assert.is.not(code, 0);
  assert.ok((await dropped()) > before, 'dropped by our own table');
});

promise('it is not tracked', async (on) => {
  const { stdout } = await on.lab.exec('fw-a', ['sh', '-c', 'conntrack -L -p tcp --dport 8240 2>/dev/null || true']);
  assert.is(stdout.trim(), '');
});

channel.run();
