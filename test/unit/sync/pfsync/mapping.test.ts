/** pf states and conntrack's connections: the tables of the vectors, worked cases, and there and back. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { wasm } from '../../../../scripts/reference/harness.ts';
import { DIALECTS, PfCodec, type PfDialect } from '../../../../src/sync/dialect/pfsync/codec.ts';
import { type Connection, keyOf, tupleText } from '../../../../src/sync/dialect/pfsync/connection.ts';
import type { PfItem } from '../../../../src/sync/dialect/pfsync/item.ts';
import { CT, IN, OUT, TCP } from '../../../../src/sync/dialect/pfsync/numbers.ts';
import { closerOf, pairOf, tcpStateOf, tcpTimeoutOf } from '../../../../src/sync/dialect/pfsync/tcp-states.ts';
import { connectionOf, lostOf, middleOf, refusalOf } from '../../../../src/sync/dialect/pfsync/to-connection.ts';
import { emptyItem, sidesOf, statesOf } from '../../../../src/sync/dialect/pfsync/to-states.ts';
import { encodeEnd, encodeUpdate, readUpdates } from '../../../../src/sync/dialect/pfsync/update-record.ts';

const test = suite('pfsync mapping');
const data = (name: string): string => readFileSync(`test/vectors/data/${name}`, 'utf8');
const module = new WebAssembly.Module(wasm);

interface MappingVectors {
  tcp_state_pairs: {
    src_state: number;
    dst_state: number;
    linux_state: number | null;
    pf_timeout_index_after_this_transition: number;
  }[];
  linux_to_pf: {
    linux_state: number;
    pf?: [number, number] | null;
    pf_if_orig_closed_first?: [number, number];
    pf_if_reply_closed_first?: [number, number];
    timeout?: number;
  }[];
  cases: { description: string; conntrack: Record<string, unknown> }[];
}
const vectors = JSON.parse(data('mapping.json')) as MappingVectors;

test('every pair of TCP states, and its timeout', () => {
  assert.is(vectors.tcp_state_pairs.length, 49);
  for (const pair of vectors.tcp_state_pairs) {
    const [a, b] = [pair.src_state, pair.dst_state];
    assert.is(tcpStateOf(a, b), pair.linux_state, `${a}, ${b}`);
    assert.is(tcpTimeoutOf(a, b), pair.pf_timeout_index_after_this_transition, `${a}, ${b}`);
  }
});

test('every TCP state of Linux, and who closed first comes back', () => {
  for (const row of vectors.linux_to_pf) {
    const { linux_state: state } = row;
    assert.equal(pairOf(state, null), row.pf === undefined ? row.pf_if_orig_closed_first : row.pf);
    if (row.pf_if_reply_closed_first === undefined) continue;
    assert.equal(pairOf(state, 1), row.pf_if_reply_closed_first);
    for (const side of [0, 1] as const) {
      const [a, b] = pairOf(state, side)!;
      assert.equal([tcpStateOf(a, b), closerOf(a, b)], [state, side]);
    }
  }
});

/** The states of OpenBSD's vectors. (The cases count the frames of another order of the file.) */
function allStates(): PfItem[] {
  const frames = JSON.parse(data('pfsync-openbsd-v6.json')) as { pfsync_hex: string }[];
  const codec = new PfCodec(module, 'openbsd');
  return frames.flatMap(({ pfsync_hex: hex }) => {
    const { messages } = codec.decode(Buffer.from(hex, 'hex'));
    return messages.flatMap(({ kind, items }) => (kind === 'INS' || kind === 'UPD' ? items : []));
  });
}

/** In the words of the vectors. */
function inVectorWords(connection: Connection): Record<string, unknown> {
  const { proto, orig, after } = connection;
  const icmp = proto === 1;
  const ids = icmp
    ? { icmp_id: orig.sport, icmp_type: orig.dport >> 8, icmp_code: 0 }
    : { sport: orig.sport, dport: orig.dport };
  const snat = after.src !== orig.src || after.sport !== orig.sport;
  const dnat = after.dst !== orig.dst || after.dport !== orig.dport;
  const status = 0x08 | (connection.seenReply ? 2 : 0) | (connection.assured ? 4 : 0);
  return {
    family: connection.family === 4 ? 2 : 10,
    orig: { src: orig.src, dst: orig.dst, ...ids, proto },
    CTA_NAT_SRC: snat ? { ip: after.src, port: after.sport } : null,
    CTA_NAT_DST: dnat ? { ip: after.dst, port: after.dport } : null,
    status_to_send: `0x${status.toString(16).padStart(8, '0')}`,
    ...(proto === TCP ? { tcp_state: connection.tcpState } : {}),
  };
}

