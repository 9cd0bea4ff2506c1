/**
 * ctnetlink messages for simulations: what a kernel would report, and a toy kernel table that takes what is injected.
 */
import { parseAttributes, parseMessages } from '../../../src/kernel/netlink.ts';

export interface Flow {
  proto: number;
  src: string;
  dst: string;
  sport: number;
  dport: number;
  /** Source after NAT; the reply comes back to it. */
  natSrc?: string;
  natSport?: number;
  status: number;
  tcpState?: number;
}

export const STATUS = { seenReply: 0x2, assured: 0x4, confirmed: 0x8 } as const;
const NEW = 0x100;
const DELETE = 0x102;
const NESTED = 0x8000;

function attribute(type: number, content: Buffer): Buffer {
  const out = Buffer.alloc((4 + content.length + 3) & ~3);
  out.writeUInt16LE(4 + content.length, 0);
  out.writeUInt16LE(type, 2);
  content.copy(out, 4);
  return out;
}

const nest = (type: number, ...parts: Buffer[]): Buffer => attribute(type | NESTED, Buffer.concat(parts));
const u8 = (value: number): Buffer => Buffer.from([value]);
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const ip = (text: string): Buffer => Buffer.from(text.split('.').map(Number));

function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

function tuple(type: number, proto: number, src: string, dst: string, sport: number, dport: number): Buffer {
  return nest(
    type,
    nest(1, attribute(1, ip(src)), attribute(2, ip(dst))),
    nest(2, attribute(1, u8(proto)), attribute(2, u16(sport)), attribute(3, u16(dport))),
  );
}

/** One event (or line of a dump) as the kernel sends it. */
export function ctMessage(flow: Flow, kind: 'new' | 'destroy', port = 0): Buffer {
  const { proto, src, dst, sport, dport } = flow;
  const parts = [
    tuple(1, proto, src, dst, sport, dport),
    tuple(2, proto, dst, flow.natSrc ?? src, dport, flow.natSport ?? sport),
    attribute(3, u32(flow.status)),
    attribute(7, u32(300)),
  ];
  if (flow.tcpState !== undefined) parts.push(nest(4, nest(1, attribute(1, u8(flow.tcpState)))));
  const body = Buffer.concat([Buffer.from([2, 0, 0, 0]), ...parts]);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(kind === 'new' ? NEW : DELETE, 4);
  header.writeUInt32LE(port, 12);
  return Buffer.concat([header, body]);
}

/** The original tuple of a message, as text: the key of the toy kernel's table. */
function keyOf(payload: Buffer): string {
  const orig = parseAttributes(payload, 4).get(1);
  return orig === undefined ? '' : orig.toString('hex');
}

/** Takes injected messages the way the kernel does, as far as simulations look: by original tuple, EXCL respected. */
export class ToyKernel {
  readonly entries = new Set<string>();
  created = 0;
  deleted = 0;

  apply(bytes: Buffer): void {
    for (const message of parseMessages(bytes).messages) {
      const key = keyOf(message.payload);
      if (message.type === DELETE) {
        this.deleted += 1;
        this.entries.delete(key);
      } else if (message.flags & 0x400) {
        this.created += 1;
        this.entries.add(key);
      }
    }
  }
}
