/**
 * Kernel truth: what one kernel says of a connection, the other says too: every protocol, NAT of both families, marks,
 * labels, zones of both kinds; and entries that are deleted by hand, by zone, by a flush or by their timeout go on
 * both.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../scripts/lab/command.ts';
import { enterOrExit } from '../../scripts/lab/enter.ts';
import { type Stage, setUpStage } from '../../scripts/lab/stage.ts';
import { inStep, isMaster } from '../../scripts/lab/watch.ts';
import { noConntrack } from './lib/kernel.ts';
import { addRules } from './lib/rules.ts';
import { leaveWhenDone, onStage, prepare } from './lib/scene.ts';
import { agreed, type Entry, entries, number, protocol, toPort } from './lib/table.ts';

await enterOrExit(import.meta.url);

/** Marks and labels are set by rules, as on a real firewall; a label needs a rule before the kernel gives it room. */
const RULES = `table inet truth {
  chain paint {
    type filter hook forward priority filter + 5;
    udp dport 4000 ct mark set 0x42 ct label set 77
  }
}
`;

const IGNORED = '203.0.113.77';

const truth = suite('kernel truth');
let stage: Stage;
prepare(truth, async () => {
  const paint = addRules(RULES, 'iifname $lan oifname $wan ip6 daddr fd77:2::/64 snat ip6 to fd77:2::1');
  const edit: typeof paint = (text, node) => paint(text, node).replace('[sync]\n', `[sync]\nignore = ["${IGNORED}"]\n`);
  stage = await setUpStage({ connections: 5, config: { edit } });
});
leaveWhenDone(truth);
const promise = onStage(truth, () => stage);

const V4 = '-s 10.77.1.10 -d 203.0.113.10';
const V6 = '-s fd77:1::10 -d fd77:2::10';
const VTAGS = '--orig-vtag 11 --reply-vtag 22';
const ANSWERED = '-t 300 -u SEEN_REPLY,ASSURED';
/** Entries as traffic would make them, written into the master's kernel by another program. */
const INJECTED = [
  `-p sctp ${V4} --sport 5001 --dport 5900 --state ESTABLISHED --orig-vtag 11 --reply-vtag 22 ${ANSWERED} -n 203.0.113.1`,
  `-p gre ${V4} --srckey 1 --dstkey 5900 ${ANSWERED}`,
  `-p udplite ${V4} --sport 5001 --dport 5900 ${ANSWERED} -n 203.0.113.1`,
  `-p icmp ${V4} --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 300 -u SEEN_REPLY -n 203.0.113.1`,
  `-p icmpv6 ${V6} --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77 -t 300 -u SEEN_REPLY -n fd77:2::1`,
  `-p tcp ${V6} --sport 5001 --dport 5900 --state ESTABLISHED ${ANSWERED} -n fd77:2::1`,
  `-p sctp ${V6} --sport 5001 --dport 5900 --state ESTABLISHED --orig-vtag 33 --reply-vtag 44 ${ANSWERED}`,
  `-p udp ${V6} --sport 5002 --dport 5900 ${ANSWERED} -g fd77:2::99`,
  `-p udp ${V4} --sport 5003 --dport 5900 ${ANSWERED} -w 5 -m 7`,
  `-p udp ${V4} --sport 5004 --dport 5900 ${ANSWERED} --orig-zone 6`,
  `-p udp ${V4} --sport 5005 --dport 5900 ${ANSWERED} --reply-zone 7`,
  `-p 50 ${V4} ${ANSWERED}`,
];
const injected = (entry: Entry): boolean => toPort(5900)(entry) || [1, 50, 58].includes(protocol(entry));

async function conntrack(on: Stage, node: 'fw-a' | 'fw-b', line: string): Promise<void> {
  await on.lab.exec(node, ['conntrack', ...line.split(' ')]);
}

