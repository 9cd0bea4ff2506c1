/**
 * Two boxes through the stories operators tell, in virtual time. Where a case mirrors one of FreeBSD's carp.sh or
 * NetBSD's t_basic.sh, its name says so; every story fails when both boxes lead for longer than an advert needs.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Node, seeded, World } from '../../scripts/sim/worlds/carp-world.ts';
import type { GroupConfig, VhidConfig } from '../../src/carp/types.ts';

const SECOND = 1_000_000;
const KEYS = ['wan/1', 'lan/1'] as const;

interface Options {
  skews?: [number, number];
  preempt?: boolean;
  v4?: boolean;
  v6?: boolean;
  sync?: boolean;
  advbase?: number;
  /** Leave the boxes off. */
  off?: boolean;
}

class Pair {
  readonly world = new World(seeded(1), { delayUs: 300, jitterUs: 100, loss: 0 });
  readonly a: Node;
  readonly b: Node;
  /** Longest time without and with two holders, per vhid. */
  gaps = new Map<string, number>();
  overlaps = new Map<string, number>();
  #since = new Map<string, { holders: number; at: number }>();

  constructor(options: Options = {}) {
    this.a = this.world.addNode(config(0, options));
    this.b = this.world.addNode(config(1, options));
    if (options.sync) this.world.startSync();
    this.world.watch = () => this.look();
    if (options.off) return;
    this.world.boot(this.a, 0);
    this.world.boot(this.b, 0);
    this.run(5 * SECOND);
    this.reset();
  }

  run(us: number): void {
    this.world.runUntil(this.world.now + us);
    this.look();
    assert.equal(this.world.problems, [], this.world.log.join('\n'));
  }

  /** Forgets the gaps and overlaps so far. */
  reset(): void {
    this.gaps.clear();
    this.overlaps.clear();
    this.#since.clear();
    this.look();
  }

  look(): void {
    for (const key of KEYS) {
      const up = this.world.holders(key).filter((n) => this.world.isUp(n));
      const now = up.length;
      const before = this.#since.get(key);
      if (before !== undefined) {
        const table = before.holders === 0 ? this.gaps : this.overlaps;
        const lasted = this.world.now - before.at;
        if (before.holders !== 1) table.set(key, Math.max(table.get(key) ?? 0, lasted));
      }
      if (before?.holders !== now) this.#since.set(key, { holders: now, at: this.world.now });
    }
  }

  worst(table: Map<string, number>): number {
    return Math.max(0, ...table.values());
  }

  leads(node: Node): void {
    for (const key of KEYS) {
      assert.equal(
        this.world.holders(key).map((n) => n.index),
        [node.index],
        `${key}\n${this.world.log.join('\n')}`,
      );
    }
  }
}

function config(index: number, o: Options): GroupConfig {
  const vip = (role: string): VhidConfig => ({
    key: `${role}/1`,
    vhid: 1,
    interface: role,
    advbase: o.advbase ?? 1,
    advskew: (o.skews ?? [0, 100])[index] ?? 0,
    v4: o.v4 ?? true,
    v6: o.v6 ?? false,
    ownAddress: o.v4 === false ? `fe80::${index + 1}` : `10.0.0.${index + 1}`,
    ...(o.v6 && o.v4 !== false ? { ownAddress6: `fe80::${index + 1}` } : {}),
  });
  return { preempt: o.preempt ?? true, startHoldUs: 0, vips: [vip('wan'), vip('lan')] };
}

const bsd = suite('CARP pair, cases of the BSDs');

for (const [name, v4, v6] of [
  ['basic_v4', true, false],
  ['basic_v6', false, true],
] as const) {
  bsd(`FreeBSD carp.sh ${name}: exactly one master`, () => {
    const p = new Pair({ v4, v6 });
    p.leads(p.a);
  });
}

bsd('FreeBSD carp.sh negative_demotion: -1 makes no second master', () => {
  const p = new Pair();
  for (const node of [p.a, p.b]) p.world.feed(node, { type: 'demote', reason: 'manual', weight: -1 });
  p.run(20 * SECOND);
  p.leads(p.a);
  assert.is(p.worst(p.overlaps), 0);
});

