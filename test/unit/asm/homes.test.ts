/** Whose a connection is by the virtual addresses (asm/state/homes.ts, src/sync/table/homes.ts). */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bench } from '../../../scripts/reference/bench-exports.ts';
import { event, listAll, makeEngine } from '../../../scripts/reference/harness.ts';
import { inverse, type State, UDP } from '../../../scripts/reference/state.ts';
import { homesOf, vhidsOf } from '../../../src/sync/table/homes.ts';

const test = suite('homes');

const v4 = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));
const v6 = (last: number, net = 0xa): Uint8Array => Uint8Array.of(0xfd, net, ...new Array(13).fill(0), last);

function udp(src: Uint8Array, dst: Uint8Array, nat: Partial<{ src: Uint8Array; dst: Uint8Array }> = {}): State {
  const family = src.length === 4 ? (2 as const) : (10 as const);
  const key = { family, proto: UDP, zone: 0, orig: { src, dst, sport: 1000, dport: 53 } };
  return {
    ...{ ...key, reply: { ...inverse(key), ...nat }, status: 14, mark: 0, l4: 0, vtags: null, timeout: 30 },
    ...{ wscale: [0, 0] as [number, number], flags: [0, 0] as [number, number] },
  };
}

const reports = (mine: readonly string[], lists: Record<string, string[]>) => {
  const of = (own: boolean) =>
    vhidsOf(
      Buffer.from(
        JSON.stringify({
          vhids: Object.fromEntries(
            Object.keys(lists).map((key) => [key, { state: mine.includes(key) === own ? 'MASTER' : 'BACKUP' }]),
          ),
          lists,
        }),
      ),
    );
  return homesOf(of(true), of(false));
};

const LISTS = {
  '1/wan': ['203.0.113.1/24'],
  '2/lan': ['10.1.0.1/24', 'fd0a::1/64'],
  '3/dmz': ['10.2.0.1/24', 'fd0b::1/64'],
  '11/wan': ['203.0.113.11/24'],
};

/** 0 not known, 1 mine, 2 the peer's. */
function homeOf(state: State): number {
  const engine = makeEngine();
  engine.setHomes(reports(['1/wan', '2/lan'], LISTS));
  event(engine, state);
  return bench(engine).homeOf(listAll(engine)[0]?.at ?? 0);
}

test('translated, or sent to a virtual address: to the master of that address, whatever else', () => {
  const [client, server] = [v4('10.2.0.9'), v4('198.51.100.1')];
  assert.is(homeOf(udp(client, server, { dst: v4('203.0.113.1') })), 1);
  assert.is(homeOf(udp(client, server, { dst: v4('203.0.113.11') })), 2);
  assert.is(homeOf(udp(server, v4('203.0.113.11'), { src: client })), 2);
  assert.is(homeOf(udp(server, v4('203.0.113.1'), { src: client })), 1);
  assert.is(
    homeOf(udp(v4('10.1.0.9'), server, { dst: v4('192.0.2.7') })),
    0,
    'translated to what is no virtual address',
  );
});

test('not translated: by the network of the source, else of the destination, if all of it is one node\u2019s', () => {
  assert.is(homeOf(udp(v4('10.1.0.9'), v4('198.51.100.1'))), 1);
  assert.is(homeOf(udp(v4('10.2.0.9'), v4('10.1.0.9'))), 2);
  assert.is(homeOf(udp(v4('198.51.100.1'), v4('10.2.0.9'))), 2);
  assert.is(homeOf(udp(v4('203.0.113.77'), v4('198.51.100.1'))), 0, 'both nodes have virtual addresses there');
  assert.is(homeOf(udp(v6(9), v6(9, 0xbb))), 1);
  assert.is(homeOf(udp(v6(9, 0xb), v6(9, 0xbb))), 2);
  assert.is(homeOf(udp(v6(9, 0xcc), v6(9, 0xbb))), 0);
});

test('a vhid that both or none is master of is nobody\u2019s', () => {
  const says = (state: string) =>
    vhidsOf(Buffer.from(JSON.stringify({ vhids: { a: { state } }, lists: { a: ['10.0.0.1/24'] } })));
  assert.is(homesOf(says('MASTER'), says('MASTER')).length, 0);
  assert.is(homesOf(says('BACKUP'), says('BACKUP')).length, 0);
  assert.equal(
    homesOf(says('BACKUP'), says('MASTER')).map((home) => home.own),
    [false, false],
  );
});

test('reports that are none say nothing', () => {
  for (const text of ['', 'null', '[]', '{"vhids":3,"lists":[]}', '{"lists":{"a":"b","c":[1,"x/99"]}}']) {
    const vhids = vhidsOf(Buffer.from(text));
    assert.equal(homesOf(vhids, vhids), []);
  }
});

test.run();
