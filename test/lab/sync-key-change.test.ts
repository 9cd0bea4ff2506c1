/**
 * The pair's key is changed on one box after the other, by reloads and by restarts: connections live, nobody changes
 * its role, both say that they differ while they do, and nothing of the old key counts afterwards.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { DEVICES, FIREWALLS, type FirewallName } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isBackup, isMaster, type Sample } from '../../scripts/lab/watch.ts';
import type { NodeStatus } from '../../src/contract/status.ts';
import { helloKey } from '../../src/sync/seal/seal.ts';
import { HEADER_SIZE, KIND_HELLO, writeHeader } from '../../src/sync/wire/datagram.ts';
import { inject, SYNC } from './lib/packets.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { logged } from './lib/virtual-addresses.ts';

await enterOrExit(import.meta.url);

const RECORD = '/run/lab/sync.jsonl';
/** Each node reads its own file, as two boxes do. */
const keyOf = (node: FirewallName): string => `/run/lab/${node}.key`;
const NEW_KEY = '/run/lab/new.key';
const newKey = (): string => `${randomBytes(32).toString('hex')}\n`;
const write = (path: string, key: string): void => writeFileSync(path, key, { mode: 0o600 });
const FIRST = newKey();

const change = suite('change of the pair key');
let stage: Stage;
prepare(change, async () => {
  const edit = (text: string, node: FirewallName): string => {
    write(keyOf(node), FIRST);
    return text.replace(/^key_file = ".*"$/m, `key_file = "${keyOf(node)}"`);
  };
  stage = await setUpStage({ connections: 20, config: { edit } });
});
leaveWhenDone(change);
const promise = onStage(change, () => stage);

const reload = (on: Stage, node: FirewallName): void => {
  process.kill(on.pair[node].pid as number, 'SIGHUP');
};
const settled = (s: Sample): boolean =>
  isMaster('fw-a')(s) &&
  isBackup('fw-b')(s) &&
  inStep(s) &&
  FIREWALLS.every((name) => s[name]?.sync?.key_reason === null);
const differing = (s: Sample): boolean =>
  inStep(s) && FIREWALLS.every((name) => s[name]?.sync?.key_reason?.startsWith('the peer uses another key') === true);
const refused = (status: NodeStatus | null): number =>
  Object.values(status?.sync?.refused ?? {}).reduce((sum, n) => sum + n, 0);
/** Since when each vhid has its role. */
const since = (on: Stage): string[] =>
  FIREWALLS.flatMap((name) =>
    (on.watch.latest[name]?.carp.vips ?? []).map((vip) => `${name} ${vip.vhid} ${vip.since}`),
  );

/** How many connections work from now on. */
async function working(on: Stage): Promise<number> {
  await on.traffic.mark();
  await on.traffic.arm();
  return (await on.traffic.worked()).alive;
}

async function recording(on: Stage, node: FirewallName): Promise<() => Buffer[]> {
  rmSync(RECORD, { force: true });
  const program = new URL('lib/record-sync.ts', import.meta.url).pathname;
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', program, DEVICES.sync, RECORD];
  const child = on.lab.spawn(node, argv, { stdio: ['ignore', 'inherit', 'inherit'] });
  const lines = (): string[] => (existsSync(RECORD) ? readFileSync(RECORD, 'utf8').split('\n').slice(0, -1) : []);
  await until('something to be recorded', async () => lines().length > 5, { withinMs: 20_000 });
  return () => {
    child.kill();
    return lines().map((line) => Buffer.from(JSON.parse(line) as string, 'hex'));
  };
}

/** A HELLO of somebody who has this key. */
function helloUnder(key: string): Buffer {
  const nonce = randomBytes(16);
  const clear = Buffer.alloc(HEADER_SIZE + nonce.length);
  writeHeader(clear, { kind: KIND_HELLO, mark: nonce.readUInt32BE(0), counter: 1n });
  nonce.copy(clear, HEADER_SIZE);
  const body = Buffer.from(JSON.stringify({ node: 'fw-a', echo: null, versions: [1] }));
  return helloKey(Buffer.from(key.trim(), 'hex'), nonce).seal(clear, body);
}

promise('a file that holds no key is refused at the reload, and the pair goes on', async (on) => {
  write(keyOf('fw-b'), 'short\n');
  reload(on, 'fw-b');
  await until('the refusal', async () => on.pair['fw-b'].log().includes('reload refused'), { withinMs: 10_000 });
  assert.match(on.pair['fw-b'].log(), /key_file.*allowed at least/);
  await on.watch.until('both to be in step', settled, 10_000);
});