/** No frame of the vectors has this one: OpenBSD writes the identifier at the opener's place, the type at the other. */
function echoStates(): PfItem[] {
  const key = (addr0: string, port0: number, addr1: string, port1: number) => ({ addr0, port0, addr1, port1 });
  const whole = (one: ReturnType<typeof key>) => ({ ...one, rdomain: 0, af: 2 });
  const item = { ...emptyItem(), proto: 1, af: 2, timeout: 10 };
  const inside = key('10.0.0.5', 4660, '198.51.100.80', 8);
  const back = key('198.51.100.80', 8, '10.0.0.5', 4660);
  return [
    { ...item, direction: IN, wire: whole(inside), stack: whole(inside) },
    { ...item, direction: OUT, wire: whole(key('198.51.100.80', 8, '203.0.113.2', 50_000)), stack: whole(back) },
  ];
}

for (const { description, conntrack } of vectors.cases) {
  test(`vectors: ${description}`, () => {
    const states = [...allStates(), ...echoStates()];
    const same = (one: unknown): boolean => JSON.stringify(one) === JSON.stringify(conntrack.orig);
    const opened = (item: PfItem): boolean => same(inVectorWords(connectionOf(item, null)).orig);
    const incoming = states.find((item) => item.direction !== OUT && opened(item));
    const outgoing = states.find(
      (item) =>
        item.direction === OUT && incoming !== undefined && tupleText(middleOf(item)) === tupleText(middleOf(incoming)),
    );
    assert.ok(incoming);
    const found = inVectorWords(connectionOf(incoming, outgoing ?? null));
    for (const [name, value] of Object.entries(found)) {
      if (conntrack[name] !== undefined || value !== null) assert.equal(value, conntrack[name], name);
    }
  });
}

// --- there and back
// --------------------------------------------------------------------------------------------------

const V4 = { src: '10.0.0.5', dst: '198.51.100.80', sport: 51_515, dport: 443 };
const V6 = { src: '2001:db8:1::10', dst: '2001:db8:ffff::53', sport: 53_535, dport: 53 };
const PLAIN: Connection = {
  family: 4,
  proto: TCP,
  orig: V4,
  after: V4,
  tcpState: CT.established,
  wscale: null,
  closedBy: null,
  seenReply: true,
  assured: true,
  seqDiff: [0, 0],
};
const WITHOUT_TCP = { tcpState: 0, wscale: null, closedBy: null } as const;
const echo = { src: '10.0.0.5', dst: '198.51.100.80', sport: 4660, dport: 8 << 8 };
const bare = { src: '10.0.0.5', dst: '198.51.100.80', sport: 0, dport: 0 };

const CONNECTIONS: readonly Connection[] = [
  PLAIN,
  { ...PLAIN, wscale: [7, 10] },
  { ...PLAIN, wscale: [0, 0], after: { ...V4, src: '203.0.113.2', sport: 60_001 } },
  { ...PLAIN, after: { ...V4, dst: '10.0.1.80', dport: 8443 } },
  { ...PLAIN, after: { src: '203.0.113.2', dst: '10.0.1.80', sport: 60_001, dport: 8443 } },
  { ...PLAIN, family: 6, orig: V6, after: V6, tcpState: CT.closeWait, closedBy: 1 },
  { ...PLAIN, family: 6, orig: V6, after: { ...V6, dst: '2001:db8:2::1' }, tcpState: CT.lastAck, closedBy: 0 },
  { ...PLAIN, proto: 17, ...WITHOUT_TCP },
  { ...PLAIN, proto: 17, ...WITHOUT_TCP, seenReply: false, assured: false },
  { ...PLAIN, proto: 17, ...WITHOUT_TCP, assured: false, after: { ...V4, src: '203.0.113.2' } },
  { ...PLAIN, proto: 1, ...WITHOUT_TCP, assured: false, orig: echo, after: echo },
  { ...PLAIN, proto: 1, ...WITHOUT_TCP, assured: false, orig: echo, after: { ...echo, src: '203.0.113.2', sport: 9 } },
  { ...PLAIN, proto: 50, ...WITHOUT_TCP, orig: bare, after: { ...bare, src: '203.0.113.2' } },
];

