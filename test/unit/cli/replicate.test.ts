/** `carpio replicate`: what it prints and how it exits, against a node that answers as told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../../../src/cli/app.ts';
import type { Io } from '../../../src/cli/command.ts';
import { planText } from '../../../src/cli/replicate-text.ts';
import { painter } from '../../../src/cli/text.ts';
import type { ReplicateStatus } from '../../../src/contract/status.ts';
import type { Json } from '../../../src/contract/values.ts';
import { type ControlHandler, startControl } from '../../../src/node/control/server.ts';
import type { Plan } from '../../../src/replicate/plan.ts';
import type { PushResult } from '../../../src/replicate/source.ts';

const replicate = suite('cli: replicate');
const dir = mkdtempSync(join(tmpdir(), 'carpio-replicate-'));
replicate.after(() => rmSync(dir, { recursive: true, force: true }));

const PLAN: Plan = {
  peer: 'fw-b',
  same: false,
  files: false,
  lines: ['carp.preempt: false -> true', 'vip[lan/3].mac: new, virtual', 'firewall.rules: changed', '  +2 accept'],
  effects: ['vhid lan/3: new on fw-b, as backup'],
  errors: [],
  unknown: [],
  unshared: [],
  vhids: ['lan/3'],
};
const STATUS: ReplicateStatus = {
  from: 'fw-a',
  role: 'source',
  auto: true,
  same: true,
  reason: null,
  hash: '0'.repeat(32),
  peer_hash: '0'.repeat(32),
  checked_ms_ago: 300,
  pending: false,
  differs: [],
  drift: [],
  drift_since: null,
  peer_drift: [],
  unknown: [],
  unshared: [],
  own_file: [],
  last: null,
};

async function run(argv: string[], cmd: string, answer: unknown): Promise<{ code: number; out: string; err: string }> {
  const path = join(dir, `${argv.join('-')}.sock`);
  const handler: ControlHandler = async () => answer as Json;
  const server = await startControl(path, { [cmd]: handler });
  const said = { out: '', err: '' };
  const io = {
    out: async (text: string) => {
      said.out += text;
    },
    err: (line: string) => {
      said.err += `${line}\n`;
    },
    colour: false,
    now: Date.now,
  } as unknown as Io;
  try {
    return { code: await runCli(['replicate', ...argv, '--socket', path], io), ...said };
  } finally {
    await server.close();
  }
}

replicate('plan: the difference and what it does, exit 0; refused, exit 1', async () => {
  const good = await run(['plan'], 'replicate.plan', PLAN);
  assert.is(good.code, 0);
  assert.is(
    good.out,
    `fw-b would take this; its rules were checked by its own kernel

what changes there
  carp.preempt: false -> true
  vip[lan/3].mac: new, virtual
  firewall.rules: changed
    +2 accept

what that does
  vhid lan/3: new on fw-b, as backup
`,
  );
  const bad = await run(['plan'], 'replicate.plan', { ...PLAN, errors: ['rules of fw-a:3:1: no\u001b[2J'] });
  assert.is(bad.code, 1);
  assert.match(bad.out, 'fw-b would refuse:\n  rules of fw-a:3:1: no?[2J');
  const same = await run(['plan', '--json'], 'replicate.plan', { ...PLAN, lines: [], same: true });
  assert.is(JSON.parse(same.out).same, true);
});

replicate('push: done or not, and why', async () => {
  const result: PushResult = {
    done: true,
    reason: 'fw-b holds the same, read back from its kernel',
    changes: 3,
    ms: 325,
  };
  const good = await run(['push'], 'replicate.push', result);
  assert.equal([good.code, good.out], [0, `done: ${result.reason} (325 ms)\n`]);
  const bad = await run(['push'], 'replicate.push', { ...result, done: false, reason: 'fw-b refuses: x' });
  assert.equal([bad.code, bad.out], [1, 'not done: fw-b refuses: x (325 ms)\n']);
});

replicate('status: 0 the same, 1 not or changed by hand, 2 not known', async () => {
  const good = await run(['status'], 'replicate.status', STATUS);
  assert.is(good.code, 0);
  assert.match(
    good.out,
    /shared {4}the same, this node is the source\npush {6}by itself after a reload\ncompared {2}300 ms ago/,
  );
  const drift = await run(['status'], 'replicate.status', { ...STATUS, peer_drift: ['rules: +3 accept'] });
  assert.is(drift.code, 1);
  assert.match(drift.out, 'changed by hand on the peer\n  rules: +3 accept');
  const unknown = await run(['status'], 'replicate.status', {
    ...STATUS,
    same: null,
    reason: 'the peer channel is down',
  });
  assert.equal([unknown.code, unknown.out.includes('not known: the peer channel is down')], [2, true]);
  const differs = { ...STATUS, same: false, reason: 'x', differs: ['carp.preempt: false -> true'] };
  assert.is((await run(['status'], 'replicate.status', differs)).code, 1);
});

replicate('anything else is a mistake: exit 2', async () => {
  const { code, err } = await run(['pull'], 'replicate.plan', PLAN);
  assert.equal([code, err.includes('allowed plan, push, status')], [2, true]);
});

replicate('a plan of files that are not loaded says what comes first', () => {
  const loaded = planText(PLAN, painter(false));
  assert.not.match(loaded, 'reload');
  assert.match(planText({ ...PLAN, files: true }, painter(false)), /first\n.*a reload \(systemctl reload carpio\)/);
});

replicate.run();