promise(
  'reloaded on one, then on the other: no role changes, in step all the time, no connection notices',
  async (on) => {
    const [second, before] = [newKey(), since(on)];
    let apart = '';
    const look = (s: Sample): void => {
      if (!inStep(s)) apart ||= JSON.stringify(FIREWALLS.map((name) => s[name]?.sync?.in_step_reason));
    };
    const { connects = 0 } = (await on.pair['fw-a'].status())?.channel ?? {};
    const stop = await recording(on, 'fw-b');
    on.watch.on('sample', look);
    write(keyOf('fw-b'), second);
    reload(on, 'fw-b');
    await on.watch.until('both to say that they differ', differing, 10_000);
    assert.is(await working(on), 20);
    const recorded = stop();
    write(keyOf('fw-a'), second);
    reload(on, 'fw-a');
    const ms = await on.watch.until('both to use the new key', settled, 10_000);
    console.log(`both under the new key ${ms.toFixed(0)} ms after the second reload`);
    await on.watch.until(
      'the peer channel to be there under the new key',
      (s) =>
        FIREWALLS.every((name) => s[name]?.channel?.state === 'open' && (s[name]?.channel?.connects ?? 0) > connects),
      15_000,
    );
    on.watch.off('sample', look);
    assert.is(apart, '', 'never out of step');
    assert.equal(since(on), before);
    assert.is(await working(on), 20);
    assert.equal(on.watch.violations, []);
    for (const name of FIREWALLS) {
      const states = logged(on.pair[name], 'sync.key').map(({ state }) => state);
      assert.equal(states, ['differs', 'same']);
    }
    await nothingOfTheOldKey(on, recorded);
  },
);

async function nothingOfTheOldKey(on: Stage, recorded: readonly Buffer[]): Promise<void> {
  assert.ok(recorded.length > 5, 'heartbeats at least');
  const counted = refused(await on.pair['fw-b'].status());
  const packets = [...recorded, ...Array.from({ length: 20 }, () => helloUnder(FIRST))].map((bytes) => ({
    ...{ protocol: SYNC, to: '10.77.3.3', ttl: 255 },
    bytes,
  }));
  assert.is(await inject(on.lab, 'fw-a', packets), packets.length);
  const all = (s: Sample): boolean => refused(s['fw-b']) >= counted + packets.length;
  await on.watch.until(`${packets.length} to be refused`, all, 10_000);
  assert.ok(settled(on.watch.latest));
  // The control: with the key that counts such a HELLO is opened, so it is counted as nothing.
  const before = (await on.pair['fw-b'].status())?.sync?.refused.bad_key ?? 0;
  const bytes = helloUnder(readFileSync(keyOf('fw-a'), 'utf8'));
  await inject(on.lab, 'fw-a', [{ protocol: SYNC, to: '10.77.3.3', ttl: 255, bytes }]);
  await inject(on.lab, 'fw-a', [{ protocol: SYNC, to: '10.77.3.3', ttl: 255, bytes: helloUnder(FIRST) }]);
  const one = (s: Sample): boolean => s['fw-b']?.sync?.refused.bad_key === before + 1;
  await on.watch.until('one of the two to be refused', one, 5000);
}

promise(
  'another key on a box that starts anew: both say it, the other stays master; a reload there mends it',
  async (on) => {
    const third = newKey();
    await on.pair['fw-b'].stop();
    write(keyOf('fw-b'), third);
    await on.pair['fw-b'].start();
    const named = (s: Sample): boolean =>
      FIREWALLS.every((name) => s[name]?.sync?.key_reason?.includes('nothing is synced') === true);
    await on.watch.until('both to say it', named, 15_000);
    assert.ok(isMaster('fw-a')(on.watch.latest));
    write(keyOf('fw-a'), third);
    reload(on, 'fw-a');
    await on.watch.until('both to be in step under the third key', settled, 20_000);
    assert.is(await working(on), 20);
    assert.equal(on.watch.violations, []);
  },
);

async function restart(on: Stage, node: FirewallName, keys: (old: string) => string): Promise<void> {
  const firewall = on.pair[node];
  await firewall.stop();
  const { config } = firewall.paths;
  writeFileSync(
    config,
    readFileSync(config, 'utf8').replace(/^key_file = (".*")$/m, (_all, old: string) => keys(old)),
  );
  await firewall.start();
  await on.watch.until('both to be in step', inStep, 20_000);
}

promise('by restarts: first the backup takes both, then the master the new one; no connection notices', async (on) => {
  write(NEW_KEY, newKey());
  await restart(on, 'fw-b', (old) => `key_file = "${NEW_KEY}"\nkey_file_old = ${old}`);
  assert.is(await working(on), 20);
  await restart(on, 'fw-a', () => `key_file = "${NEW_KEY}"`);
  assert.is(await working(on), 20);
  const status = await on.pair['fw-a'].status();
  assert.is(status?.sync?.sealed, true);
  assert.ok((status?.sync?.states.total ?? 0) >= 20);
  assert.equal(on.watch.violations, []);
});

change.run();