async function bothAgree(on: Stage, test: (entry: Entry) => boolean, count: number): Promise<Entry[]> {
  let last = '';
  const { value } = await until(
    `${count} entries, the same in both kernels`,
    async () => {
      const [a, b] = await Promise.all([entries(on.lab, 'fw-a', test), entries(on.lab, 'fw-b', test)]);
      const [here, there] = [a.map(agreed).sort(), b.map(agreed).sort()];
      last = `${here.join('\n')}\n-- fw-b:\n${there.join('\n')}`;
      return here.length === count && here.join() === there.join() ? a : null;
    },
    { withinMs: 25_000, everyMs: 200 },
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${last}`);
  });
  return value;
}

promise(
  'every protocol with NAT, zones and marks is in the other kernel as it is in the first',
  async (on) => {
    for (const line of INJECTED) await conntrack(on, 'fw-a', `-I ${line}`);
    await bothAgree(on, injected, INJECTED.length);
    await on.watch.until('both to be in step', inStep, 10_000);
    const deep = await on.pair['fw-b'].ask<{ differences: string[] }>('verify', { deep: true });
    assert.equal(deep.ok && deep.result.differences, []);
  },
  noConntrack(),
);

/** Fields of an entry, each made to say something else. */
const CHANGES: ((entry: Entry) => Entry)[] = [
  (entry) => ({ ...entry, 8: '000000aa' }),
  (entry) => ({ ...entry, 18: '00aa' }),
  (entry) => ({ ...entry, 22: 'aa'.repeat(16) }),
  (entry) => ({ ...entry, 3: '00000000' }),
  (entry) => ({ ...entry, 2: { ...entry[2], 1: { ...entry[2][1], 2: 'cb0071aa' } } }),
];

promise(
  'negative control: the comparison sees each changed field; an ignored address is not carried',
  async (on) => {
    const [first] = await entries(on.lab, 'fw-a', injected);
    assert.ok(first !== undefined);
    for (const change of CHANGES) assert.is.not(agreed(change(first)), agreed(first), String(change));
    await conntrack(on, 'fw-a', `-I -p udp -s 10.77.1.10 -d ${IGNORED} --sport 5010 --dport 5901 ${ANSWERED}`);
    await conntrack(on, 'fw-a', `-I -p udp ${V4} --sport 5011 --dport 5901 ${ANSWERED}`);
    const there = async (): Promise<Entry[] | null> => {
      const found = await entries(on.lab, 'fw-b', toPort(5901));
      return found.length > 0 ? found : null;
    };
    const { value } = await until('the other one to be there', there, { withinMs: 5000 });
    assert.is(value.length, 1);
    await conntrack(on, 'fw-a', '-D -p udp --dport 5901');
  },
  noConntrack(),
);

promise('marks and labels that rules set are carried', async (on) => {
  const probe = `const s = require('dgram').createSocket('udp4'); s.on('message', () => process.exit(0));
    s.bind(4001, () => setInterval(() => s.send('x', 4000, '203.0.113.10'), 200));`;
  const echo = `const s = require('dgram').createSocket('udp4'); s.on('message', (m, r) => s.send(m, r.port, r.address)); s.bind(4000);`;
  const server = on.lab.spawn('server', [process.execPath, '-e', echo]);
  await on.lab.exec('client', [process.execPath, '-e', probe]);
  server.kill();
  const [entry] = await bothAgree(on, toPort(4000), 1);
  assert.is(number(entry?.[8]), 0x42);
  assert.is(entry?.[22], '00000000000000000020000000000000');
});

promise(
  'deleted by hand, by zone, by its timeout, and by a flush: gone on both, and in step',
  async (on) => {
    const rest = async (count: number): Promise<void> => void (await bothAgree(on, injected, count));
    await conntrack(on, 'fw-a', `-D -p sctp ${V4} --dport 5900`);
    await rest(INJECTED.length - 1);
    await conntrack(on, 'fw-a', '-D -w 5');
    await rest(INJECTED.length - 2);
    // The kernel collects what has expired in its own time, but at the latest when somebody looks at it.
    await conntrack(on, 'fw-a', `-I -p udp ${V4} --sport 5006 --dport 5900 -u SEEN_REPLY,ASSURED -t 10`);
    await rest(INJECTED.length - 1);
    await rest(INJECTED.length - 2);
    // At the mirror it is put back: the owner decides.
    await conntrack(on, 'fw-b', '-D -p udplite');
    await rest(INJECTED.length - 2);
    await conntrack(on, 'fw-a', '-F');
    await rest(0);
    await on.watch.until('both to be in step', inStep, 10_000);
  },
  noConntrack(),
);

promise(
  'a mirrored entry lives as long as its owner says; after a take-over it has its usual timeout',
  async (on) => {
    await conntrack(on, 'fw-a', `-I -p udp ${V4} --sport 5007 --dport 5900 -u SEEN_REPLY,ASSURED -t 60`);
    await conntrack(on, 'fw-a', `-I -p sctp ${V4} --sport 5008 --dport 5900 --state ESTABLISHED ${VTAGS} ${ANSWERED}`);
    await bothAgree(on, toPort(5900), 2);
    const timeouts = async (): Promise<number[]> =>
      (await entries(on.lab, 'fw-b', toPort(5900))).map((e) => number(e[7]));
    assert.ok(
      (await timeouts()).every((seconds) => seconds > 3600),
      'mirrored',
    );
    await on.pair['fw-a'].powerOff();
    await on.watch.until('fw-b to be master', isMaster('fw-b'), 15_000);
    const usual = async (): Promise<boolean> => {
      const all = await timeouts();
      return all.length === 2 && all.every((seconds) => seconds <= 210);
    };
    await until('the usual timeouts', usual, { withinMs: 5000, everyMs: 200 });
  },
  noConntrack(),
);

truth.run();
