/**
 * pfsync of OpenBSD and FreeBSD: the vectors of all dialects and every frame that FreeBSD 9.1's own stack sent
 * (data/captures) decode to the listed values and encode to the same bytes; what is damaged is refused by reason.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { wasm } from '../../scripts/reference/harness.ts';
import { packetOf, readPcap } from '../../src/net/pcap.ts';
import { DIALECTS, PfCodec, type PfDialect, type PfFrame, type PfKind } from '../../src/sync/dialect/pfsync/codec.ts';
import type { PfItem, PfKey, PfSide } from '../../src/sync/dialect/pfsync/item.ts';
import { readPacket } from '../../src/sync/dialect/pfsync/packet.ts';

const test = suite('vectors: pfsync');
const data = (name: string): Buffer => readFileSync(new URL(`data/${name}`, import.meta.url));
const module = new WebAssembly.Module(wasm);
const codecs = new Map<string, PfCodec>(DIALECTS.map((dialect) => [dialect, new PfCodec(module, dialect)]));
const codecOf = (dialect: string): PfCodec => codecs.get(dialect === 'openbsd-v6' ? 'openbsd' : dialect)!;

interface Vector {
  description: string;
  dialect: string;
  src: string;
  dst: string;
  ip_packet_hex: string;
  pfsync_hex: string;
  decoded: {
    header: { version: number; len: number; pfcksum: string };
    messages: { action: number; name: string; count: number; records: Record<string, unknown>[] }[];
  };
}

/** The vectors' names where they are not ours in snake case. */
function side(value: PfSide): Record<string, number> {
  const { flags, ttl, scrub, tsMod, seqlo, seqhi, seqdiff, maxWin, mss, state, wscale } = value;
  const scrubPart = { pfss_flags: flags, pfss_ttl: ttl, scrub_flag: scrub, pfss_ts_mod: tsMod };
  return { ...scrubPart, seqlo, seqhi, seqdiff, max_win: maxWin, mss, state, wscale };
}

function key(name: string, { addr0, addr1, port0, port1, rdomain, af }: PfKey): Record<string, unknown> {
  const fields = { addr0, addr1, port0, port1, rdomain, af };
  return Object.fromEntries(Object.entries(fields).map(([field, value]) => [`${name}.${field}`, value]));
}

const RENAMED: Record<string, string> = {
  rtable0: 'rtableid0',
  rtable1: 'rtableid1',
  tdbDst: 'dst_sockaddr',
  tdbUpdates: 'updates',
  tdbRdomain: 'rdomain',
};
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function inVectorWords(item: PfItem, kind: string): Record<string, unknown> {
  const { wire, stack, src, dst, ...rest } = item;
  const flat: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(rest)) {
    if (name.startsWith('tdb') !== (kind === 'TDB') && RENAMED[name] === 'updates') continue;
    flat[RENAMED[name] ?? snake(name)] = typeof value === 'bigint' ? Number(value) : value;
  }
  if (kind === 'TDB') flat.updates = item.tdbUpdates;
  Object.assign(flat, { rtableid: item.rtable0, wire_af: item.af, wire_proto: item.proto });
  return { ...flat, ...key('key0', wire), ...key('key1', stack), src: side(src), dst: side(dst) };
}

/** Only what the vector lists, so that both can be compared whole. */
function listed(of: Record<string, unknown>, like: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(like).map((name) => [name, of[name]]));
}

function encode(codec: PfCodec, frame: PfFrame, hmac = false): string {
  codec.begin(9000);
  for (const { kind, items } of frame.messages) {
    if (kind === 'EOF') continue;
    for (const item of items) assert.ok(codec.add(kind as Exclude<PfKind, 'EOF' | 'skipped'>, item));
  }
  return codec.end({ checksum: Buffer.from(frame.checksum, 'hex'), hmac }).toString('hex');
}

