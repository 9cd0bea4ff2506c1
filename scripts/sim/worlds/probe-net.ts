/** The probes of early take-over in the virtual world: the real machine on each of two nodes, answers that travel. */

import { isBowOut } from '../../../src/carp/rules.ts';
import type { HeardAdvert, PeerReport } from '../../../src/carp/types.ts';
import { causeText } from '../../../src/contract/words.ts';
import type { ProbeEvent, ProbeState } from '../../../src/liveness/probe/machine.ts';
import { createProbe, probeDeadline, stepProbe } from '../../../src/liveness/probe/machine.ts';
import { type Node, rolesOf, type Tap, type World } from './carp-world.ts';

/** Negative controls: what a careless implementation would do. */
export type Careless = 'unproven' | 'ping' | null;

export class ProbeNet implements Tap {
  readonly world: World;
  /** `unproven`: a path counts although nobody ever answered there. `ping`: a kernel's answer counts as life. */
  readonly careless: Careless;
  /** A packet filter eats all probes, advertisements pass. */
  readonly blind: boolean;
  readonly said: string[] = [];
  readonly #states = new Map<Node, ProbeState>();
  readonly #waiting = new Map<Node, (() => void)[]>();
  readonly #armed = new Map<Node, number>();

  constructor(world: World, careless: Careless = null, blind = false) {
    this.world = world;
    this.blind = blind;
    this.careless = careless;
    world.tap = this;
    for (const node of world.nodes) this.begin(node);
  }

  /** A node that boots knows nothing of its peer. */
  begin(node: Node): void {
    this.#states.set(node, createProbe());
    this.#waiting.set(node, []);
    this.linked(node);
  }

  /** Cuts or mends the sync link; a direct cable tells both ends by its carrier. */
  setSync(up: boolean, carrier: boolean): void {
    this.world.syncUp = up;
    this.world.note(`sync link ${up ? 'mended' : 'cut'}`);
    if (carrier) for (const node of this.world.nodes) this.#feed(node, { type: 'carrier', up });
  }

  verdict(node: Node): string {
    return this.#states.get(node)?.verdict ?? '';
  }

  reported(to: Node, report: PeerReport): void {
    this.#feed(to, { type: report.goingDown ? 'leaving' : 'report' });
  }

  advertised(_from: Node, to: Node, role: string, advert: HeardAdvert): void {
    if (!isBowOut(advert)) this.#feed(to, { type: 'advert', path: role });
  }

  linked(node: Node): void {
    const usable = Object.fromEntries(rolesOf(node).map((role) => [role, !node.linkDown.has(role)]));
    this.#feed(node, { type: 'paths', usable });
  }

  resumed(node: Node): void {
    // Timers come first on an event loop, sockets after them.
    this.#feed(node, { type: 'tick' });
    for (const act of this.#waiting.get(node)?.splice(0) ?? []) act();
  }

  #feed(node: Node, event: ProbeEvent): void {
    const state = this.#states.get(node);
    if (state === undefined || !node.alive) return;
    if (!this.world.isUp(node)) {
      this.#waiting.get(node)?.push(() => this.#feed(node, event));
      return;
    }
    if (this.careless === 'unproven') for (const path of Object.values(state.paths)) path.answeredUs = this.world.now;
    for (const action of stepProbe(state, event, this.world.now)) {
      if (action.type === 'probe') this.#probe(node, action.path);
      else {
        this.said.push(`${node.index} ${action.type} ${causeText(action.cause)}`);
        this.world.note(`node ${node.index} finds its peer ${action.type}: ${causeText(action.cause)}`);
      }
      if (action.type === 'dead') this.world.feed(node, { type: 'peerDead', cause: action.cause });
    }
    this.#arm(node);
  }

  #probe(node: Node, role: string): void {
    const { world } = this;
    const peer = world.nodes.find((n) => n !== node);
    if (this.blind || peer === undefined || world.random() < world.net.loss) return;
    this.#later(() => {
      if (!peer.alive || !world.canHear(node, peer, role)) return;
      if (world.isUp(peer) || this.careless === 'ping') this.#answer(peer, node, role);
      else this.#waiting.get(peer)?.push(() => this.#answer(peer, node, role));
    });
  }

  #answer(from: Node, to: Node, role: string): void {
    const { world } = this;
    if (world.random() < world.net.loss) return;
    this.#later(() => {
      if (world.canHear(from, to, role))
        this.#feed(to, { type: 'answer', path: role, tripUs: 2 * world.net.delayUs + world.net.jitterUs });
    });
  }

  #later(act: () => void): void {
    const { world } = this;
    world.at(world.now + world.net.delayUs + Math.floor(world.random() * world.net.jitterUs), act);
  }

  #arm(node: Node): void {
    const state = this.#states.get(node);
    const at = state === undefined ? null : probeDeadline(state);
    if (at === null || this.#armed.get(node) === at) return;
    this.#armed.set(node, at);
    this.world.at(at + Math.floor(this.world.random() * 1500), () => {
      if (this.#armed.get(node) !== at || this.#states.get(node) !== state) return;
      this.#armed.delete(node);
      if (this.world.isUp(node)) this.#feed(node, { type: 'tick' });
    });
  }
}
