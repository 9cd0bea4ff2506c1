/**
 * The simulator's model of the kernel's connection table (scripts/sim/cluster/conntrack.ts) beside the real one: the
 * same messages in the same order for both, and after each of them the same refusal, the same events and the same
 * table.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Attributes, Taken } from '../../scripts/reference/ctmsg.ts';
import { attribute, attributes, netlink, takeMessages } from '../../scripts/reference/ctmsg.ts';
import { Conntrack, timeoutOf } from '../../scripts/sim/cluster/conntrack.ts';
import { openConntrack, requestDump } from '../../src/kernel/conntrack.ts';
import { libc, Sock } from '../../src/kernel/libc.ts';
import { insideNamespace } from './kernel-lab.ts';

const { attr, nest, u8, u16, u32 } = attributes;
const NEW = 0x100;
const DELETE = 0x102;
const REQUEST = 1;
const CREATE = 0x400 | 0x200 | REQUEST;
const CONFIRMED = 8;
const ANSWERED = CONFIRMED | 2;
const ASSURED = ANSWERED | 4;
/** Seconds: timeouts are read at different moments. */
const NEAR = 2;

const model = suite('lab: the model of the kernel');

interface Of {
  n: number;
  proto?: number;
  status?: number;
  timeout?: number | null;
  mark?: number;
  l4?: number;
  liberal?: boolean;
  /** Port after source NAT to 203.0.113.1. */
  nat?: number;
}

const ip = (text: string): Buffer => Buffer.from(text.split('.').map(Number));
const client = (n: number): string => `10.0.1.${n}`;
const SERVER = '198.51.100.80';

function tuple(
  type: number,
  { n, proto = 6 }: Of,
  way: 'there' | 'back',
  to?: { address: string; port: number },
): Buffer {
  const [src, dst, sport, dport] =
    way === 'there'
      ? [client(n), SERVER, 1000 + n, 443]
      : [SERVER, to?.address ?? client(n), 443, to?.port ?? 1000 + n];
  const l4 =
    proto === 1 ? [u16(4, 1000 + n), u8(5, way === 'there' ? 8 : 0), u8(6, 0)] : [u16(2, sport), u16(3, dport)];
  return nest(type, nest(1, attr(1, ip(src)), attr(2, ip(dst))), nest(2, u8(1, proto), ...l4));
}

function content({ proto = 6, status, timeout, mark, l4, liberal = false, nat }: Of): Buffer[] {
  const parts: Buffer[] = [];
  if (status !== undefined) parts.push(u32(3, status));
  if (timeout !== null && timeout !== undefined) parts.push(u32(7, timeout));
  if (proto === 6 && l4 !== undefined) {
    const flags = liberal ? 8 : 0;
    parts.push(nest(4, nest(1, u8(1, l4), attr(4, Uint8Array.of(flags, flags)), attr(5, Uint8Array.of(flags, flags)))));
  }
  if (mark !== undefined) parts.push(u32(8, mark));
  if (nat !== undefined) {
    parts.push(nest(6, attr(1, ip('203.0.113.1')), attr(2, ip('203.0.113.1')), nest(3, u16(1, nat), u16(2, nat))));
  }
  return parts;
}

let sequence = 0;

function message(type: number, flags: number, parts: Buffer[]): Buffer {
  sequence += 1;
  return netlink(type, { flags, seq: sequence }, [Buffer.from([2, 0, 0, 0]), ...parts]);
}

const create = (of: Of): Buffer =>
  message(NEW, CREATE, [
    tuple(1, of, 'there'),
    tuple(2, of, 'back'),
    ...content({ status: ASSURED, timeout: 600, l4: 3, liberal: true, ...of }),
  ]);
const update = (of: Of): Buffer => message(NEW, REQUEST, [tuple(1, of, 'there'), ...content(of)]);
const remove = (of: Of): Buffer => message(DELETE, REQUEST, [tuple(1, of, 'there')]);
const removeByReply = (of: Of): Buffer =>
  message(DELETE, REQUEST, [tuple(2, of, 'back', { address: '203.0.113.1', port: of.nat ?? 0 })]);

