/**
 * VRRP and CARP share protocol number 112 and even the group address: on one segment each must leave the other alone.
 * Stands for FreeBSD's vrrp_v4 and vrrp_v6 (carp.sh): Carpio does not speak VRRP, so what is left to hold is that it
 * does no harm.
 */
import type { ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until, which } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Firewall } from '../../scripts/lab/firewall.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

if (!which('keepalived')) {
  process.stdout.write('skip: keepalived is missing (apt-get install keepalived)\n');
  process.exit(0);
}

/** The same number as Carpio's vhid on the LAN, so that only the contents tell them apart. */
const ROUTER_ID = 2;
const VRRP_IP = '10.77.1.99';
const LOG = '/run/lab/keepalived.log';

const keepalivedConf = (version: 2 | 3): string => `
global_defs {
  router_id client
  vrrp_version ${version}
}
vrrp_instance other {
  interface eth0
  state BACKUP
  virtual_router_id ${ROUTER_ID}
  priority 200
  advert_int 1
  virtual_ipaddress {
    ${VRRP_IP}/32
  }
}
`;

const interop = suite('interop with keepalived');
const lab = new Lab();
let carpio: Firewall;
let keepalived: ChildProcess | null = null;

prepare(interop, async () => {
  await lab.up();
  // keepalived puts off its own advert whenever it gets a packet that it does not understand; with equal intervals it
  // may never come to send one.
  carpio = new Firewall(lab, 'fw-a', { sync: false, advbase: 2 });
  await carpio.start();
  await until('carpio to be master', async () => (await carpio.status())?.role === 'master', { withinMs: 15_000 });
});
interop.after(() => {
  keepalived?.kill('SIGKILL');
});
leaveWhenDone(interop);

const vrrpHolds = async (): Promise<boolean> =>
  (await lab.exec('client', ['ip', '-o', 'addr', 'show', 'dev', 'eth0'])).stdout.includes(`${VRRP_IP}/32`);

for (const version of [2, 3] as const) {
  interop(
    `VRRPv${version} on the same segment: counted as such, not as a fault; both lead what is theirs`,
    async () => {
      const before = await carpio.status();
      writeFileSync('/run/lab/keepalived.conf', keepalivedConf(version));
      const files = ['-f', '/run/lab/keepalived.conf', '-p', '/run/lab/keepalived.pid', '-r', '/run/lab/vrrp.pid'];
      keepalived = lab.spawn('client', ['sh', '-c', `exec keepalived -n -l -P ${files.join(' ')} >${LOG} 2>&1`], {
        stdio: 'ignore',
      });
      let latest = before;
      const counted = async (): Promise<boolean> => {
        latest = await carpio.status();
        return (latest?.carp.counters.vrrp ?? 0) >= (before?.carp.counters.vrrp ?? 0) + 3;
      };
      await until('carpio to count 3 VRRP adverts', counted, { withinMs: 20_000, everyMs: 100 }).catch(
        (error: Error) => {
          const counters = `${JSON.stringify(before?.carp.counters)} -> ${JSON.stringify(latest?.carp.counters)}`;
          throw new Error(`${error.message}; ${counters}; keepalived says:\n${readFileSync(LOG, 'utf8').slice(-600)}`);
        },
      );
      const after = await carpio.status();
      assert.equal(
        after?.carp.vips.map((vip) => vip.since),
        before?.carp.vips.map((vip) => vip.since),
        'no state changed',
      );
      assert.is(after?.carp.counters.badauth ?? 0, before?.carp.counters.badauth ?? 0);
      assert.ok(await vrrpHolds(), `keepalived leads in spite of CARP: ${readFileSync(LOG, 'utf8').slice(-500)}`);
      keepalived.kill('SIGTERM');
      await until('keepalived to end', () => keepalived?.exitCode !== null, { withinMs: 10_000 });
    },
  );
}

interop.run();
