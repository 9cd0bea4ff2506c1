/**
 * `defer = true`: the first answer of a connection passes only when the peer's kernel has the connection, and when the
 * peer does not say so, after `defer_ms`; without a peer, and when the daemon is dead, at once. Negative controls: with
 * the same peer deaf and the rules gone nothing waits; with a rule that does not bypass a dead daemon holds everything
 * up.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { ECHO_PORT, type FirewallName, SERVER_IP } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isMaster } from '../../scripts/lab/watch.ts';
import { DEFER_QUEUE } from '../../src/kernel/defer-queue.ts';
import { tables } from './lib/kernel.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { agreed, entries, toPort } from './lib/table.ts';

await enterOrExit(import.meta.url);

const PORT = 4000;
/** More than pfsync's 20 ms: what a busy machine takes must not look like a peer that says nothing. */
const MOST = 150;
const ECHO = `const s = require('dgram').createSocket('udp4');
  s.on('message', (m, r) => s.send(m, r.port, r.address)); s.bind(${PORT}, () => console.log('ready'));`;
/** Milliseconds until the first answer of so many new connections, one after the other. */
const ASK = `const { createSocket } = require('dgram');
  (async () => {
    const times = [];
    for (let n = 0; n < Number(process.argv[1]); n++) times.push(await new Promise((resolve) => {
      const s = createSocket('udp4'); let begun = 0;
      s.on('message', () => { s.close(); resolve(performance.now() - begun); });
      s.bind(() => { begun = performance.now(); s.send('x', ${PORT}, '203.0.113.10'); });
    }));
    console.log(JSON.stringify(times));
  })();`;
/** How many of so many new connections, one after the other, are answered within so many milliseconds. */
const TRY = `const { createSocket } = require('dgram');
  (async () => {
    let count = 0;
    for (let n = 0; n < Number(process.argv[1]); n++) count += await new Promise((resolve) => {
      const s = createSocket('udp4'); const end = (it) => { clearTimeout(limit); s.close(); resolve(it); };
      const limit = setTimeout(() => end(0), Number(process.argv[2]));
      s.on('message', () => end(1)); s.send('x', ${PORT}, '203.0.113.10');
    });
    console.log(count);
  })();`;
const RULES_MODULE = new URL('../../src/kernel/defer-rules.ts', import.meta.url).pathname;
/** The backup hears the master's heartbeats, which carry a long report, but not its states. */
const DEAF =
  'table inet deaf { chain i { type filter hook input priority -300; ip protocol 240 ip length < 250 drop; }; }';

const defer = suite('defer');
let stage: Stage;
prepare(defer, async () => {
  const edit = (text: string): string => text.replace('[sync]\n', `[sync]\ndefer = true\ndefer_ms = ${MOST}\n`);
  stage = await setUpStage({ connections: 5, config: { edit } });
  const server = stage.lab.spawn('server', [process.execPath, '-e', ECHO]);
  await new Promise((resolve) => server.stdout?.once('data', resolve));
});
leaveWhenDone(defer);
const promise = onStage(defer, () => stage);

async function ask(on: Stage, count: number): Promise<number[]> {
  const { stdout } = await on.lab.exec('client', [process.execPath, '-e', ASK, String(count)]);
  return JSON.parse(stdout) as number[];
}

