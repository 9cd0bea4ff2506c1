/** `carpio status` and `carpio states`: what people read and what programs do. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeStatus } from '../../../src/contract/status.ts';
import type { Json } from '../../../src/contract/values.ts';
import type { ControlHandler } from '../../../src/node/control/server.ts';
import { answer, asJson, cleanUp, cli, STATUS, state, withNode } from './fake-node.ts';

const looks = suite('cli: status and states');
looks.after(cleanUp);

looks('status for people', async () => {
  const { code, out } = await withNode({ status: answer(STATUS) }, 'status');
  assert.is(code, 0);
  assert.is(
    out,
    `fw-a  master  carpio 0.1.0, up 3 d 4 h

VHID  INTERFACE   STATE   SINCE       ADDRESSES                      BASE/SKEW  TAKES OVER  HEARD
   1  wan (eth0)  MASTER  2 h 13 min  203.0.113.1/24 2001:db8::1/64  1/0        3.000 s     203.0.113.3 1/100, 312 ms ago
      no advert for 3390 ms

peer      fw-b at 10.99.0.2: backup, heard 40 ms ago
in step   yes, checked 0 ms ago
states    1,200: 1,200 own, 0 mirrored, 1,200 in the kernel
sync      carpio, sealed, lag 1.2 ms; 10 datagrams sent, 20 received; 0 repairs (0 bytes), 0 overruns
refused   badmac 3
demotion  0
`,
  );
});

looks('status says what is not well, and never sends the terminal control characters', async () => {
  const bad: NodeStatus = {
    ...STATUS,
    role: 'backup',
    carp: {
      ...STATUS.carp,
      preempt: false,
      maintenance: true,
      demotion: { total: 240, reasons: [{ reason: 'sync', weight: 240 }] },
      vips: [
        { ...STATUS.carp.vips[0]!, state: 'BACKUP', effective_advskew: 240, reason: 'evil \u001b[2J', heard: null },
      ],
    },
    sync: {
      ...STATUS.sync!,
      sealed: false,
      in_step: false,
      in_step_reason: 'the digests differ',
      key_reason: 'the peer uses another key: \u001b[2J',
      peer: { node: null, address: null, alive: false, heard_ms_ago: null, role: null },
    },
  };
  const { out } = await withNode({ status: answer(bad) }, 'status');
  assert.match(out, /BACKUP .* 1\/0, now 240 .* -$/m);
  assert.match(out, /in step +NO: the digests differ/);
  assert.match(out, /OPEN: no key/);
  assert.match(out, /pair key +the peer uses another key/);
  assert.match(out, /not there, never heard/);
  assert.match(out, /demotion +240 \(sync 240\)/);
  assert.match(out, /maintenance +on/);
  assert.match(out, /preempt +off/);
  assert.not.ok(out.includes('\u001b'));
  const alone = await withNode({ status: answer({ ...STATUS, sync: null }) }, 'status');
  assert.match(alone.out, /sync +not configured/);
});

looks('status --json is the status', async () => {
  const { out } = await withNode({ status: answer(STATUS) }, 'status', '--json');
  assert.equal(JSON.parse(out), STATUS);
});

looks('states: lines, JSON, filter, count', async () => {
  const table = [state(443, 'own'), state(80, 'mirrored'), state(22, 'own')];
  // A node that ignores the filter: the command must not.
  const states: ControlHandler = async (_args, stream) => {
    await stream(asJson(table.slice(0, 2)) as Json[]);
    await stream(asJson(table.slice(2)) as Json[]);
    return { count: table.length };
  };
  const all = await withNode({ states }, 'states');
  assert.is(all.out.split('\n').length, 4);
  assert.match(all.out, /^tcp {6}100 ESTABLISHED src=10\.0\.0\.5 .* owner=own kernel=yes$/m);
  const filtered = await withNode({ states }, 'states', '--json', '--filter', 'owner=own dport=22,80');
  assert.equal(JSON.parse(filtered.out), [table[2]]);
  assert.equal(filtered.asked, [{ states: { filter: 'owner=own dport=22,80', count: false } }]);
  assert.equal(JSON.parse((await withNode({ states }, 'states', '--json')).out), table);
  assert.is((await withNode({ states }, 'states', '--json', '--filter', 'zone=9')).out, '[]\n');
  assert.is((await withNode({ states }, 'states', '--count', '--filter', 'owner=own')).out, '2\n');
  // A node that counts by itself sends no states at all.
  const counted = await withNode({ states: answer({ count: 7 }) }, 'states', '--count', '--json');
  assert.is(counted.out, '{"count":7}\n');
});

const TROUBLE = {
  ...{ what: 'password', where: 'vhid 1 on wan', since: '2026-01-01T00:00:00.000Z', severity: 'error' as const },
  ...{ text: 'wrong\x1b[2J password', mend: 'the same on both' },
};

looks('status --check: 0 well, 1 trouble with a line each, 2 no answer', async () => {
  const good = await withNode({ status: answer({ ...STATUS, trouble: [] }) }, 'status', '--check');
  assert.is(good.code, 0);
  assert.match(good.out, /^OK fw-a: /);
  const bad = await withNode({ status: answer({ ...STATUS, trouble: [TROUBLE] }) }, 'status', '--check');
  assert.is(bad.code, 1);
  assert.match(
    bad.out,
    /^ERROR password \(vhid 1 on wan\) since 2026-01-01T00:00:00.000Z: wrong\?\[2J password; mend: /,
  );
  const none = await cli('status', '--check', '--socket', '/nowhere/control.sock');
  assert.is(none.code, 2);
  assert.match(none.out, /^NO ANSWER: /);
});

looks('status shows trouble first, with its mend', async () => {
  const { out } = await withNode({ status: answer({ ...STATUS, trouble: [TROUBLE] }) }, 'status');
  assert.ok(out.indexOf('wrong?[2J password (for ') < out.indexOf('VHID'));
  assert.match(out, 'mend: the same on both');
});

looks.run();
