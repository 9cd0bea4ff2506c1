/**
 * Decoders of what the kernel says, and the WebAssembly module's inputs: conntrack messages, the peer's records,
 * repairs.
 */

import { bench } from '../../../scripts/reference/bench-exports.ts';
import { errorMessage, kernelMessage } from '../../../scripts/reference/ctmsg.ts';
import { makeEngine, wasm } from '../../../scripts/reference/harness.ts';
import { randomSource, randomState, type State } from '../../../scripts/reference/state.ts';
import { encodeDelete, encodeUpdate } from '../../../scripts/reference/wirecodec.ts';
import { applyNotifications, LinkTable } from '../../../src/kernel/links.ts';
import { MessageBuilder, parseAck, parseMessages } from '../../../src/kernel/netlink.ts';
import { addressMessage, macvlanMessage, parseAddress, parseLink } from '../../../src/kernel/rtnetlink.ts';
import { CodedSymbols } from '../../../src/sync/repair/coded-symbols.ts';
import type { Engine } from '../../../src/sync/table/engine.ts';
import { must, type Target } from './target.ts';

const MAC = Buffer.from('00005e000101', 'hex');

/** As the kernel says it: a new link and a new address, whole and in one piece. */
function linkMessages(): Buffer[] {
  const link = Buffer.from(macvlanMessage({ name: 'carp1-wan', parent: 3, mac: MAC, alias: 'carpio fw-a' }).finish(1));
  const add = Buffer.from(addressMessage(20, 4, Buffer.from([203, 0, 113, 1]), 24).finish(2));
  const info = Buffer.alloc(16);
  info.writeInt32LE(4, 4);
  const whole = new MessageBuilder(16, 0, info).string(3, 'eth0').u32(4, 1500).u8(16, 6).u8(33, 1).attr(1, MAC);
  return [link, add, Buffer.from(whole.finish(3)), Buffer.concat([link, add])];
}

let table = new LinkTable();
let tableUses = 0;

const rtnetlink: Target = {
  name: 'rtnetlink',
  what: 'netlink framing, links, addresses, acknowledgements',
  corpus: [...linkMessages(), errorMessage(7, 17)],
  most: 1024,
  run(input) {
    // Bytes of the table's own, as a receive buffer is: what is kept must not be a view of what comes next.
    if (++tableUses % 256 === 0) table = new LinkTable();
    applyNotifications(table, input);
    const { messages } = parseMessages(input);
    for (const message of messages) {
      must(message.payload.length <= input.length, 'a message longer than what came');
      parseLink(message);
      parseAddress(message);
      parseAck(message);
    }
  },
  check: () => void table.list(),
};

const random = randomSource(4711);
const states = Array.from({ length: 60 }, () => randomState(random, 100));
const concat = (make: (state: State, i: number) => Buffer): Buffer[] =>
  states.map((state, i) => (i % 4 === 3 ? Buffer.concat([make(state, i), make(states[i - 1]!, i)]) : make(state, i)));

/** A small table, full soon: the ways out of memory are walked too. */
function tableOf(): Engine {
  return makeEngine({ maxStates: 3000, syncWhen: 'all', ignore: ['10.2.0.0/20'] });
}

/** An input of the module: bytes are put where the host puts them, and what the module queued is taken away. */
function engineTarget(
  name: string,
  what: string,
  corpus: Buffer[],
  give: (engine: Engine, input: Buffer) => void,
): Target {
  let engine: Engine | null = null;
  let n = 0;
  let memory = 0;
  return {
    name,
    what,
    corpus,
    most: 2000,
    run(input) {
      engine ??= tableOf();
      give(engine, input);
      if (++n % 64 !== 0) return;
      while (engine.kernelPending() > 0 && engine.fillKernel() > 0);
      for (let i = 0; i < 20 && engine.takeUpdates(1300) !== null; i++);
      memory ||= engine.memory.buffer.byteLength;
      if (n % 4096 === 0) walk(engine, n);
    },
    check() {
      if (engine === null) return;
      must(bench(engine).selfCheck() === 0, `the table is damaged (${bench(engine).selfCheck()})`);
      must(engine.memory.buffer.byteLength <= memory + (16 << 20), 'the module has taken more and more memory');
    },
  };
}

/** What a host does in between. */
function walk(engine: Engine, n: number): void {
  const steps = [
    () => engine.adoptPeer(),
    () => engine.yieldOwn(),
    () => engine.adoptUnclaimed(),
    () => engine.dumpBegin(n % 3 === 0),
    () => engine.dumpEnd(4000),
    () => engine.peerBulkBegin(),
    () => engine.peerBulkEnd(4000),
    () => engine.unclaimedDrop(4000),
    () => engine.sweepBegin(),
    () => engine.sweep(4000),
  ];
  steps[(n / 4096) % steps.length]?.();
}