bsd('FreeBSD carp.sh switch: the state set by hand moves the role', () => {
  const p = new Pair({ preempt: false, skews: [100, 0] });
  // (A forced master that is not the better one is sent back by the better one's next advert, on FreeBSD too.)
  for (const key of KEYS) p.world.feed(p.b, { type: 'force', key, state: 'MASTER' });
  p.run(5 * SECOND);
  p.leads(p.b);
});

for (const [family, v4, v6] of [
  ['IPv4', true, false],
  ['IPv6', false, true],
] as const) {
  bsd(`NetBSD t_basic.sh, ${family}: hand-over when the master halts`, () => {
    const p = new Pair({ v4, v6 });
    p.world.kill(p.a);
    p.look();
    p.run(5 * SECOND);
    p.leads(p.b);
    assert.ok(p.worst(p.gaps) <= 3_400_000, `gap ${p.worst(p.gaps)} us`);
  });

  bsd(`NetBSD t_basic.sh, ${family}: hand-over when the master's interface goes down`, () => {
    const p = new Pair({ v4, v6 });
    p.world.setLink(p.a, 'wan', false);
    p.run(5 * SECOND);
    p.leads(p.b);
    assert.ok(p.worst(p.gaps) <= 3_400_000);
    // The other interface can still say so: it moves at once.
    assert.is(p.gaps.get('lan/1') ?? 0, 0);
  });
}

bsd.run();

const stories = suite('CARP pair, stories');

stories('planned hand-over: never without a holder, two of them only for the way of a packet', () => {
  for (const stop of [false, true]) {
    for (const preempt of [false, true]) {
      const p = new Pair({ preempt });
      p.world.feed(p.a, stop ? { type: 'stop' } : { type: 'maintenance', on: true });
      p.run(3 * SECOND);
      p.leads(p.b);
      assert.is(p.worst(p.gaps), 0);
      assert.ok(p.worst(p.overlaps) <= 5_000, `${p.worst(p.overlaps)} us`);
    }
  }
});

stories('return of the old master: only when its tables are in step, then all at once and without a gap', () => {
  const p = new Pair();
  p.world.kill(p.a);
  p.run(5 * SECOND);
  p.world.boot(p.a, 20 * SECOND);
  p.reset();
  p.run(19 * SECOND);
  p.leads(p.b);
  p.run(3 * SECOND);
  p.leads(p.a);
  assert.is(p.worst(p.gaps), 0);
  assert.ok(p.worst(p.overlaps) <= 5_000);
});

stories('own link lost with the sync link up: all of it taken over within two heartbeats', () => {
  const p = new Pair({ sync: true });
  p.world.setLink(p.a, 'lan', false);
  p.run(SECOND);
  p.leads(p.b);
  assert.ok(p.worst(p.gaps) <= 150_000, `${p.worst(p.gaps)} us`);
});

// Fast timers: for as long as a report counts, or else the peer's kernel could not have closed its gate (PAIRED).
stories("power-off with the sync link up: its last words hold nobody back beyond the protocol's own time", () => {
  for (const [advbase, skews, limit] of [
    [1, [0, 100], 3_400_000],
    [0, [5, 12], 475_000],
  ] as const) {
    const p = new Pair({ sync: true, advbase, skews: [...skews] });
    p.run(0.95 * SECOND);
    p.reset();
    p.world.kill(p.a);
    p.look();
    p.run(5 * SECOND);
    p.leads(p.b);
    assert.ok(p.worst(p.gaps) <= limit, `advbase ${advbase}: ${p.worst(p.gaps)} us`);
  }
});

stories('multicast eaten from the first day, sync link up: one master, and the other says what it misses', () => {
  const p = new Pair({ sync: true, off: true });
  for (const node of [p.a, p.b]) for (const role of ['wan', 'lan']) node.cut.add(role);
  p.world.boot(p.a, 0);
  p.world.boot(p.b, 0);
  p.run(60 * SECOND);
  p.leads(p.a);
  assert.is(p.worst(p.overlaps), 0);
  assert.ok(p.world.log.some((line) => line.includes('node 1 carp.multicast_lost')));
});