/** What is done, in this order; `wait` lets seconds pass. */
const SCRIPT: { what: string; bytes?: () => Buffer; wait?: number }[] = [
  { what: 'create a TCP entry', bytes: () => create({ n: 1 }) },
  { what: 'create it again: it exists', bytes: () => create({ n: 1 }) },
  { what: 'create one with source NAT', bytes: () => create({ n: 2, nat: 40002 }) },
  { what: 'create another with the same mapping', bytes: () => create({ n: 3, nat: 40002 }) },
  { what: 'create UDP, not assured', bytes: () => create({ n: 4, proto: 17, status: ANSWERED, timeout: 30 }) },
  { what: 'create ICMP', bytes: () => create({ n: 5, proto: 1, status: ANSWERED, timeout: 30 }) },
  { what: 'create with a mark', bytes: () => create({ n: 6, mark: 0x2a }) },
  { what: 'create without a timeout', bytes: () => create({ n: 7, timeout: null }) },
  { what: 'create without CONFIRMED', bytes: () => create({ n: 8, status: 0 }) },
  { what: 'update what is not there', bytes: () => update({ n: 9, timeout: 100 }) },
  { what: 'update a timeout', bytes: () => update({ n: 1, timeout: 1000 }) },
  { what: 'update a protocol state', bytes: () => update({ n: 1, timeout: 120, l4: 7, liberal: true }) },
  { what: 'update a mark', bytes: () => update({ n: 6, mark: 0x2b }) },
  { what: 'add a status bit', bytes: () => update({ n: 4, proto: 17, status: ASSURED }) },
  { what: 'take a status bit away', bytes: () => update({ n: 1, status: CONFIRMED }) },
  { what: 'update with NAT', bytes: () => update({ n: 1, nat: 40001 }) },
  { what: 'delete what is not there', bytes: () => remove({ n: 9 }) },
  { what: 'delete', bytes: () => remove({ n: 1 }) },
  { what: 'delete by the translated reply tuple', bytes: () => removeByReply({ n: 2, nat: 40002 }) },
  { what: 'the mapping is free again', bytes: () => create({ n: 3, nat: 40002 }) },
  { what: 'create for one second', bytes: () => create({ n: 10, timeout: 1 }) },
  { what: 'its time is over', wait: 2.5 },
  { what: 'update what has timed out', bytes: () => update({ n: 10, timeout: 100 }) },
];

type Line = Record<string, string | number>;

const hex = (bytes: Uint8Array | undefined): string => (bytes === undefined ? '' : Buffer.from(bytes).toString('hex'));

function tupleLine(from: Attributes, which: number): string {
  const at = (...path: number[]): string => hex(attribute(from, which, ...path));
  return [at(1, 1), at(1, 2), at(2, 1), at(2, 2), at(2, 3), at(2, 4)].join(' ');
}

/** What both must agree on. */
function lineOf({ type, attributes: from }: Taken): Line {
  const seconds = hex(attribute(from, 7));
  return {
    type: type & 0xff,
    orig: tupleLine(from, 1),
    reply: tupleLine(from, 2),
    status: Number.parseInt(hex(attribute(from, 3)) || '0', 16) & (ASSURED | CONFIRMED),
    mark: Number.parseInt(hex(attribute(from, 8)) || '0', 16),
    l4: hex(attribute(from, 4, 1, 1)),
    liberal: (Number.parseInt(hex(attribute(from, 4, 1, 4)).slice(0, 2) || '0', 16) & 8) >> 3,
    timeout: seconds === '' ? -1 : Number.parseInt(seconds, 16),
  };
}

const sorted = (lines: Line[]): Line[] => lines.sort((a, b) => String(a.orig).localeCompare(String(b.orig)));

function refusalOf(pieces: readonly Buffer[]): number {
  for (const piece of pieces) if (piece.readUInt16LE(4) === 2) return -piece.readInt32LE(16);
  return 0;
}

class RealKernel {
  readonly sockets = openConntrack(1 << 20, () => null);
  private readonly buffer = Buffer.alloc(1 << 17);

  read(fd: number): Buffer[] {
    const pieces: Buffer[] = [];
    for (;;) {
      const length = Number(libc().recv(fd, this.buffer, this.buffer.length, Sock.MSG_DONTWAIT));
      if (length <= 0) return pieces;
      pieces.push(Buffer.from(this.buffer.subarray(0, length)));
    }
  }

  change(bytes: Buffer): number {
    libc().send(this.sockets.control, bytes, bytes.length, 0);
    return refusalOf(this.read(this.sockets.control));
  }

