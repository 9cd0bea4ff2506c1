/**
 * FTP through NAT with the kernel's helper, and the master's power goes: the control connection lives on, the data
 * connection that was agreed on before the power went still passes, and new transfers work on the other node. Negative
 * control: the one whose expectation is taken from the backup does not pass.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { bare, type FirewallName, PORTS, SERVER_IP } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isMaster } from '../../scripts/lab/watch.ts';
import { addRules } from './lib/rules.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { type Entry, entries, number, toPort } from './lib/table.ts';

await enterOrExit(import.meta.url);

/** The helper for port 21; data connections pass only when the helper expects them, in both directions. */
const RULES = `table inet ftp {
  ct helper ftp { type "ftp" protocol tcp; }
  chain assign {
    type filter hook prerouting priority filter;
    tcp dport 21 ct helper set "ftp"
  }
  chain only_expected {
    type filter hook forward priority filter - 1;
    tcp dport 30000-30099 ct state new drop
  }
}
`;
const BYTES = 20_000;
const CLIENT = bare(PORTS.client[0]?.addresses[0] ?? '');
const program = (name: string): string => fileURLToPath(new URL(`./lib/${name}-program.ts`, import.meta.url));
const nodeArgs = ['--disable-warning=ExperimentalWarning'];

class Client {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(on: Stage) {
    const argv = [process.execPath, ...nodeArgs, program('ftp-client'), SERVER_IP, CLIENT];
    this.#child = on.lab.spawn('client', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! });
  }

  async do(order: string, withinMs = 15_000): Promise<Record<string, unknown>> {
    const answer = once(this.#lines, 'line', { signal: AbortSignal.timeout(withinMs) });
    this.#child.stdin?.write(`${order}\n`);
    const [line] = (await answer.catch(() => {
      throw new Error(`FTP: no answer to "${order}" in ${withinMs} ms`);
    })) as [string];
    return JSON.parse(line) as Record<string, unknown>;
  }

  end(): void {
    this.#child.kill();
  }
}

async function expectations(on: Stage, node: FirewallName): Promise<number> {
  const argv = [process.execPath, ...nodeArgs, fileURLToPath(new URL('./lib/table-program.ts', import.meta.url))];
  return (await on.lab.exec(node, [...argv, 'expect'])).stdout.split('\n').filter(Boolean).length;
}

const ftp = suite('FTP');
let stage: Stage;
prepare(ftp, async () => {
  stage = await setUpStage({ connections: 5, config: { edit: addRules(RULES) } });
  const server = stage.lab.spawn('server', [process.execPath, ...nodeArgs, program('ftp-server')]);
  await once(server.stdout!, 'data');
});
leaveWhenDone(ftp);
const promise = onStage(ftp, () => stage);

async function control(on: Stage, node: FirewallName): Promise<Entry[]> {
  return entries(on.lab, node, toPort(21));
}

promise('both modes work; helper, sequence adjustment and expectations are at the backup', async (on) => {
  const client = new Client(on);
  await client.do('login');
  await client.do('pasv');
  assert.equal(await client.do('get'), { type: 'done', bytes: BYTES });
  await client.do('port');
  assert.equal(await client.do('get'), { type: 'done', bytes: BYTES });
  const { seen } = await client.do('port');
  assert.match(String(seen), /^203\.0\.113\.1:/, 'the helper wrote the virtual address into the command');
  await until('the expectation to be at the backup', async () => (await expectations(on, 'fw-b')) === 1 || null, {
    withinMs: 5000,
  });
  const [[a], [b]] = await Promise.all([control(on, 'fw-a'), control(on, 'fw-b')]);
  assert.ok(a?.[15] !== undefined, 'the length of the command has changed');
  assert.equal([b?.[5]?.[1], b?.[15], b?.[16]], [a[5]?.[1], a[15], a[16]]);
  assert.equal(await client.do('get'), { type: 'done', bytes: BYTES });
  await until('used here, gone there', async () => (await expectations(on, 'fw-b')) === 0 || null, { withinMs: 5000 });
  client.end();
});

promise('a backup whose daemon has begun anew is told of the expectations there are', async (on) => {
  const client = new Client(on);
  await client.do('login');
  await on.pair['fw-b'].kill();
  await on.lab.exec('fw-b', ['conntrack', '-F']);
  await client.do('port');
  await on.pair['fw-b'].start();
  await on.watch.until('both to be in step', inStep, 20_000);
  await until('the expectation to be at the backup', async () => (await expectations(on, 'fw-b')) === 1 || null, {
    withinMs: 5000,
  });
  client.end();
});

promise('the power of the master goes between PORT and RETR, and between PASV and RETR', async (on) => {
  const [active, passive, lost] = [new Client(on), new Client(on), new Client(on)];
  for (const client of [active, passive, lost]) {
    await client.do('login');
    // The control connections have adjusted sequence numbers before the take-over.
    await client.do('port');
    await client.do('get');
  }
  await lost.do('pasv');
  await on.watch.until('both to be in step', inStep, 10_000);
  await until('its expectation to be at the backup', async () => (await expectations(on, 'fw-b')) > 0 || null, {
    withinMs: 5000,
  });
  await on.lab.exec('fw-b', ['conntrack', '-F', 'expect']);
  await active.do('port');
  await passive.do('pasv');
  await on.watch.until('both to be in step', inStep, 10_000);
  await on.pair['fw-a'].powerOff();
  await on.watch.until('fw-b to become master', isMaster('fw-b'), 15_000);
  for (const client of [active, passive]) {
    assert.equal(await client.do('get'), { type: 'done', bytes: BYTES }, 'agreed on before, opened after');
    for (const mode of ['port', 'pasv', 'port']) {
      await client.do(mode);
      assert.equal(await client.do('get'), { type: 'done', bytes: BYTES }, `a new transfer (${mode})`);
    }
    await client.do('noop');
    client.end();
  }
  const refused = await lost.do('get', 3000).then(
    (answer) => JSON.stringify(answer),
    () => null,
  );
  assert.is(refused, null, 'what the backup was not told of does not pass');
  lost.end();
  assert.ok((await control(on, 'fw-b')).every((entry) => number(entry[3]) & 2));
});

ftp.run();