for (const file of ['openbsd-v6', 'freebsd-1301', 'freebsd-1400', 'freebsd-1500']) {
  const vectors = JSON.parse(data(`pfsync-${file}.json`).toString()) as Vector[];
  for (const vector of vectors) {
    test(`${file}: ${vector.description}`, () => {
      const codec = codecOf(vector.dialect);
      const packet = readPacket(Buffer.from(vector.ip_packet_hex, 'hex'));
      assert.equal([packet?.src, packet?.dst, packet?.ttl], [vector.src, vector.dst, 255]);
      assert.is(packet?.frame.toString('hex'), vector.pfsync_hex);
      const frame = codec.decode(packet!.frame);
      assert.is(frame.refused, null);
      assert.is(frame.checksum, vector.decoded.header.pfcksum);
      assert.is(frame.messages.length, vector.decoded.messages.length);
      for (const [i, want] of vector.decoded.messages.entries()) {
        const { kind, action, items, refused } = frame.messages[i]!;
        assert.equal([kind, action, refused], [want.name.replace(/_\d+$/, ''), want.action, []]);
        assert.is(items.length, want.records.length);
        for (const [j, record] of want.records.entries())
          assert.equal(listed(inVectorWords(items[j]!, kind), record), record);
      }
      assert.is(encode(codec, frame), vector.pfsync_hex);
    });
  }
}

interface Negative {
  description: string;
  dialect: string;
  ip_packet_hex: string;
  expect: Record<string, unknown>;
}

const negatives = JSON.parse(data('pfsync-negative.json').toString()) as Negative[];
for (const { description, dialect, ip_packet_hex, expect } of negatives) {
  test(`negative: ${description}`, () => {
    const packet = readPacket(Buffer.from(ip_packet_hex, 'hex'))!;
    const frame = codecOf(dialect).decode(packet.frame);
    const used = frame.messages.filter(({ items }) => items.length > 0);
    if (expect.drop === 'badttl') assert.is(packet.ttl, 254);
    else if (typeof expect.drop === 'string') assert.equal([frame.refused, used], [expect.drop, []]);
    if (typeof expect.record_rejected === 'string') {
      const why = frame.messages.flatMap(({ refused }) => refused.map((refusal) => refusal.why));
      assert.equal([why, used, frame.refused], [[expect.record_rejected], [], null]);
    }
    if (expect.skip === true) assert.equal([frame.messages[0]?.kind, used, frame.refused], ['skipped', [], null]);
    if (expect.accept !== undefined || expect.openbsd !== undefined) {
      assert.is(used.length, 1);
      assert.is(frame.refused, expect.counter ?? null);
    }
    // The same action towards a FreeBSD: there is no length to pass it over by.
    if (expect.freebsd_like !== undefined) {
      const like = Buffer.from(packet.frame);
      like[0] = 5;
      assert.equal(codecOf('freebsd-1500').decode(like), { messages: [], refused: 'badact', checksum: '0'.repeat(32) });
    }
  });
}

test('a FreeBSD takes the records of older versions too, and refuses those of newer ones', () => {
  const frames = Object.fromEntries(
    (['1301', '1400', '1500'] as const).map((version) => {
      const [first] = JSON.parse(data(`pfsync-freebsd-${version}.json`).toString()) as Vector[];
      return [version, Buffer.from(first!.pfsync_hex, 'hex')];
    }),
  );
  const takes = (dialect: PfDialect, version: string): unknown => {
    const { refused, messages } = codecOf(dialect).decode(frames[version]!);
    return refused ?? messages[0]?.items.map(({ id, stack }) => `${id} ${stack.addr1}`);
  };
  const states = ['0000000000001a2b 198.51.100.80', '0000000000001a2c 10.0.0.5'];
  for (const version of ['1301', '1400', '1500']) assert.equal(takes('freebsd-1500', version), states);
  assert.equal([takes('freebsd-1400', '1301'), takes('freebsd-1400', '1500')], [states, 'badact']);
  assert.equal([takes('freebsd-1301', '1301'), takes('freebsd-1301', '1400')], [states, 'badact']);
  assert.is(takes('openbsd', '1301'), 'badver');
});

// --- what FreeBSD 9.1 sent
// -------------------------------------------------------------------------------------------

function captured(name: string): { frame: PfFrame; bytes: Buffer; time: number; src: string }[] {
  const capture = readPcap(data(`captures/${name}.pcap`))!;
  return capture.frames.flatMap(({ time, bytes }) => {
    const packet = readPacket(packetOf(capture.linkType, bytes)!.packet);
    if (packet === null) return [];
    const frame = codecOf('freebsd-1301').decode(packet.frame);
    return [{ frame, bytes: packet.frame, time, src: packet.src }];
  });
}