  table(): Line[] {
    requestDump(this.sockets.dump, 1);
    const pieces: Buffer[] = [];
    for (let i = 0; i < 1000 && !pieces.some((piece) => piece.readUInt16LE(4) === 3); i++) {
      pieces.push(...this.read(this.sockets.dump).flatMap(split));
    }
    return sorted(
      pieces
        .filter((piece) => piece.readUInt16LE(4) > 16)
        .flatMap(takeMessages)
        .map(lineOf),
    );
  }

  events(): Line[] {
    return this.read(this.sockets.events).flatMap(split).flatMap(takeMessages).map(lineOf);
  }
}

function split(bytes: Buffer): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    out.push(bytes.subarray(at, at + length));
    at += (length + 3) & ~3;
  }
  return out;
}

class Model {
  private readonly begun = performance.now();
  private told: Buffer[] = [];
  private readonly kernel = new Conntrack({
    most: 1000,
    event: (bytes) => this.told.push(bytes),
    evicted: () => {},
  });

  /** The real kernel's time passes too. */
  get nowUs(): number {
    return Math.round((performance.now() - this.begun) * 1000);
  }

  change(bytes: Buffer): number {
    return refusalOf(this.kernel.change(bytes, 1, this.nowUs));
  }

  table(): Line[] {
    const lines = this.kernel.dump(1, this.nowUs).flatMap(split);
    return sorted(
      lines
        .filter((piece) => piece.readUInt16LE(4) > 16)
        .flatMap(takeMessages)
        .map(lineOf),
    );
  }

  events(): Line[] {
    this.kernel.collect(this.nowUs);
    return this.told.splice(0).flatMap(takeMessages).map(lineOf);
  }
}

/** Timeouts may be a little apart; everything else is equal. */
function same(real: readonly Line[], modelled: readonly Line[], what: string): void {
  const bare = (lines: readonly Line[]): Line[] => lines.map((line) => ({ ...line, timeout: 0 }));
  assert.equal(bare(modelled), bare(real), what);
  real.forEach((line, i) => {
    const apart = Math.abs(Number(line.timeout) - Number(modelled[i]?.timeout));
    assert.ok(apart <= NEAR, `${what}: timeouts ${line.timeout} and ${modelled[i]?.timeout} of ${line.orig}`);
  });
}

model('the same messages: the same refusals, events and tables', async () => {
  const real = new RealKernel();
  const modelled = new Model();
  try {
    for (const { what, bytes, wait } of SCRIPT) {
      if (wait !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, wait * 1000));
      }
      if (bytes !== undefined) {
        const message = bytes();
        assert.is(modelled.change(message), real.change(message), `${what}: the refusal`);
      }
      const table = real.table();
      same(table, modelled.table(), `${what}: the table`);
      const key = (line: Line): string => `${line.type} ${line.orig}`;
      const [theirs, ours] = [real.events(), modelled.events()];
      // The kernel collects what has timed out in its own time; that it is gone is what the table has shown.
      if (wait === undefined) assert.equal(ours.map(key), theirs.map(key), `${what}: the events`);
    }
  } finally {
    real.sockets.close();
  }
});

model('a table that is compared with a changed model does not fit (negative control)', () => {
  const real = new RealKernel();
  const modelled = new Model();
  try {
    const bytes = create({ n: 50, nat: 40050 });
    real.change(bytes);
    modelled.change(create({ n: 50, nat: 40051 }));
    const here = real.table().filter((line) => String(line.orig).startsWith('0a000132'));
    let found = false;
    try {
      same(here, modelled.table(), 'another mapping');
    } catch {
      found = true;
    }
    assert.ok(found);
  } finally {
    real.sockets.close();
  }
});

model('the timeouts that traffic gives are the kernel defaults', () => {
  const base = { family: 2 as const, zone: 0, mark: 0, vtags: null, timeout: 0 };
  const tuples = { src: ip('10.0.0.1'), dst: ip(SERVER), sport: 1, dport: 2 };
  const state = {
    ...base,
    orig: tuples,
    reply: tuples,
    wscale: [0, 0] as [number, number],
    flags: [0, 0] as [number, number],
  };
  assert.is(timeoutOf({ ...state, proto: 6, l4: 3, status: ASSURED }), 432000);
  assert.is(timeoutOf({ ...state, proto: 17, l4: 0, status: ANSWERED }), 30);
  assert.is(timeoutOf({ ...state, proto: 17, l4: 0, status: ASSURED }), 120);
});

if (insideNamespace()) model.run();
