/**
 * Clients behind the boxes and their connections, with the truth about each: what it was mapped to, whether it lives,
 * and on which boxes the pair has promised that it will go on ("in step").
 */

import { roleOfKey, type VhidKey } from '../../../src/contract/vhid-key.ts';
import { addressBytes } from '../../../src/net/ip.ts';
import type { State } from '../../reference/state.ts';
import type { Box } from './box.ts';
import { ASSURED, CONFIRMED, inverse, passesWindow, SEEN_REPLY, timeoutOf } from './conntrack.ts';
import type { Couple } from './plan.ts';
import type { World } from './world.ts';

export interface Flow {
  id: number;
  couple: Couple;
  proto: 6 | 17 | 1;
  state: State;
  orig: string;
  reply: string;
  openedUs: number;
  /** When the pair last had something new to learn about it. */
  changedUs: number;
  spokeUs: number;
  /** Boxes that hold it, by the pair's own word. */
  promised: Set<number>;
}

interface TrafficTotals {
  opened: number;
  ended: number;
  /** Died, and nobody had promised anything. */
  lost: number;
  kept: number;
}

export class Traffic {
  readonly flows = new Map<number, Flow>();
  readonly totals: TrafficTotals = { opened: 0, ended: 0, lost: 0, kept: 0 };
  /** Clients speak only while somebody looks. */
  active = false;
  private readonly world: World;
  private readonly learnedBy = new Map<string, number>();
  private next = 1;

  constructor(world: World) {
    this.world = world;
  }

  /** A switch and the neighbours have learned where a vhid's addresses are. */
  learned(box: Box, key: VhidKey): void {
    this.learnedBy.set(key, box.index);
  }

  /** The box that gets what is sent to this vhid; null: nobody. */
  gateway(key: VhidKey): Box | null {
    const role = roleOfKey(key);
    const there = this.world.holders(key).filter((box) => this.world.wires.reaches(role, box.index));
    if (there.length < 2) return there[0] ?? null;
    return there.find((box) => box.index === this.learnedBy.get(key)) ?? there[0] ?? null;
  }

  /** A box has lost its table with its power: it promises nothing any more. */
  wiped(box: Box): void {
    for (const flow of this.flows.values()) flow.promised.delete(box.index);
  }

  /**
   * Its table may have no room, or cannot hold this entry: nothing is promised there but what "in step" says from now
   * on.
   */
  unpromise(box: Box, orig?: string): void {
    for (const flow of this.flows.values()) {
      if (orig === undefined || flow.orig === orig) flow.promised.delete(box.index);
    }
  }

  /** Lets clients speak from now on: `live` connections, opened and ended as they please. */
  start(): void {
    this.active = true;
    const { calendar, random, plan } = this.world;
    const speak = (): void => {
      if (!this.active) return;
      if (this.flows.size < plan.flows) this.open();
      this.some((flow) => this.speak(flow));
      if (random() < 0.35) this.some((flow) => this.end(flow));
      calendar.after(60_000 + random() * 120_000, speak);
    };
    calendar.after(random() * 50_000, speak);
  }

  stop(): void {
    this.active = false;
  }

  private some(act: (flow: Flow) => void): void {
    const keys = [...this.flows.keys()];
    const flow = this.flows.get(keys[Math.floor(this.world.random() * keys.length)] ?? -1);
    if (flow !== undefined) act(flow);
  }

  /** Every connection that lives says something; used when the run ends. */
  speakAll(): void {
    for (const flow of [...this.flows.values()]) this.speak(flow);
  }

  open(): void {
    const { random, plan } = this.world;
    const couple = plan.couples[Math.floor(random() * plan.couples.length)] as Couple;
    const box = this.through(couple);
    if (box === null) return;
    const id = this.next++;
    const kind = random();
    const proto = kind < 0.7 ? 6 : kind < 0.93 ? 17 : 1;
    const state = this.stateOf(id, proto, couple);
    const now = this.world.calendar.now;
    const entry = box.kernel.open(state, now);
    if (entry === null) return;
    this.totals.opened += 1;
    // The answer, and what follows it at once.
    if (random() < 0.06) return;
    box.kernel.pass(entry, { status: SEEN_REPLY, l4: proto === 6 ? 2 : 0 }, now);
    if (proto === 6) box.kernel.pass(entry, { status: ASSURED, l4: 3 }, now);
    else if (proto === 17 && random() < 0.8) box.kernel.pass(entry, { status: ASSURED }, now);
    const { orig, reply } = entry;
    this.flows.set(id, {
      ...{ id, couple, proto, orig, reply, openedUs: now, changedUs: now, spokeUs: now },
      ...{ state: { ...entry.state }, promised: new Set<number>() },
    });
  }

  /** One packet there and one back. */
  speak(flow: Flow): void {
    const box = this.through(flow.couple);
    if (box === null) return;
    const now = this.world.calendar.now;
    if (this.tooLate(flow)) return;
    const entry = box.kernel.lookup(flow.orig, now);
    if (entry === null) {
      this.lose(flow, box, 'its entry is not in the kernel');
      return;
    }
    if (entry.reply !== flow.reply) {
      this.lose(flow, box, `its mapping is another: ${entry.reply}, it was ${flow.reply}`);
      return;
    }
    if (!passesWindow(entry)) {
      this.lose(flow, box, 'its entry is strict about a window that it does not know');
      return;
    }
    this.totals.kept += 1;
    flow.spokeUs = now;
    box.kernel.pass(entry, {}, now);
  }

