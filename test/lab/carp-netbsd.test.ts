/** Counterparts of NetBSD's tests/net/carp/t_basic.sh: the backup answers within five tries of a second each. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { Lab } from '../../scripts/lab/lab.ts';
import { answers, oneMaster, onlyFamily, withPair } from './lib/bsd.ts';
import { leaveWhenDone, prepare } from './lib/scene.ts';

await enterOrExit(import.meta.url);

const bsd = suite('NetBSD t_basic.sh');
const lab = new Lab();
prepare(bsd, () => lab.up());
leaveWhenDone(bsd);

for (const [name, family, address] of [
  ['ipv4', 4, '10.77.1.1'],
  ['ipv6', 6, 'fd77:1::1'],
] as const) {
  bsd(`carp_handover_${name}_halt: the master halts`, () =>
    withPair(lab, onlyFamily(family), async (pair) => {
      await oneMaster(pair, 'fw-a', 500);
      assert.ok(await answers(lab, address, 1));
      await pair['fw-a'].powerOff();
      assert.ok(await answers(lab, address));
      assert.equal(await lab.holders(address), ['fw-b']);
      await lab.powerOn('fw-a');
    }),
  );

  bsd(`carp_handover_${name}_ifdown: the master's interface goes down`, () =>
    withPair(lab, onlyFamily(family), async (pair) => {
      await oneMaster(pair, 'fw-a', 500);
      assert.ok(await answers(lab, address, 1));
      await lab.exec('fw-a', ['ip', 'link', 'set', 'eth1', 'down']);
      assert.ok(await answers(lab, address));
      assert.equal(await lab.holders(address), ['fw-b']);
      await lab.exec('fw-a', ['ip', 'link', 'set', 'eth1', 'up']);
      await lab.exec('fw-a', ['ip', 'addr', 'add', 'fd77:1::2/64', 'dev', 'eth1', 'nodad'], { check: false });
    }),
  );
}

bsd.run();