stories('the same without a sync link makes two masters, which is all the protocol can do; healed, one', () => {
  const p = new Pair({ off: true });
  for (const node of [p.a, p.b]) for (const role of ['wan', 'lan']) node.cut.add(role);
  p.world.boot(p.a, 0);
  p.world.boot(p.b, 0);
  p.run(10 * SECOND);
  assert.is(p.world.holders('wan/1').length, 2);
  for (const node of [p.a, p.b]) node.cut.clear();
  p.run(1.5 * SECOND);
  p.leads(p.a);
});

stories('equal timers: no endless flapping, the lower address leads after a split', () => {
  const p = new Pair({ skews: [50, 50] });
  p.b.cut.add('wan').add('lan');
  p.run(10 * SECOND);
  p.b.cut.clear();
  p.reset();
  p.run(1.5 * SECOND);
  p.leads(p.a);
  const seen = p.world.log.length;
  p.run(60 * SECOND);
  assert.is(p.world.log.length, seen);
  assert.is(p.worst(p.gaps), 0);
});

stories('both equally demoted: whoever leads goes on leading', () => {
  for (const advbase of [0, 1]) {
    const p = new Pair({ advbase, skews: [20, 60] });
    for (const node of [p.a, p.b]) p.world.feed(node, { type: 'demote', reason: 'script', weight: 240 });
    p.run(2 * SECOND);
    const moves = (): string[] => p.world.log.filter((line) => !line.includes('carp.announced'));
    const seen = moves().length;
    p.run(30 * SECOND);
    assert.is(moves().length, seen, p.world.log.join('\n'));
    assert.is(p.world.holders('wan/1').length, 1);
  }
});

stories('one direction eaten: the better one leads, and says that somebody does not hear it', () => {
  const p = new Pair();
  // b hears nothing, a hears b.
  const canHear = p.world.canHear.bind(p.world);
  p.world.canHear = (from, to, role) => from !== p.a && canHear(from, to, role);
  p.run(30 * SECOND);
  assert.is(p.a.state.vhids['wan/1']?.state, 'MASTER');
  assert.ok(p.world.log.some((line) => line.includes('node 0 carp.dual_master')));
});

stories('a paused master is backup when it wakes; the pair settles without a second master', () => {
  const p = new Pair();
  p.world.pause(p.a, 10 * SECOND);
  p.run(9.9 * SECOND);
  assert.equal(
    p.world
      .holders('wan/1')
      .filter((n) => p.world.isUp(n))
      .map((n) => n.index),
    [1],
  );
  p.reset();
  p.run(5 * SECOND);
  p.leads(p.a);
  assert.is(p.worst(p.gaps), 0);
  assert.ok(p.worst(p.overlaps) <= 5_000);
});

stories('a flapping link does not make the roles flap', () => {
  const p = new Pair();
  for (let i = 0; i < 40; i++) {
    p.world.setLink(p.a, 'wan', i % 2 === 1);
    p.run(1.5 * SECOND);
  }
  const moves = p.world.log.filter((line) => line.includes('node 1 lan/1') && line.includes('MASTER')).length;
  assert.ok(moves <= 8, `${moves} moves in 60 s`);
  p.world.setLink(p.a, 'wan', true);
  p.run(75 * SECOND);
  p.leads(p.a);
});

stories('three nodes and a bow-out: both backups start, the worse one steps back within an advert', () => {
  const p = new Pair();
  const c = p.world.addNode(config(0, { skews: [200, 0] }));
  p.world.boot(c, 0);
  p.run(10 * SECOND);
  p.leads(p.a);
  p.reset();
  for (const key of KEYS) {
    for (const n of [p.b, c]) {
      p.world.feed(n, {
        type: 'advert',
        key,
        family: 4,
        advert: { advbase: 255, advskew: 255, demote: 0 },
        from: '10.0.0.1',
      });
    }
  }
  p.world.kill(p.a);
  p.run(3 * SECOND);
  p.leads(p.b);
  assert.ok(p.worst(p.overlaps) <= 5_000);
});

stories.run();
