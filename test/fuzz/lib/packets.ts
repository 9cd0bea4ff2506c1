/** Decoders of what comes from a network: CARP and its neighbours, the sync link, probes, ARP, the peer channel. */
import { createHash } from 'node:crypto';
import { newOwnPackets } from '../../../src/carp/counter.ts';
import { buildIpv4, buildIpv6, parseIp } from '../../../src/carp/ip.ts';
import { encodeAdvert, hmacAddresses } from '../../../src/carp/packet.ts';
import { receiveAdvert, receivePacket } from '../../../src/carp/receive.ts';
import { decodeMessage, encodeMessage } from '../../../src/channel/message.ts';
import { readReport } from '../../../src/liveness/peer-report.ts';
import { ANSWER, decodeProbe, encodeProbe, PROBE, probeKey } from '../../../src/liveness/probe/packet.ts';
import { readClaim } from '../../../src/net/arp.ts';
import { internetChecksum } from '../../../src/net/checksum.ts';
import { arpRequest } from '../../../src/net/frame.ts';
import { unpackLines } from '../../../src/sync/table/audit-lines.ts';
import * as wire from '../../../src/sync/wire/datagram.ts';
import { decodeRepair, encodeRepair, type RepairMessage } from '../../../src/sync/wire/repair.ts';
import { ReportAssembler } from '../../../src/sync/wire/report-parts.ts';
import { must, type Target } from './target.ts';

const bytes = (seed: string, n: number): Buffer =>
  Buffer.concat(
    Array.from({ length: Math.ceil(n / 32) }, (_none, i) => createHash('sha256').update(`${seed} ${i}`).digest()),
  ).subarray(0, n);
const text = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const words = (...list: string[]): Buffer[] => list.map((word) => Buffer.from(word));

// --- CARP, VRRP and plain IP
// --------------------------------------------------------------------------------------------

const KEY = Buffer.alloc(20, 7);
const ADDRESSES = hmacAddresses(['203.0.113.1/24', 'fd77::1/64', 'fe80::1/64']);
const secrets = { key20: KEY, addresses: ADDRESSES, sent: newOwnPackets() };

function advert(fields: { vhid?: number; advskew?: number; demote?: number } = {}): Buffer {
  const all = { vhid: 1, advbase: 1, advskew: 0, demote: 0, counter: 77n, ...fields };
  return encodeAdvert(all, KEY, ADDRESSES);
}

/** keepalived's VRRPv2 and v3, with one and with five addresses: five make version 2 as long as CARP. */
function vrrp(version: 2 | 3, addresses: number): Buffer {
  const head = Buffer.from([(version << 4) | 1, 51, 100, addresses, 0, 1, 0, 0]);
  const packet = Buffer.concat([head, bytes('vrrp', 4 * addresses), Buffer.alloc(version === 2 ? 8 : 0)]);
  packet.writeUInt16BE(internetChecksum(packet), 6);
  return packet;
}

const payloads = [
  advert(),
  advert({ vhid: 9, advskew: 254, demote: 255 }),
  vrrp(2, 1),
  vrrp(2, 5),
  vrrp(3, 1),
  vrrp(3, 7),
];

const carp: Target = {
  name: 'carp',
  what: 'protocol 112 over IPv4 and IPv6: CARP, and VRRP that must be told apart',
  corpus: payloads.flatMap((payload) => [
    buildIpv4('203.0.113.3', '224.0.0.18', 1, payload),
    buildIpv6('fe80::3', 'ff02::12', payload),
    payload,
  ]),
  most: 512,
  run(input) {
    const lookup = (vhid: number) => (vhid === 1 ? secrets : undefined);
    const received = receivePacket(input, lookup);
    if (received.ok) must(received.advert.vhid === 1, 'an advertisement for a vhid that is not there');
    // As a raw IPv6 socket gives it: no header. Every fourth input gets a checksum that is right, to come further.
    const payload = Buffer.from(input);
    if (payload.length >= 36 && (payload[9]! & 3) === 0) {
      payload.writeUInt16BE(0, 6);
      payload.writeUInt16BE(internetChecksum(payload.subarray(0, 36)), 6);
    }
    const bare = { family: 6 as const, src: 'fe80::3', dst: null, hopLimit: null, payload, truncated: false };
    const heard = receiveAdvert(bare, lookup);
    if (heard.ok) {
      const { vhid, advbase, advskew, demote, counter } = heard.advert;
      const fields = { vhid, advbase, advskew, demote, counter };
      const again = [true, false].map((link) => encodeAdvert(fields, KEY, ADDRESSES, link));
      // The type (low half of byte 0) and authlen (byte 3) are looked at by no implementation, and covered by the
      // checksum only.
      const same = (one: Buffer): boolean =>
        one[0]! >> 4 === payload[0]! >> 4 &&
        one.subarray(1, 3).equals(payload.subarray(1, 3)) &&
        one.subarray(4, 6).equals(payload.subarray(4, 6)) &&
        one.subarray(8).equals(payload.subarray(8, 36));
      must(again.some(same), 'accepted, but it does not encode to itself');
    }
  },
};