const median = (list: number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;

async function deaf(on: Stage, yes: boolean): Promise<void> {
  await on.lab.exec('fw-b', ['nft', '-f', '-'], { input: yes ? DEAF : 'delete table inet deaf' });
}

promise('who has an answer has a connection that the peer knows', async (on) => {
  assert.ok((await tables(on.lab, 'fw-a')).includes('table inet carpio_defer'));
  const held = await ask(on, 200);
  const there = new Set((await entries(on.lab, 'fw-b', toPort(PORT))).map(agreed));
  const here = await entries(on.lab, 'fw-a', toPort(PORT));
  assert.equal(
    here.map(agreed).filter((entry) => !there.has(entry)),
    [],
  );
  // A port of the client's may come twice.
  assert.ok(here.length > 150);
  console.log(
    `first answers with defer: median ${median(held).toFixed(2)} ms, worst ${Math.max(...held).toFixed(1)} ms`,
  );
});

promise('a peer that does not acknowledge holds an answer for that long, not longer', async (on) => {
  await on.watch.until('both to be in step', inStep, 10_000);
  await deaf(on, true);
  const held = await ask(on, 4);
  await deaf(on, false);
  console.log(`first answers with a deaf peer: ${held.map((ms) => ms.toFixed(1)).join(', ')} ms`);
  assert.ok(
    held.every((ms) => ms >= MOST - 1),
    held.join(),
  );
});

promise('negative control: without the rules the same answers do not wait; a flush is mended', async (on) => {
  await on.watch.until('both to be in step', inStep, 10_000);
  await deaf(on, true);
  await on.lab.exec('fw-a', ['nft', 'delete table inet carpio_defer']);
  const free = await ask(on, 4);
  await deaf(on, false);
  assert.ok(median(free) < MOST - 1, free.join());
  const back = async (): Promise<boolean> => (await tables(on.lab, 'fw-a')).includes('table inet carpio_defer');
  await until('the rules to be there again', back, { withinMs: 8000 });
  const plain = await ask(on, 50);
  console.log(`first answers after that: median ${median(plain).toFixed(2)} ms`);
});

promise('a TCP connection that the client sees open is known to the peer, as half open at least', async (on) => {
  await on.watch.until('both to be in step', inStep, 10_000);
  const connect = `const s = require('net').connect(${ECHO_PORT}, '203.0.113.10', () => { console.log('open'); });`;
  const client = on.lab.spawn('client', [process.execPath, '-e', connect, 'x'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => client.stdout?.once('data', resolve));
  const [a, b] = await Promise.all([
    entries(on.lab, 'fw-a', toPort(ECHO_PORT)),
    entries(on.lab, 'fw-b', toPort(ECHO_PORT)),
  ]);
  client.kill();
  assert.is(b.length, a.length);
});

/** Packets that wait in the queue of this node, and whether anybody listens to it. */
async function waiting(on: Stage, node: FirewallName): Promise<{ listener: boolean; packets: number }> {
  const { stdout } = await on.lab.exec(node, ['cat', '/proc/net/netfilter/nfnetlink_queue']);
  const fields = stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .find(([queue]) => queue === DEFER_QUEUE);
  return { listener: fields !== undefined, packets: fields?.[2] ?? 0 };
}

/** How many of so many new connections have an answer within their time. */
async function answered(on: Stage, count: number, ms: number): Promise<number> {
  const { stdout } = await on.lab.exec('client', [process.execPath, '-e', TRY, String(count), String(ms)]);
  return Number(stdout);
}

const putRules = (on: Stage, node: FirewallName, bypass: boolean): Promise<unknown> => {
  const code = `import { putDeferRules } from ${JSON.stringify(RULES_MODULE)}; await putDeferRules(${bypass});`;
  return on.lab.exec(node, [process.execPath, '--input-type=module', '-e', code]);
};

promise('kill -9: what waits is lost and comes again, and nothing waits any more', async (on) => {
  await on.watch.until('both to be in step', inStep, 10_000);
  const code = `process.stdin.once('data', () => require('net').connect(${ECHO_PORT}, '${SERVER_IP}', () => console.log('open')));
    console.log('ready');`;
  const client = on.lab.spawn('client', [process.execPath, '-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = () => new Promise((resolve) => client.stdout?.once('data', resolve));
  await said();
  const open = said();
  // A daemon that does not turn takes nothing out of the queue; in a moment the peer takes over.
  process.kill(on.pair['fw-a'].pid as number, 'SIGSTOP');
  client.stdin?.write('go');
  await until('an answer to wait', async () => (await waiting(on, 'fw-a')).packets > 0, { withinMs: 8000 });
  await on.pair['fw-a'].kill();
  // The client asks again, by way of the other node.
  await open;
  client.kill();
  await on.watch.until('fw-b to be master', isMaster('fw-b'), 10_000);
  assert.is((await waiting(on, 'fw-a')).listener, false);
  assert.ok((await tables(on.lab, 'fw-a')).includes('table inet carpio_defer'), 'a dead daemon leaves its rules');
});

promise('the rules of a dead daemon let everything pass; negative control: without bypass nothing', async (on) => {
  // Through the box whose daemon is dead, by the addresses that it keeps.
  const snat = 'flush chain inet filter postrouting; add rule inet filter postrouting oifname eth0 masquerade';
  await on.lab.exec('fw-a', ['nft', snat]);
  await on.lab.exec('client', ['ip', 'route', 'add', SERVER_IP, 'via', '10.77.1.2']);
  assert.is(await answered(on, 20, 2000), 20);
  await putRules(on, 'fw-a', false);
  assert.is(await answered(on, 3, 500), 0, 'the way goes through those rules');
  await putRules(on, 'fw-a', true);
  assert.is(await answered(on, 3, 2000), 3);
  await on.lab.exec('client', ['ip', 'route', 'del', SERVER_IP]);
});

promise('without a peer nothing waits, and a node that stops leaves no rules of it behind', async (on) => {
  await on.watch.until('fw-b to miss its peer', (s) => s['fw-b']?.sync?.peer.alive === false, 10_000);
  assert.ok((await tables(on.lab, 'fw-b')).includes('table inet carpio_defer'));
  const alone = await ask(on, 20);
  console.log(`first answers without a peer: median ${median(alone).toFixed(2)} ms`);
  assert.ok(median(alone) < MOST - 1, alone.join());
  await on.pair['fw-b'].stop();
  assert.not.ok((await tables(on.lab, 'fw-b')).includes('table inet carpio_defer'));
});

defer.run();