const COUNTS = {
  'pfsync-freebsd91': { INS: 10, UPD: 28, UPD_C: 95, DEL_C: 3, BUS: 4, CLR: 1 },
  'pfsync-freebsd91-v2': { INS: 96, UPD: 250, UPD_C: 670, DEL_C: 52, BUS: 10, CLR: 1 },
};

for (const [name, counts] of Object.entries(COUNTS)) {
  test(`${name}: every frame, and back to the same bytes`, () => {
    const frames = captured(name);
    const total: Record<string, number> = {};
    const lines: string[] = [];
    for (const { frame, bytes, src } of frames) {
      assert.is(frame.refused, null);
      for (const { kind, items, refused } of frame.messages) {
        assert.equal(refused, []);
        total[kind] = (total[kind] ?? 0) + items.length;
      }
      const parts = frame.messages.map(({ kind, items }) => `${kind} x${items.length || 1}`);
      const sum = frame.checksum.slice(0, 8);
      lines.push(`${src} -> 224.0.0.240 ttl 255 v5 len ${bytes.length}/${bytes.length} sum ${sum} ${parts.join(', ')}`);
      // What FreeBSD 9 leaves in the 20 bytes behind EOF is whatever its buffer held.
      const [back, sent] = [Buffer.from(encode(codecOf('freebsd-1301'), frame, true), 'hex'), bytes];
      assert.is(back.length, sent.length);
      assert.is(back.toString('hex', 0, back.length - 20), sent.toString('hex', 0, sent.length - 20));
    }
    assert.equal(listed(total, counts), counts);
    const told = data(`captures/${name}.packets.txt`).toString().trim().split('\n');
    assert.equal(
      lines,
      told.filter((text) => text.includes(' -> ')).map((text) => text.replace(/^\S+ /, '')),
    );
  });
}

/** One state as the capture's own list of states writes it. */
function line(kind: PfKind, item: PfItem): string {
  const one = ({ seqlo, seqhi, seqdiff, maxWin, mss, state, wscale }: PfSide): string =>
    `seqlo ${seqlo} seqhi ${seqhi} diff ${seqdiff} win ${maxWin} mss ${mss} st ${state} ws ${wscale.toString(16).padStart(2, '0')}`;
  const { id, creatorid, src, dst, expire, timeout } = item;
  const head = `${kind} id ${id}`;
  const sides = `src{${one(src)}} dst{${one(dst)}}`;
  if (kind === 'UPD_C') return `${head} ${sides} creator ${creatorid} expire ${expire} timeout ${timeout}`;
  const ends = (k: PfKey): string => `[${k.addr0}:${k.port0} ${k.addr1}:${k.port1}]`;
  const rule = (n: number): number => n | 0;
  const counted = [item.packets0, item.packets1, item.bytes0, item.bytes1].map(
    (n) => `${n >> 32n}, ${n & 0xffffffffn}`,
  );
  return [
    `${head} if ${item.ifname} wire${ends(item.wire)} stack${ends(item.stack)} ${sides} rule ${rule(item.rule)}`,
    `anchor ${rule(item.anchor)} nat ${rule(item.natRule)} created ${item.creation}s ago expires ${expire}s`,
    `packets/bytes (${counted.join(', ')}) creator ${creatorid} af ${item.af} proto ${item.proto} dir ${item.direction}`,
    `log ${item.log} state_flags ${item.stateFlags.toString(16).padStart(2, '0')} timeout ${timeout}`,
    `sync_flags ${item.syncFlags.toString(16).padStart(2, '0')} updates ${item.updates}`,
  ].join(' ');
}

test('pfsync-freebsd91: every state is the one that an independent decoder read', () => {
  const kinds = /^ {4}(INS|UPD|UPD_C) /;
  const told = gunzipSync(data('captures/pfsync-freebsd91.states.txt.gz')).toString().split('\n');
  const want = told.filter((text) => kinds.test(text)).map((text) => text.trim());
  const got = captured('pfsync-freebsd91').flatMap(({ frame }) =>
    frame.messages.flatMap(({ kind, items }) =>
      ['INS', 'UPD', 'UPD_C'].includes(kind) ? items.map((item) => line(kind, item)) : [],
    ),
  );
  assert.is(want.length, 10 + 28 + 95);
  assert.equal(got, want);
});

test.run();
