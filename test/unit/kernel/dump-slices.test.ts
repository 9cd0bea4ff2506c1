/** How the dataplane loop reads the kernel's table: in short turns, with nothing but the turns' length between them. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { netlink } from '../../../scripts/reference/ctmsg.ts';
import { wasm } from '../../../scripts/reference/harness.ts';
import type { Batch } from '../../../src/kernel/batch.ts';
import { Dataplane } from '../../../src/sync/worker/dataplane.ts';
import type { BatchSource, DataplaneIo } from '../../../src/sync/worker/dataplane-io.ts';
import type { WorkerConfig } from '../../../src/sync/worker/messages.ts';
import { STAT, STAT_COUNT } from '../../../src/sync/worker/messages.ts';
import { SLICE_BOUNDS } from '../../../src/sync/worker/slices.ts';

const test = suite('slices of a dump');

const DONE = 3;
const NOOP = 1;
const MULTI = 2;
const CONFIG: WorkerConfig = {
  name: 'fw-a',
  secrets: [],
  device: 'sync',
  ifindex: 1,
  peer: null,
  mtu: 1500,
  eventBuffer: 1 << 20,
  syncWhen: 'all',
  ignore: [],
  local: [],
  maxStates: 1000,
  timeouts: [],
};

const NOTHING: BatchSource = {
  slots: 1,
  receive: () => ({ kind: 'empty' }),
  slotOffset: () => 0,
  length: () => 0,
  truncated: () => false,
};

/** A dump of so many pieces, each of which takes so many ms to come. */
function make(
  pieces: number,
  msEach: number,
): { plane: Dataplane; stats: Float64Array; left: () => number; now: () => number } {
  let [now, left, length] = [0, pieces, 0];
  const counters = new SharedArrayBuffer(STAT_COUNT * 8);
  const io = (view: () => Uint8Array, at: number): DataplaneIo => ({
    wakeFd: -1,
    controlPort: 1,
    events: NOTHING,
    refusals: NOTHING,
    datagrams: NOTHING,
    dump: {
      ...NOTHING,
      receive: (): Batch => {
        if (left === 0) return { kind: 'empty' };
        left -= 1;
        now += msEach;
        const piece = netlink(left === 0 ? DONE : NOOP, { seq: 1, flags: MULTI }, [Buffer.alloc(4)]);
        view().set(piece, at);
        length = piece.length;
        return { kind: 'messages', count: 1 };
      },
      slotOffset: () => at,
      length: () => length,
    },
    sender: () => '10.0.0.2',
    requestDump: () => {},
    change: () => {},
    transmit: () => {},
    sleep: () => {},
    idle: () => false,
    now: () => now,
    close: () => {},
  });
  const plane = new Dataplane({ wasm, config: CONFIG, counters }, () => {}, {
    random: (bytes) => Buffer.alloc(bytes, 7),
    open: (_config, engine) => io(() => engine.view(), engine.areas.netlink.offset),
  });
  return { plane, stats: new Float64Array(counters), left: () => left, now: () => now };
}

test('one turn reads for a few milliseconds, and then looks after everything else', () => {
  const { plane, stats, left, now } = make(100, 1);
  plane.pass();
  assert.is(left(), 97);
  assert.is(now(), 3);
  while (left() > 0) plane.pass();
  const counts = [...stats.subarray(STAT.slices, STAT.slices + SLICE_BOUNDS.length)];
  assert.is(counts[SLICE_BOUNDS.indexOf(5)], 33, 'they are counted');
});

test('negative control: pieces that take no time end a turn by their number only', () => {
  const { plane, left } = make(100, 0);
  plane.pass();
  assert.is(left(), 84);
});

test('when the dump is read, the loop does not sleep before the table is walked', () => {
  const { plane, left, now } = make(2, 0.1);
  plane.pass();
  assert.is(left(), 0);
  assert.is(plane.due(), now());
  for (let turn = 0; turn < 3; turn++) plane.pass();
  assert.ok(plane.due() > now(), 'and when all is done it sleeps again');
});

test.run();
