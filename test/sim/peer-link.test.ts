/**
 * Two peer-channel machines in virtual time: connections that fail, stall, break on one side only, daemons that start
 * anew. Whatever happens: soon after the trouble ends both hold the same connection, and never more than a few.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { random } from '../../scripts/sim/worlds/sync-world.ts';
import { PEER_LIMITS, PEER_TIMING } from '../../src/channel/limits.ts';
import { type LinkState, newLink, stepLink } from '../../src/channel/machine.ts';

const link = suite('sim: peer channel');

interface Wire {
  ids: [number, number];
  /** Each end as its own socket sees it. */
  up: [boolean, boolean];
}

class World {
  now = 0;
  readonly next: () => number;
  readonly nodes: [LinkState, LinkState];
  wires: Wire[] = [];
  cable = true;
  deaf = -1;
  dials = 0;
  most = 0;
  private queue: { at: number; act: () => void }[] = [];
  private ids = 1;
  private boots = 0;

  constructor(seed: number) {
    this.next = random(seed);
    this.nodes = [this.fresh(0), this.fresh(1)];
  }

  fresh(index: number): LinkState {
    const state = newLink({ node: `fw-${index}`, version: '1', boot: `${this.boots++}` }, this.now);
    state.dials = index === 0;
    return state;
  }

  restart(index: number): void {
    for (const wire of this.wires) this.breakEnd(wire, 1 - index, true);
    this.wires = [];
    this.nodes[index] = this.fresh(index);
  }

  later(ms: number, act: () => void): void {
    this.queue.push({ at: this.now + ms, act });
  }

  /** One end's socket has ended; the other hears of it only over the cable. */
  breakEnd(wire: Wire, index: number, heard: boolean): void {
    if (!wire.up[index] || !heard) return;
    wire.up[index] = false;
    this.feed(index, { type: 'closed', id: wire.ids[index]!, reason: 'ended' });
  }

  feed(index: number, event: Parameters<typeof stepLink>[1]): void {
    const state = this.nodes[index]!;
    for (const action of stepLink(state, event, this.now)) {
      if (action.type === 'dial') this.dial(index);
      if (action.type === 'hello' || action.type === 'ping') this.carry(index, action.id, action.type, state);
      if (action.type === 'drop') {
        const wire = this.wires.find((one) => one.ids[index] === action.id);
        if (wire) wire.up[index] = false;
        if (wire && this.cable) this.later(2, () => this.breakEnd(wire, 1 - index, true));
      }
    }
    this.most = Math.max(this.most, state.connections.length);
  }

  dial(index: number): void {
    this.dials++;
    const from = this.nodes[index];
    this.later(3 + this.next() * 20, () => {
      if (this.nodes[index] !== from) return;
      if (!this.cable || this.next() < 0.1) {
        this.later(this.next() * PEER_TIMING.handshake, () => {
          if (this.nodes[index] === from) this.feed(index, { type: 'dialFailed', reason: 'no' });
        });
        return;
      }
      const wire: Wire = { ids: [this.ids++, this.ids++], up: [true, true] };
      this.wires.push(wire);
      this.feed(1 - index, { type: 'connected', id: wire.ids[1 - index]!, dialed: false });
      this.feed(index, { type: 'connected', id: wire.ids[index]!, dialed: true });
    });
  }

  carry(index: number, id: number, what: 'hello' | 'ping', state: LinkState): void {
    const wire = this.wires.find((one) => one.ids[index] === id);
    if (!wire) return;
    const other = 1 - index;
    const hello = { t: 'hello' as const, v: 1, ...state.self };
    const way = (to: number, act: () => void): void =>
      this.later(1 + this.next() * 10, () => {
        if (this.cable && wire.up[to] && this.deaf !== to) act();
      });
    way(other, () => {
      if (what === 'hello') this.feed(other, { type: 'hello', id: wire.ids[other]!, hello });
      else {
        this.feed(other, { type: 'heard', id: wire.ids[other]! });
        way(index, () => this.feed(index, { type: 'heard', id }));
      }
    });
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (let tick = this.now; tick <= end; tick += PEER_TIMING.tick) {
      for (;;) {
        this.queue.sort((a, b) => a.at - b.at);
        if ((this.queue[0]?.at ?? Number.POSITIVE_INFINITY) > tick) break;
        const { at, act } = this.queue.shift()!;
        this.now = Math.max(this.now, at);
        act();
      }
      this.now = Math.max(this.now, tick);
      for (const index of [0, 1]) if (this.deaf !== index) this.feed(index, { type: 'tick' });
    }
  }

  /** Both have a channel, and it is the same connection. */
  together(): boolean {
    const [a, b] = this.nodes;
    return a.current !== null && this.wires.some((wire) => wire.ids[0] === a.current && wire.ids[1] === b.current);
  }
}

link('200 lives of a pair: soon after the last trouble both hold the same connection', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const world = new World(seed);
    for (let i = 0; i < 12; i++) {
      const what = world.next();
      if (what < 0.3) world.cable = !world.cable;
      else if (what < 0.5) world.restart(world.next() < 0.5 ? 0 : 1);
      else if (what < 0.7) world.deaf = Math.floor(world.next() * 3) - 1;
      else for (const wire of world.wires) world.breakEnd(wire, Math.floor(world.next() * 2), world.next() < 0.5);
      world.run(world.next() * 12_000);
    }
    world.cable = true;
    world.deaf = -1;
    world.run(25_000);
    assert.ok(world.together(), `seed ${seed}: not together`);
    assert.ok(world.most <= PEER_LIMITS.sockets, `seed ${seed}: ${world.most} connections at once`);
    const dials = world.dials;
    world.run(20_000);
    assert.is(world.dials, dials, `seed ${seed}: it dials although there is a channel`);
  }
});

link('a dead cable is dialled less and less often, at last every 5 s', () => {
  const world = new World(7);
  world.cable = false;
  world.run(120_000);
  assert.ok(world.dials >= 14 && world.dials <= 40, `${world.dials}`);
});

link('a node whose loop stood still does not take that for the silence of the peer', () => {
  const world = new World(3);
  world.run(10_000);
  assert.ok(world.together());
  const actions = stepLink(world.nodes[0], { type: 'tick' }, world.now + 8000);
  assert.not.ok(actions.some((action) => action.type === 'lost'));
  const silent = [1, 2].flatMap((i) => stepLink(world.nodes[0], { type: 'tick' }, world.now + 8000 + i * 2400));
  assert.not.ok(silent.some((action) => action.type === 'lost'));
  const dead = stepLink(world.nodes[0], { type: 'tick' }, world.now + 8000 + 5000);
  assert.ok(
    dead.some((action) => action.type === 'lost'),
    'but real silence is found',
  );
});

link.run();