  /** The client closes; sometimes it just goes. */
  end(flow: Flow): void {
    const box = this.through(flow.couple);
    if (box === null || this.tooLate(flow)) return;
    const now = this.world.calendar.now;
    const entry = box.kernel.lookup(flow.orig, now);
    if (entry === null) {
      this.lose(flow, box, 'its entry is not in the kernel');
      return;
    }
    this.totals.ended += 1;
    this.flows.delete(flow.id);
    if (flow.proto === 6 && this.world.random() < 0.6) box.kernel.pass(entry, { l4: 8 }, now);
    else box.kernel.drop(entry, now);
  }

  /** The node shows "in step", and the older of its two comparisons is that old: what is older is promised. */
  promise(agoUs: number, slackUs: number): void {
    const until = this.world.calendar.now - agoUs - slackUs;
    const { apart } = this;
    for (const flow of this.flows.values()) {
      if (flow.changedUs >= until || !eligible(flow.state, this.world)) continue;
      // Both boxes lead at once: packets of UDP and ICMP cause no events, so the owner may not know that the other
      // box forwards them, and lets them time out. Not promised (docs/reliability.md).
      if (apart && flow.proto !== 6) continue;
      // What a table has lost since the comparison, or had lost before it, that comparison says nothing about; what it
      // has not got although it should is found by the check of "in step" itself.
      for (const box of this.world.boxes) {
        if (box.kernel.entries.get(flow.orig)?.reply === flow.reply) flow.promised.add(box.index);
      }
    }
  }

  /**
   * An admin takes all entries of a box away: the connections that it forwards end, and with them those that it owns. A
   * pair that leads apart leaves states with the box that owned them when another begins to forward them.
   */
  flushed(box: Box): void {
    for (const flow of [...this.flows.values()]) {
      const forwards = [flow.couple.lan, flow.couple.wan].some((key) => this.gateway(key) === box);
      const owns = this.apart || box.gate.open.size > 0 || (box.daemon?.driver?.counts().own ?? 0) > 0;
      if (!(forwards || owns)) continue;
      this.flows.delete(flow.id);
      this.totals.ended += 1;
    }
  }

  /** Both boxes lead something. */
  private get apart(): boolean {
    return new Set(this.world.plan.couples.map((couple) => couple.lead)).size > 1;
  }

  /**
   * A full kernel has given up a connection that was not assured: here it is over, or nothing is promised any more.
   * While a hand has made both boxes lead the same vhids, the word of either may count at the other one, too.
   */
  evicted(box: Box, orig: string): void {
    const flow = [...this.flows.values()].find((one) => one.orig === orig);
    if (flow === undefined) return;
    const leads = [flow.couple.lan, flow.couple.wan].every((key) => box.gate.open.has(key));
    if (leads) flow.promised.clear();
    else flow.promised.delete(box.index);
    if (this.through(flow.couple) === box) this.flows.delete(flow.id);
  }

  /** A daemon has died: nothing holds its box to the pair's word until it is in step again. */
  orphaned(box: Box): void {
    this.wiped(box);
  }

  // A connection that was silent for about its timeout may be gone by right.
  private tooLate(flow: Flow): boolean {
    if (this.world.calendar.now - flow.spokeUs < (timeoutOf(flow.state) - 5) * 1e6) return false;
    this.flows.delete(flow.id);
    this.totals.ended += 1;
    return true;
  }

  private through(couple: Couple): Box | null {
    const box = this.gateway(couple.lan);
    return box !== null && this.gateway(couple.wan) === box ? box : null;
  }

  private lose(flow: Flow, box: Box, why: string): void {
    this.flows.delete(flow.id);
    this.totals.lost += 1;
    if (!flow.promised.has(box.index)) return;
    const age = ((this.world.calendar.now - flow.openedUs) / 1e6).toFixed(1);
    this.world.problem(
      `connection ${flow.id} (${flow.orig}), ${age} s old and promised by "in step", dies on ${box.name}: ${why}`,
    );
  }

  private stateOf(id: number, proto: 6 | 17 | 1, couple: Couple): State {
    const client = addressBytes(`10.0.${1 + ((id >> 8) & 0x7f)}.${id & 0xff}`) ?? Buffer.alloc(4);
    const server = addressBytes(`198.51.100.${1 + (id % 200)}`) ?? Buffer.alloc(4);
    const sport = 1024 + ((id * 7919) % 60000);
    const orig = { src: client, dst: server, sport, dport: proto === 1 ? 8 << 8 : proto === 6 ? 443 : 53 };
    const base = { family: 2 as const, proto, orig };
    const mapped = 1024 + ((id * 104729) % 60000);
    const reply = { ...inverse(base), dst: addressBytes(couple.wanAddress) ?? Buffer.alloc(4) };
    if (proto === 1) reply.sport = mapped;
    else reply.dport = mapped;
    const rest = { zone: 0, status: CONFIRMED, mark: 0, vtags: null, timeout: 30 };
    const state: State = { ...base, ...rest, reply, l4: proto === 6 ? 1 : 0, wscale: [7, 7], flags: [3, 3] };
    state.timeout = timeoutOf(state);
    return state;
  }
}

/** Would the product sync this one? */
export function eligible(state: Pick<State, 'status' | 'proto' | 'l4'>, world: World): boolean {
  if (state.proto === 6 && state.l4 === 1) return false;
  const when = world.plan.syncWhen;
  if (when === 'all') return true;
  return (state.status & (when === 'answered' ? SEEN_REPLY : ASSURED)) !== 0;
}
