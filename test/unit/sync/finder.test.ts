/** The peer's neighbour entry after the sync link's carrier is back: asked for soon, and no more often than needed. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { LinkInfo } from '../../../src/kernel/links.ts';
import { ASK_AT, SyncFinder } from '../../../src/sync/control/finder.ts';

const test = suite('sync finder');

const LINK = {
  ...{ index: 4, name: 'eth2', mac: '02:00:00:00:00:03', up: true, carrier: true },
  addresses: [
    { bytes: Buffer.from([192, 0, 2, 1]), prefix: 24, ours: false },
    { bytes: Buffer.from([10, 77, 3, 1]), prefix: 24, ours: false },
  ],
} as unknown as LinkInfo;

class World {
  nowMs = 0;
  heardAt = Number.NaN;
  fails = false;
  readonly sent: { at: number; frame: string }[] = [];
  private timers: { at: number; call: () => void }[] = [];
  readonly finder: SyncFinder;

  constructor(peer: string | null) {
    const clock = {
      nowUs: () => this.nowMs * 1000,
      later: (ms: number, call: () => void) => {
        const timer = { at: this.nowMs + ms, call };
        this.timers.push(timer);
        return () => {
          this.timers = this.timers.filter((one) => one !== timer);
        };
      },
    };
    const send = (_device: unknown, frame: Uint8Array): void => {
      if (this.fails) throw new Error('link down');
      this.sent.push({ at: this.nowMs, frame: Buffer.from(frame).toString('hex') });
    };
    this.finder = new SyncFinder(peer, { send, heardSince: (ms) => this.heardAt > ms }, clock);
  }

  run(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; this.nowMs++) {
      const due = this.timers.filter((one) => one.at === this.nowMs);
      this.timers = this.timers.filter((one) => one.at !== this.nowMs);
      for (const { call } of due) call();
    }
  }
}

test('an ARP request to everybody, with the own address of the peer’s network, at the carrier’s return', () => {
  const world = new World('10.77.3.2');
  world.finder.carrierBack(LINK);
  const head = 'ffffffffffff0200000000030806' + '0001080006040001';
  assert.is(world.sent[0]?.frame, `${head}0200000000030a4d0301${'0000000000000a4d0302'}`);
});

test('asked again until the peer is heard, then not any more', () => {
  const world = new World('10.77.3.2');
  world.finder.carrierBack(LINK);
  world.run(30);
  world.heardAt = world.nowMs;
  world.run(1000);
  assert.equal(
    world.sent.map(({ at }) => at),
    [0, 10, 25],
  );
});

test('negative control: a peer that is not heard is asked for each time, and no longer', () => {
  const world = new World('10.77.3.2');
  world.heardAt = -5;
  world.finder.carrierBack(LINK);
  world.run(10_000);
  assert.equal(
    world.sent.map(({ at }) => at),
    [...ASK_AT],
  );
});

test('no question without a peer’s address, out of its network, or after the link went again', () => {
  for (const peer of [null, '198.51.100.7']) {
    const world = new World(peer);
    world.finder.carrierBack(LINK);
    world.run(1000);
    assert.is(world.sent.length, 0);
  }
  const gone = new World('10.77.3.2');
  gone.fails = true;
  gone.finder.carrierBack(LINK);
  gone.finder.close();
  gone.fails = false;
  gone.run(1000);
  assert.is(gone.sent.length, 0);
});

test.run();