const netlinkInto = (engine: Engine, input: Buffer): number => {
  const { offset } = engine.areas.netlink;
  engine.view().set(input, offset);
  return offset;
};

const events = concat((state, i) =>
  kernelMessage(state, { message: i % 3 === 0 ? 2 : 0, flags: i % 32, withoutInfo: i % 7 === 0 }),
);
const records = concat((state, i) =>
  i % 3 === 0 ? encodeDelete(state, i % 2 === 0) : encodeUpdate(state, i % 5 === 0),
);

const ctEvents = engineTarget('ct-events', 'conntrack events, into the module', events, (engine, input) => {
  engine.takeEvents(netlinkInto(engine, input), input.length);
});
const ctDump = engineTarget('ct-dump', 'lines of a conntrack dump, into the module', events, (engine, input) => {
  engine.takeDump(netlinkInto(engine, input), input.length);
});
const ctReply = engineTarget(
  'ct-reply',
  "the kernel's answers to changes, into the module",
  [0, 2, 12, 16, 17, 22, 95].map((errno, i) => errorMessage(i, errno)),
  (engine, input) => {
    engine.takeReply(netlinkInto(engine, input), input.length);
  },
);
const peerRecords = engineTarget('records', "the peer's records, into the module", records, (engine, input) => {
  engine.applyUpdates(input, (input[0] ?? 0) % 2 === 0);
});

// --- the coded symbols of a repair
// ----------------------------------------------------------------------------------------

const module = new WebAssembly.Module(wasm);
const KEY = Buffer.alloc(16, 9);
const ids = (from: number, n: number): Buffer => {
  const out = Buffer.alloc(n * 8);
  for (let i = 0; i < n; i++)
    out.writeBigUInt64LE((BigInt(from + i) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn, i * 8);
  return out;
};

function symbolsOf(from: number, n: number, symbols: number): Buffer {
  const coded = new CodedSymbols(module, KEY, n);
  coded.add(ids(from, n));
  coded.seal();
  coded.pass(symbols);
  while (coded.step());
  return coded.read(0, symbols);
}

/** What the search answers (asm/repair/iblt.ts). */
const MORE = 1;
const ROUNDS = 200;
const SLICE = 200_000;

interface Seeker {
  memory: { readonly buffer: ArrayBuffer };
  OUT: { value: number };
  ibInit(key: number, expected: number): number;
  ibAdd(at: number, n: number): number;
  ibSeal(): void;
  ibTake(at: number, n: number): number;
  ibPass(to: number): number;
  ibSolve(most: number): number;
  ibFound(): number;
  ibFoundRead(from: number, n: number, at: number): void;
}

// One instance for all inputs: making one costs far more than a search does.
let seeker: Seeker | null = null;
const own = ids(1, 50);

const iblt: Target = {
  name: 'iblt',
  what: 'coded symbols of a repair, into the module',
  corpus: [symbolsOf(1, 50, 40), symbolsOf(3, 60, 60), symbolsOf(40, 50, 80), Buffer.alloc(320)],
  most: 1600,
  run(input) {
    const n = Math.floor(input.length / 16);
    if (n === 0) return;
    seeker ??= new WebAssembly.Instance(module).exports as unknown as Seeker;
    const at = seeker.OUT.value >>> 0;
    const memory = new Uint8Array(seeker.memory.buffer);
    memory.set(KEY, at);
    seeker.ibInit(at, 64);
    memory.set(own, at);
    must(seeker.ibAdd(at, own.length / 8) === 1, 'no room for 50 ids');
    seeker.ibSeal();
    memory.set(input.subarray(0, n * 16), at);
    must(seeker.ibTake(at, n) === 1 && seeker.ibPass(n) === 1, 'no room for 100 symbols');
    let left = ROUNDS;
    while (seeker.ibSolve(SLICE) === MORE && left > 0) left -= 1;
    must(left > 0, 'the search does not end');
    const found = seeker.ibFound();
    must(found <= n, 'more ids than cells could hold');
    seeker.ibFoundRead(0, found, at);
  },
  check() {
    must((seeker?.memory.buffer.byteLength ?? 0) <= 4 << 20, 'the symbols have taken more and more memory');
  },
};

export const KERNEL: readonly Target[] = [rtnetlink, ctEvents, ctDump, ctReply, peerRecords, iblt];
