/**
 * A table that grows to N states: how long its longest stop is, and what a state costs in memory. A stop is one call
 * with 64 new states, as many as one batch of kernel events. Told as wall time, in which others on the machine have
 * their part, and as processor time of the thread.
 *
 * Usage: node scripts/bench/growth.ts [--quick] [--states N] [--json]
 */

import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { loadEngine } from '../../src/sync/table/engine.ts';
import { bench } from '../reference/bench-exports.ts';
import { percentiles } from './lib/lag.ts';
import { option, quick, report } from './lib/output.ts';
import { threadNs } from './lib/thread-clock.ts';

const RECORD = 144;
const BATCH = 64;
const KEY = Uint8Array.from({ length: 16 }, (_, i) => i * 13 + 5);
const STOP = 5;

const states = Number(option('--states') ?? (quick ? 200_000 : 1_000_000));
const builder: { buildBenchAsm(): string } = await import(new URL('../lib/asm.mjs', import.meta.url).href);
const engine = loadEngine(readFileSync(builder.buildBenchAsm()), { indexKey: KEY, maxStates: states * 2 });
engine.setFingerprintKey(KEY);
engine.reserve(states);

/** Different UDP states with source NAT. */
function fill(first: number, n: number): void {
  const at = engine.areas.sync.offset;
  const view = new DataView(engine.view().buffer, at, n * RECORD);
  new Uint8Array(view.buffer, at, n * RECORD).fill(0);
  for (let i = 0; i < n; i++) {
    const [o, id] = [i * RECORD, first + i];
    const port = 1024 + (id % 60_000);
    view.setUint16(o + 10, 17 | (2 << 8), true);
    view.setUint16(o + 12, port, true);
    view.setUint16(o + 14, 53, true);
    view.setUint32(o + 16, 0x0a000000 + Math.floor(id / 60_000));
    view.setUint32(o + 32, 0x08080808);
    view.setUint32(o + 48, 0x08080808);
    view.setUint32(o + 64, 0xcb007101);
    view.setUint16(o + 80, 53, true);
    view.setUint16(o + 82, port, true);
    view.setUint16(o + 88, 0xe, true);
  }
}

const empty = { rss: process.memoryUsage().rss, wasm: engine.x.memoryUsed() };
const wall: number[] = [];
const cpu: number[] = [];
for (let first = 0; first < states; first += BATCH) {
  const n = Math.min(BATCH, states - first);
  fill(first, n);
  const used = threadNs();
  const begun = performance.now();
  const fresh = bench(engine).benchUpdate(engine.areas.sync.offset, n);
  const [ended, cpuNs] = [performance.now(), threadNs() - used];
  if (fresh !== n) throw new Error(`the table lost states at ${first}`);
  wall.push(ended - begun);
  cpu.push(cpuNs / 1e6);
}
const worst = { wall: wall.reduce((a, b) => Math.max(a, b), 0), cpu: cpu.reduce((a, b) => Math.max(a, b), 0) };
const figures = {
  states,
  worstWallMs: worst.wall,
  worstCpuMs: worst.cpu,
  p99WallMs: percentiles(wall)[99],
  longerThan5Ms: wall.filter((ms) => ms > STOP).length,
  bytesPerState: engine.x.memoryUsed() / states,
  grownPerState: (engine.x.memoryUsed() - empty.wasm) / states,
  rssPerState: (process.memoryUsage().rss - empty.rss) / states,
  load: loadavg()[0],
};
const text = `${states} states, ${BATCH} a call, load of the machine ${(figures.load ?? 0).toFixed(1)}
  longest call   ${worst.wall.toFixed(2)} ms by the clock, ${worst.cpu.toFixed(2)} ms of processor time; 99 % below ${(figures.p99WallMs ?? 0).toFixed(3)} ms; ${figures.longerThan5Ms} calls above ${STOP} ms
  memory         ${figures.bytesPerState.toFixed(1)} B a state, everything in WebAssembly included; RSS grew by ${figures.rssPerState.toFixed(1)} B a state`;
report('growth', figures, text);
