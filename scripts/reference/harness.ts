/** Starts the module for a test and gives it bytes as the host does. */
import { readFileSync } from 'node:fs';
import { type Engine, type EngineOptions, loadEngine } from '../../src/sync/table/engine.ts';
import { kernelMessage, type MessageOptions, type Taken, takeMessages } from './ctmsg.ts';
import { type Extra, hasPorts, isIcmp, SCTP, type State, TCP, type Tuple } from './state.ts';

const builder: { buildBenchAsm(): string } = await import(new URL('../lib/asm.mjs', import.meta.url).href);
export const wasm = readFileSync(builder.buildBenchAsm());

const INDEX_KEY = Uint8Array.from({ length: 16 }, (_, i) => i * 7 + 1);
export const FP_KEY = Uint8Array.from({ length: 16 }, (_, i) => i * 11 + 3);

export function makeEngine(options: Partial<EngineOptions> = {}): Engine {
  const engine = loadEngine(wasm, { indexKey: INDEX_KEY, maxStates: 1_000_000, ...options });
  engine.setFingerprintKey(FP_KEY);
  return engine;
}

/** Netlink bytes as if recvmmsg had put them into the first slot. */
export function feed(engine: Engine, bytes: Uint8Array, source: 'events' | 'dump' = 'events'): number {
  const { offset } = engine.areas.netlink;
  engine.view().set(bytes, offset);
  return source === 'events' ? engine.takeEvents(offset, bytes.length) : engine.takeDump(offset, bytes.length);
}

export function event(engine: Engine, state: State, options: MessageOptions = {}): void {
  feed(engine, kernelMessage(state, options));
}

export function destroy(engine: Engine, state: State, options: MessageOptions = {}): void {
  feed(engine, kernelMessage(state, { ...options, message: 2 }));
}

export function reply(engine: Engine, bytes: Uint8Array): number {
  const { offset } = engine.areas.netlink;
  engine.view().set(bytes, offset);
  return engine.takeReply(offset, bytes.length);
}

/** Everything the module wants to tell the kernel now. */
export function kernelOutput(engine: Engine): Taken[] {
  const out: Taken[] = [];
  while (engine.kernelPending() > 0) {
    const length = engine.fillKernel();
    if (length === 0) break;
    const { offset } = engine.areas.kernel;
    out.push(...takeMessages(Buffer.from(engine.view().slice(offset, offset + length))));
  }
  return out;
}

/** Everything the module wants to tell the peer now, in datagrams of at most `room` bytes. */
export function syncOutput(engine: Engine, room = 1400): Buffer[] {
  const out: Buffer[] = [];
  for (;;) {
    const records = engine.takeUpdates(room);
    if (records === null) return out;
    out.push(Buffer.from(records));
  }
}

/** Runs a sliced walk to its end. */
export function finish(step: (n: number) => number, slice = 50): void {
  while (step(slice) !== 0);
}

interface Listed extends State {
  at: number;
  owner: 'unclaimed' | 'own' | 'mirrored';
  inKernel: boolean;
  fingerprint: bigint;
}

/** The rare attributes of a record (asm/state/extra.ts), if it has any. */
function readExtra(engine: Engine, at: number): { extra?: Extra } {
  const view = new DataView(engine.memory.buffer);
  const directory = view.getUint32((at & ~0xffff) + 0xfff0, true);
  const block = directory === 0 ? 0 : view.getUint32(directory + Math.floor((at & 0xffff) / 144) * 4, true);
  if (block === 0) return {};
  const parts = view.getUint8(block);
  const extra: Extra = {};
  const bytes = (from: number, n: number): Uint8Array => engine.view().slice(from, from + n);
  if (parts & 1) extra.labels = bytes(block + 16, 16);
  if (parts & 2) {
    const name = Buffer.from(bytes(0x3200 + (view.getUint32(block + 4, true) - 1) * 16, 16));
    extra.helper = name.subarray(0, name.indexOf(0)).toString();
  }
  const seq = view.getUint32(block + 8, true);
  if (parts & 4) extra.seq = Array.from({ length: 6 }, (_, i) => view.getUint32(seq + 4 * i));
  if (parts & 8) {
    const direction = view.getUint8(block + 1) === 1 ? 1 : 2;
    extra.zone = { direction, zone: view.getUint16(block + 2, true) };
  }
  return { extra };
}

/** The record at an offset, as a state. */
function readRecord(engine: Engine, at: number): Listed {
  const bytes = engine.view().slice(at, at + 144);
  const view = new DataView(bytes.buffer);
  const family = view.getUint8(11) === 2 ? 2 : 10;
  const proto = view.getUint8(10);
  const size = family === 2 ? 4 : 16;
  const counted = hasPorts(proto) || isIcmp({ proto, family });
  const tuple = (src: number, dst: number, ports: number): Tuple => ({
    src: bytes.slice(src, src + size),
    dst: bytes.slice(dst, dst + size),
    sport: counted ? view.getUint16(ports, true) : 0,
    dport: counted ? view.getUint16(ports + 2, true) : 0,
  });
  const flags = view.getUint16(94, true);
  return {
    ...readExtra(engine, at),
    at,
    family,
    proto,
    zone: view.getUint16(8, true),
    orig: tuple(16, 32, 12),
    reply: tuple(48, 64, 80),
    status: view.getUint16(88, true),
    mark: view.getUint32(84, true),
    l4: proto === TCP || proto === SCTP ? view.getUint8(90) : 0,
    wscale: [view.getUint8(91) >> 4, view.getUint8(91) & 15],
    flags: [view.getUint8(92) >> 4, view.getUint8(92) & 15],
    vtags: (flags & 0x200) !== 0 ? [view.getUint32(120), view.getUint32(124)] : null,
    timeout: view.getUint32(132, true),
    owner: engine.ownerOf(at),
    inKernel: (flags & 0x80) !== 0,
    fingerprint: view.getBigUint64(96, true) | (view.getBigUint64(104, true) << 64n),
  };
}

export function listAll(engine: Engine): Listed[] {
  const out: Listed[] = [];
  for (let at = engine.next(0); at !== 0; at = engine.next(at)) out.push(readRecord(engine, at));
  return out;
}
