/**
 * `defer = true`: the first answer of a connection passes only when the peer's kernel has the connection, and when the peer
 * does not say so, after `defer_ms`; without a peer at once. Negative control: with the same peer deaf and the rules gone nothing
 * waits.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { ECHO_PORT } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep } from '../../scripts/lab/watch.ts';
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

promise('a node that stops leaves no rules of it behind, and without a peer nothing waits', async (on) => {
  await on.pair['fw-b'].stop();
  assert.not.ok((await tables(on.lab, 'fw-b')).includes('table inet carpio_defer'));
  await on.watch.until('fw-a to miss its peer', (s) => s['fw-a']?.sync?.peer.alive === false, 10_000);
  const alone = await ask(on, 20);
  console.log(`first answers without a peer: median ${median(alone).toFixed(2)} ms`);
  assert.ok(median(alone) < MOST - 1, alone.join());
});

defer.run();
