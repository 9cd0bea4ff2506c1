/**
 * Repair by difference on real kernels: the backup's daemon is killed while the table grows, its kernel keeps what it
 * had; when the daemon is back, only what it has missed travels.
 */
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { command } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, PORTS, SERVER_IP } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { STORM_PORTS } from '../../scripts/lab/traffic/storm.ts';
import { inStep } from '../../scripts/lab/watch.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const STORM = fileURLToPath(new URL('../../scripts/lab/traffic/storm.ts', import.meta.url));
const FLOWS = 6000;
const MISSED = 200;

const repair = suite('repair');
let stage: Stage;
prepare(repair, async () => {
  stage = await setUpStage({ connections: 50, config: { syncWhen: 'all' } });
  const ports = `${STORM_PORTS.low}-${STORM_PORTS.high}`;
  const drop = `table inet storm { chain c { type filter hook prerouting priority raw; udp dport ${ports} drop; }; }`;
  await command(['ip', 'netns', 'exec', 'server', 'nft', drop]);
});
leaveWhenDone(repair);
const promise = onStage(repair, () => stage);

async function storm(on: Stage, count: number, first: number): Promise<void> {
  const client = bare(PORTS.client[0]?.addresses[0] ?? '');
  const line = [process.execPath, STORM, client, SERVER_IP, '20000', String(count), String(first)];
  await on.lab.exec('client', line, { timeoutMs: 30_000 });
}

promise(
  'kill -9 of the backup daemon, new flows, restart: its kernel kept its states, only the rest travels',
  async (on) => {
    const { pair, traffic, watch } = on;
    await storm(on, FLOWS, 0);
    await watch.until('both to be in step', inStep, 20_000);
    await pair['fw-b'].kill();
    await storm(on, MISSED, FLOWS);
    await pair['fw-b'].start();
    await traffic.arm();
    await watch.until('both to be in step again', inStep, 20_000);
    const [own, mirrored] = [await pair['fw-a'].status(), await pair['fw-b'].status()];
    const { repairs, repair_bytes: bytes, states } = mirrored?.sync ?? { repairs: 0, repair_bytes: 0, states: null };
    console.log(`${states?.mirrored} states, ${MISSED} missed: ${repairs} repairs with ${bytes} bytes`);
    assert.ok((states?.mirrored ?? 0) >= FLOWS + MISSED);
    assert.is(states?.mirrored, own?.sync?.states.own);
    assert.ok(repairs > 0);
    // A plain list of all of them takes more than 21 bytes each.
    assert.ok((bytes ?? 0) < (FLOWS * 21) / 5, `${bytes} bytes`);
    const deep = await pair['fw-b'].ask<{ in_step: boolean; differences: string[] }>('verify', { deep: true });
    assert.ok(deep.ok && deep.result.in_step, JSON.stringify(deep));
    assert.equal(deep.ok && deep.result.differences, []);
    assert.is((await traffic.worked()).alive, 50);
    assert.equal(watch.violations, []);
  },
);

repair.run();