const ip: Target = {
  name: 'ip',
  what: 'IPv4 and IPv6 headers',
  corpus: [
    buildIpv4('10.0.0.1', '224.0.0.18', 1, advert()),
    buildIpv6('fe80::1', 'ff02::12', advert()),
    Buffer.alloc(20),
  ],
  most: 256,
  run(input) {
    const datagram = parseIp(input);
    if (datagram !== null) must(datagram.payload.length <= input.length, 'a payload longer than the packet');
  },
};

// --- the sync link
// ------------------------------------------------------------------------------------------------------

const repairs: RepairMessage[] = [
  { type: 'ask', id: 7, count: 1000, buckets: Uint32Array.from({ length: 256 }, (_none, i) => i * 77) },
  { type: 'begin', id: 7, total: 1000, symbols: 24, applied: 12, mask: bytes('mask', 32) },
  { type: 'symbols', id: 7, first: 24, symbols: bytes('symbols', 160) },
  { type: 'more', id: 7, symbols: 100 },
  { type: 'want', id: 7, last: true, ids: bytes('ids', 80) },
  { type: 'refuse', id: 7, reason: 2 },
  { type: 'end', id: 7 },
];
const REPORT = text({
  master: true,
  role: 'master',
  version: '0.1.0',
  vhids: { 'wan/1': { state: 'MASTER', advbase: 1, advskew: 0, address: '203.0.113.2' } },
  demotion: 0,
  goingDown: false,
  linkDown: [],
  inStep: true,
  own: { wan: ['203.0.113.2', 'fe80::2'] },
  lists: { 'wan/1': ['203.0.113.1/24'] },
  open: ['lan/1'],
});

function body(...messages: Buffer[]): Buffer {
  const fixed = Buffer.alloc(wire.FAST_FIXED);
  wire.writeFastFixed(fixed, 0, { ack: 5, seq: 6, gap: true, adoptSeen: 1 });
  return Buffer.concat([fixed, ...messages]);
}

const digest = { count: 200n, sum: bytes('sum', 16), adoptId: 3, applied: 9, unclaimed: 1 };
const syncBodies = [
  body(wire.encodeDigest(digest), wire.encodeVerdict({ seq: 3, equal: true, missing: 0 }), wire.encodeAdopt(4)),
  ...repairs.map((repair) => body(encodeRepair(repair))),
  body(wire.message(wire.MSG.REPORT, REPORT)),
  body(
    wire.message(wire.MSG.REPORT_PART, Buffer.from([1, 0, 2, 65])),
    wire.message(wire.MSG.REPORT_PART, Buffer.from([1, 1, 2, 66])),
  ),
  body(wire.message(wire.MSG.VERIFIED, Buffer.from('\0\0\0\u0001tcp 10.0.0.1\n'))),
];

const assembler = new ReportAssembler();

/** Decoded and encoded again it must be what it was, as far as it was looked at. */
function decodeContent(type: number, content: Buffer): void {
  const found = wire.decodeDigest(content);
  if (found !== null) must(wire.encodeDigest(found).subarray(3).equals(content.subarray(0, 34)), 'digest');
  const verdict = wire.decodeVerdict(content);
  if (verdict !== null) wire.encodeVerdict(verdict);
  wire.decodeAdopt(content);
  if (type >= wire.MSG.REPAIR_ASK && type <= wire.MSG.REPAIR_END) {
    const repair = decodeRepair(type, content);
    if (repair !== null) {
      const again = encodeRepair(repair);
      must(again.readUInt8(0) === type, 'a repair message of another type');
      const second = decodeRepair(type, again.subarray(wire.MESSAGE_HEADER));
      must(second !== null && encodeRepair(second).equals(again), 'a repair message that does not encode to itself');
    }
  }
  if (type === wire.MSG.REPORT_PART) {
    const whole = assembler.take(content);
    if (whole !== null) must(whole.length <= 255 * 65_535, 'a report without bound');
  }
  if (type === wire.MSG.VERIFIED && content.length >= 4) unpackLines(content.subarray(4));
}

