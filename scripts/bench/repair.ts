/**
 * Repair by difference between two nodes in one process: the product's session machine, driver and WebAssembly table on
 * a link without loss, in virtual time. Of `d` states a third is missing on the mirror, a third is too many there, a
 * third is changed. For each cause: bytes of all datagrams both ways until both nodes are in step again (Ethernet and
 * IP headers and heartbeats included), symbols for each difference, CPU time of both nodes together, and the longest
 * slice of repair work (the node's loop does nothing else meanwhile).
 *
 * Usage: node scripts/bench/repair.ts [--json] [--quick] [--states N]
 */

import { CodedSymbols } from '../../src/sync/repair/coded-symbols.ts';
import { Repairer } from '../../src/sync/repair/runner.ts';
import { damage, feed, flowOf, lastRepair, recordOf, settles } from '../sim/worlds/repair-world.ts';
import type { Node } from '../sim/worlds/sync-world.ts';
import { SyncWorld } from '../sim/worlds/sync-world.ts';
import { option, quick, report } from './lib/output.ts';

/** Ethernet header, check sum, preamble and gap are not counted: 14 + 20 bytes of headers a datagram. */
const FRAME = 34;

interface Figure {
  cause: string;
  states: number;
  d: number;
  differences: number;
  bytes: number;
  symbolsPerDifference: number;
  virtualMs: number;
  cpuMs: number;
  longestMs: number;
}

let symbols = 0;
const { read } = CodedSymbols.prototype;
CodedSymbols.prototype.read = function (from, n) {
  symbols = Math.max(symbols, from + n);
  return read.call(this, from, n);
};

let datagrams = 0;
let longest = 0;

const { work } = Repairer.prototype;
Repairer.prototype.work = function () {
  const before = process.hrtime.bigint();
  work.call(this);
  longest = Math.max(longest, Number(process.hrtime.bigint() - before) / 1e6);
};

function count(node: Node): void {
  const receive = node.driver.receive.bind(node.driver);
  node.driver.receive = (datagram, now) => {
    datagrams += 1;
    receive(datagram, now);
  };
}

function steady(states: number): SyncWorld {
  const world = new SyncWorld(1);
  world.role(0, true);
  world.role(1, false);
  world.run(20);
  feed(
    world,
    0,
    Array.from({ length: states }, (_, n) => flowOf(n)),
  );
  if (!settles(world)) throw new Error('the pair does not get in step');
  world.nodes.forEach(count);
  return world;
}

function makeDifferent(mirror: Node, states: number, d: number): void {
  const records: Buffer[] = [];
  for (let i = 0; i < d; i++) {
    const n = (i * 7919 + d) % states;
    if (i % 3 === 0) records.push(recordOf(flowOf(n), true));
    else if (i % 3 === 1) records.push(recordOf(flowOf(states + d + i)));
    else records.push(recordOf(flowOf(n, 7)));
  }
  damage(mirror, records);
}

function measured(world: SyncWorld, cause: string, states: number, d: number, begin: () => void): Figure {
  begin();
  symbols = 0;
  datagrams = 0;
  longest = 0;
  const [bytes, cpu] = [world.bytes, process.cpuUsage()];
  if (!settles(world) || !world.equal()) throw new Error(`${cause}, d ${d}: not in step`);
  const used = process.cpuUsage(cpu);
  const mirror = world.nodes[1];
  const { differences, ms } = (d > 0 ? lastRepair(mirror) : null) ?? { differences: 0, ms: 0 };
  return {
    cause,
    states,
    d,
    differences,
    bytes: world.bytes - bytes + datagrams * FRAME,
    symbolsPerDifference: differences === 0 ? 0 : symbols / differences,
    virtualMs: ms,
    cpuMs: (used.user + used.system) / 1000,
    longestMs: longest,
  };
}

const states = Number(option('--states') ?? (quick ? 20_000 : 100_000));
const sizes = quick ? [100, 1000] : [1, 100, 1000, 10_000];
const world = steady(states);
// The compilers get their work done first.
makeDifferent(world.nodes[1], states, 300);
settles(world);

const figures = sizes.map((d) =>
  measured(world, 'difference', states, d, () => makeDifferent(world.nodes[1], states, d)),
);
figures.push(measured(world, 'full resend', states, 0, () => world.nodes[1].driver.resync(world.now)));

const lines = figures.map((f) =>
  [
    f.cause.padEnd(12),
    String(f.d).padStart(7),
    String(f.differences).padStart(12),
    String(f.bytes).padStart(10),
    f.symbolsPerDifference.toFixed(2).padStart(8),
    f.virtualMs.toFixed(0).padStart(8),
    f.cpuMs.toFixed(0).padStart(8),
    f.longestMs.toFixed(1).padStart(10),
  ].join(' '),
);
const head = `${states} states\ncause              d  differences      bytes  symbols    ms of   ms of CPU   longest\n                                                per diff.  link    (2 nodes) slice, ms`;
report('repair', { figures }, [head, ...lines].join('\n'));
