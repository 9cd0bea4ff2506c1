/**
 * Short timeouts in both kernels: a mirrored connection outlives them many times as long as its owner sees traffic,
 * goes with it when the owner's kernel ends it, and has its usual short timeout after a take-over. Negative control: an
 * entry that nobody looks after is gone meanwhile.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pause, until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { FIREWALLS } from '../../scripts/lab/plan.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { isMaster } from '../../scripts/lab/watch.ts';
import { noConntrack } from './lib/kernel.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { type Entry, entries, number, toPort } from './lib/table.ts';

await enterOrExit(import.meta.url);

/** Seconds. */
const UDP = 4;
const TCP = 6;
const SETTINGS: [string, number][] = [
  ['udp_timeout', UDP],
  ['udp_timeout_stream', UDP],
  ['tcp_timeout_established', TCP],
];
const WATCHED = 3 * TCP;
const [BUSY, QUIET] = [4000, 4001];
const ECHO = `for (const port of [${BUSY}, ${QUIET}]) {
    const s = require('dgram').createSocket('udp4');
    s.on('message', (m, r) => s.send(m, r.port, r.address)); s.bind(port, () => console.log('ready'));
  }`;
/** One connection with packets as long as it lives, one for the first seconds only. */
const TALK = `const { createSocket } = require('dgram');
  const busy = createSocket('udp4'), quiet = createSocket('udp4');
  setInterval(() => busy.send('x', ${BUSY}, '203.0.113.10'), 300);
  const first = setInterval(() => quiet.send('x', ${QUIET}, '203.0.113.10'), 300);
  setTimeout(() => clearInterval(first), 8000);`;

const timeouts = suite('short timeouts');
let stage: Stage;
prepare(timeouts, async () => {
  const shorten = SETTINGS.map(([name, s]) => `echo ${s} > /proc/sys/net/netfilter/nf_conntrack_${name}`).join('; ');
  stage = await setUpStage({
    connections: 5,
    before: async (lab) => {
      for (const node of [...FIREWALLS, 'server'] as const) await lab.exec(node, ['sh', '-c', shorten]);
    },
  });
  const server = stage.lab.spawn('server', [process.execPath, '-e', ECHO], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => server.stdout?.once('data', resolve));
});
leaveWhenDone(timeouts);
const promise = onStage(timeouts, () => stage);

const both = (on: Stage, test: (entry: Entry) => boolean): Promise<Entry[][]> =>
  Promise.all(FIREWALLS.map((node) => entries(on.lab, node, test)));
const counts = async (on: Stage, port: number): Promise<string> =>
  (await both(on, toPort(port))).map((list) => list.length).join();
/** Connection tracking's own number of an entry: a new entry has another. */
const ids = (list: Entry[]): string => list.map((entry) => JSON.stringify([entry[1], entry[2]])).join();

promise(
  'mirrored connections outlive the timeout while they are used, and end with their owner',
  async (on) => {
    // A kernel where nobody looks after it.
    const line = '-I -p udp -s 10.9.9.1 -d 10.9.9.2 --sport 1 --dport 5999 -u SEEN_REPLY';
    await on.lab.exec('server', ['conntrack', ...line.split(' '), '-t', String(UDP)]);
    on.lab.spawn('client', [process.execPath, '-e', TALK]);
    for (const port of [BUSY, QUIET])
      await until(`port ${port} on both`, async () => (await counts(on, port)) === '1,1', { withinMs: 5000 });
    const [, first] = await both(on, toPort(BUSY));
    const end = Date.now() + WATCHED * 1000;
    while (Date.now() < end) {
      const [own, mirrored] = await both(on, toPort(BUSY));
      assert.is(ids(mirrored ?? []), ids(first ?? []), 'the mirrored entry is there');
      assert.ok((own ?? []).every((entry) => number(entry[7]) <= UDP));
      assert.ok((mirrored ?? []).every((entry) => number(entry[7]) > 3600));
      await pause(500);
    }
    // Every look reads the whole machine's table, which takes seconds while another test's namespaces are being taken
    // down.
    let left = '';
    const gone = async (): Promise<boolean> => {
      left = await counts(on, QUIET);
      return left === '0,0';
    };
    await until('the unused connection to be gone on both', gone, { withinMs: 60_000 }).catch((error: Error) => {
      throw new Error(`${error.message}: ${left} are left`);
    });
    const { stdout } = await on.lab.exec('server', ['conntrack', '-L', '-p', 'udp', '--dport', '5999']);
    assert.is(stdout.trim(), '', 'negative control: what nobody keeps is gone by then');
    const { alive } = await on.traffic.worked();
    assert.is(alive, 5);
  },
  noConntrack(),
);

promise('after a take-over they have the short timeouts, and the connections go on', async (on) => {
  await on.traffic.arm();
  await on.pair['fw-a'].powerOff();
  await on.watch.until('fw-b to be master', isMaster('fw-b'), 15_000);
  const usual = async (): Promise<boolean> => {
    const all = await entries(on.lab, 'fw-b', () => true);
    const translated = all.filter((entry) => [6, 17].includes(number(entry[1][2][1])) && (number(entry[3]) & 4) !== 0);
    return translated.length > 0 && translated.every((entry) => number(entry[7]) <= TCP);
  };
  await until('the short timeouts', usual, { withinMs: 5000, everyMs: 200 });
  assert.is((await on.traffic.worked()).alive, 5);
  assert.is((await entries(on.lab, 'fw-b', toPort(BUSY))).length, 1);
});

timeouts.run();