const sync: Target = {
  name: 'sync',
  what: 'the sync link behind the seal: fixed part, message list, every message type',
  corpus: syncBodies,
  most: 1500,
  run(input) {
    const fixed = wire.readFastFixed(input);
    const messages = fixed === null ? null : wire.readMessages(input);
    if (messages === null) return;
    for (const { type, offset, length } of messages) {
      must(offset + length <= input.length, 'a message that leads out of the datagram');
      decodeContent(type, input.subarray(offset, offset + length));
    }
  },
};

const head = Buffer.alloc(60);
wire.writeHeader(head, { kind: wire.KIND_FAST, mark: 0x1234, counter: 99n });
const syncHeader: Target = {
  name: 'sync-header',
  what: 'the clear header of the sync link',
  corpus: [head, bytes('hello', 80)],
  most: 128,
  run(input) {
    const header = wire.readHeader(input);
    if (typeof header === 'string') return;
    const again = Buffer.alloc(wire.HEADER_SIZE);
    wire.writeHeader(again, header);
    must(again.equals(input.subarray(0, wire.HEADER_SIZE)), 'a header that does not encode to itself');
  },
};

const JSON_WORDS = words(
  'null',
  '{}',
  '[]',
  '""',
  '1e999',
  '-0',
  '"\\u0000"',
  '"__proto__":',
  '"toString":1,',
  '"valueOf":1,',
  '{"toString":1,"valueOf":1}',
  '[[[[',
  ',',
  ':',
);

const report: Target = {
  name: 'report',
  what: "the peer's report over the sync link",
  corpus: [REPORT],
  words: JSON_WORDS,
  most: 2048,
  run: (input) => void readReport(input.toString('utf8')),
};

const peer: Target = {
  name: 'peer',
  what: 'messages of the peer channel',
  corpus: [
    text({ t: 'hello', v: 1, node: 'fw-a', version: '0.1.0', boot: '0123456789abcdef' }),
    text({ v: 1, t: 'call', id: 1, name: 'replicate.plan', ms: 5000, body: { a: [1, 'two', null, true] } }),
    text({ v: 1, t: 'answer', id: 1, ok: true, body: 'x' }),
    text({ v: 1, t: 'answer', id: 2, ok: false, error: 'no' }),
    text({ v: 1, t: { toString: 1, valueOf: 1 } }),
  ],
  words: JSON_WORDS,
  most: 1024,
  run(input) {
    const decoded = decodeMessage(input.toString('utf8'));
    if (!decoded.ok)
      return must(decoded.why.length < 400 && !decoded.why.includes('\n'), 'a refusal of more than a line');
    const again = decodeMessage(encodeMessage(decoded.message) ?? '');
    must(again.ok, 'what was decoded does not encode to itself');
  },
};

const PROBE_KEY = probeKey(Buffer.alloc(32, 3));
const probes = [PROBE, ANSWER].map((kind) =>
  encodeProbe(PROBE_KEY, 'wan', { kind: kind as typeof PROBE, sender: bytes('sender', 8), nonce: bytes('nonce', 16) }),
);
const probe: Target = {
  name: 'probe',
  what: 'probes of early take-over, and ARP frames',
  corpus: [...probes, arpRequest(bytes('mac', 6), Buffer.from([10, 0, 0, 1]), null, Buffer.from([10, 0, 0, 2]))],
  most: 128,
  run(input) {
    const packet = decodeProbe(PROBE_KEY, 'wan', input);
    if (typeof packet !== 'string') {
      // Bytes 12 to 15 are reserved; everything else is what it was.
      must(
        probes.some((one) => one.equals(input)),
        'a probe that nobody made is taken',
      );
    }
    const claim = readClaim(input);
    if (claim !== null) must(claim.mac.length === 6 && claim.address.length === 4, 'a claim of another size');
  },
};

export const PACKETS: readonly Target[] = [carp, ip, sync, syncHeader, report, peer, probe];
