/** One vhid shared with ucarp, another program's CARP: each hears, believes and follows the other. */

import type { ChildProcess } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until, which } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

if (!which('ucarp')) {
  process.stdout.write('skip: ucarp is missing (apt-get install ucarp)\n');
  process.exit(0);
}

const VIP = '10.77.1.1';
const PASSWORD = 'lab pass phrase';
const interop = suite('interop with ucarp');
const lab = new Lab();
let carpio: Firewall;

/** fw-b runs Carpio with one IPv4 vhid on the LAN, because ucarp knows IPv4 only; fw-a runs ucarp. */
function singleVip(): string {
  return `[node]
name = "fw-b"
state_dir = "${carpio.paths.disk}/state"
control = "${carpio.paths.control}"

[interfaces]
lan = "eth1"

[[vip]]
vhid = 2
interface = "lan"
addresses = ["${VIP}/24"]
password = "${PASSWORD}"
advbase = 1
advskew = 100
`;
}

function script(name: string, verb: 'add' | 'del'): string {
  const path = `/run/lab/${name}.sh`;
  writeFileSync(path, `#!/bin/sh\nexec ip addr ${verb} ${VIP}/24 dev "$1"\n`);
  chmodSync(path, 0o755);
  return path;
}

function startUcarp(advskew: number, password = PASSWORD): ChildProcess {
  const scripts = ['-u', script('vip-up', 'add'), '-d', script('vip-down', 'del')];
  const identity = ['-i', 'eth1', '-s', '10.77.1.2', '-v', '2', '-p', password, '-a', VIP];
  return lab.spawn('fw-a', ['ucarp', ...identity, '-b', '1', '-k', String(advskew), '-P', ...scripts], {
    stdio: 'ignore',
  });
}

const vip = async () => (await carpio.status())?.carp.vips[0];
const becomes = (state: string) =>
  until(`carpio to be ${state}`, async () => (await vip())?.state === state, { withinMs: 15_000, everyMs: 50 });
const holders = (wanted: string[]) =>
  until(`${VIP} to be held by ${wanted}`, async () => `${await lab.holders(VIP)}` === `${wanted}`, {
    withinMs: 15_000,
  });

prepare(interop, async () => {
  await lab.up();
  carpio = new Firewall(lab, 'fw-b');
  writeFileSync(carpio.paths.config, singleVip());
});
leaveWhenDone(interop);

let ucarp: ChildProcess;

interop('ucarp with the better advskew leads, carpio follows and says whom it hears', async () => {
  ucarp = startUcarp(0);
  await holders(['fw-a']);
  await carpio.start();
  await until('carpio to hear ucarp', async () => (await vip())?.heard?.from === '10.77.1.2', { withinMs: 5000 });
  assert.is((await vip())?.state, 'BACKUP');
  assert.is((await carpio.status())?.carp.counters.badauth ?? 0, 0);
});

interop('ucarp frozen without a goodbye: carpio takes over by silence', async () => {
  ucarp.kill('SIGKILL');
  await becomes('MASTER');
  assert.ok((await lab.holders(VIP)).includes('fw-b'));
});

interop('ucarp back with the better advskew: carpio steps down, one holder', async () => {
  await lab.exec('fw-a', ['ip', 'addr', 'del', `${VIP}/24`, 'dev', 'eth1'], { check: false });
  ucarp = startUcarp(0);
  await becomes('BACKUP');
  await holders(['fw-a']);
});

interop('ucarp with the worse advskew follows carpio', async () => {
  ucarp.kill('SIGKILL');
  await lab.exec('fw-a', ['ip', 'addr', 'del', `${VIP}/24`, 'dev', 'eth1'], { check: false });
  await becomes('MASTER');
  ucarp = startUcarp(200);
  // Three of ucarp's own intervals, after which it would have led if it did not believe the adverts.
  await until('ucarp to have had its chance', () => ucarp.exitCode === null && waited(8000), { withinMs: 20_000 });
  assert.equal(await lab.holders(VIP), ['fw-b']);
  assert.is((await vip())?.state, 'MASTER');
});

interop('carpio dies: ucarp takes over; back, the better advskew leads again', async () => {
  await carpio.kill();
  await holders(['fw-a']);
  await carpio.start();
  await becomes('MASTER');
  await holders(['fw-b']);
});

interop('negative control: a wrong pass phrase is counted and not believed', async () => {
  ucarp.kill('SIGKILL');
  const before = (await carpio.status())?.carp.counters.badauth ?? 0;
  ucarp = startUcarp(0, 'another phrase');
  await until('badauth to count', async () => ((await carpio.status())?.carp.counters.badauth ?? 0) > before, {
    withinMs: 15_000,
  });
  assert.is((await vip())?.state, 'MASTER', 'a stranger does not move the address');
  // Nor does ucarp believe carpio: it leads by itself, which is all the protocol can do.
  await holders(['fw-a', 'fw-b']);
});

let begun: number | null = null;
function waited(ms: number): boolean {
  begun ??= performance.now();
  return performance.now() - begun >= ms;
}

interop.run();