test('each connection becomes two states and the same connection again, through the bytes of each dialect', () => {
  for (const dialect of DIALECTS) {
    const codec = new PfCodec(module, dialect);
    for (const connection of CONNECTIONS) {
      const names = { inId: '00000000000000a1', outId: '00000000000000a2', creatorid: '01020304' };
      const made = statesOf(connection, sidesOf(connection)!, names, dialect, 7);
      codec.begin(1500);
      for (const item of made) assert.ok(codec.add('INS', item));
      const { refused, messages } = codec.decode(Buffer.from(codec.end()));
      assert.is(refused, null);
      const [incoming, outgoing] = messages.flatMap(({ kind, items }) => (kind === 'INS' ? items : []));
      assert.is(tupleText(middleOf(incoming!)), tupleText(middleOf(outgoing!)));
      assert.equal([refusalOf(incoming!), lostOf(incoming!)], [null, []]);
      assert.equal(connectionOf(incoming!, outgoing!), connection, `${dialect} ${keyOf(connection)}`);
    }
  }
});

test('updates of the engine: there and back', () => {
  const shifted: Connection = { ...PLAIN, seqDiff: [123_456, 0xffff_0000] };
  for (const connection of [...CONNECTIONS, shifted]) {
    const [update, ...rest] = readUpdates(encodeUpdate(connection));
    assert.equal([rest, update?.ended, update?.yours, update?.notCarried], [[], false, false, []]);
    assert.equal(update?.connection, connection);
    const [end] = readUpdates(encodeEnd(connection));
    assert.equal([end?.ended, keyOf(end!.connection)], [true, keyOf(connection)]);
  }
  assert.is(readUpdates(Buffer.concat(CONNECTIONS.map(encodeUpdate))).length, CONNECTIONS.length);
});

test('only one of both states: what it shows is used', () => {
  const connection = CONNECTIONS[4]!;
  const names = { inId: '00000000000000a1', outId: '00000000000000a2', creatorid: '01020304' };
  const [incoming, outgoing] = statesOf(connection, sidesOf(connection)!, names, 'openbsd', 0);
  const middle = { ...connection.orig, dst: '10.0.1.80', dport: 8443 };
  assert.equal(connectionOf(incoming, null), { ...connection, after: middle });
  assert.equal(connectionOf(null, outgoing), { ...connection, orig: middle });
});

test('what cannot be carried has its name', () => {
  const item = { ...emptyItem(), proto: TCP, af: 2, direction: 1 };
  const sides = (a: number, b: number) => ({ src: { ...item.src, state: a }, dst: { ...item.dst, state: b } });
  assert.is(refusalOf({ ...item, ...sides(11, 0) }), 'half_open');
  assert.is(refusalOf({ ...item, ...sides(4, 4), stackAf: 28 }), 'af_to');
  assert.is(
    refusalOf({ ...item, ...sides(4, 4), wire: { ...item.wire, af: 24 }, stack: { ...item.stack, af: 2 } }),
    'af_to',
  );
  assert.is(refusalOf({ ...item, proto: 58 }), 'unknown_protocol');
  const odd = { ...item, rt: 2, qid: 5, tagname: 'voip', src: { ...item.src, scrub: 1 }, setPrio1: 3, rtable0: 1 };
  assert.equal(lostOf(odd), ['route_to', 'dummynet', 'tag', 'scrub', 'set_prio', 'rtable']);
});

test('sequence numbers that two pf states modulate are shifted by both', () => {
  const names = { inId: '00000000000000a1', outId: '00000000000000a2', creatorid: '01020304' };
  const [incoming, outgoing] = statesOf(PLAIN, sidesOf(PLAIN)!, names, 'openbsd' satisfies PfDialect, 0);
  incoming.src.seqdiff = 0xffff_fff0;
  outgoing.src.seqdiff = 0x20;
  outgoing.dst.seqdiff = 5;
  assert.equal(connectionOf(incoming, outgoing).seqDiff, [0x10, 5]);
});

test.run();
