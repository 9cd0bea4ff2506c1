/**
 * A small world in virtual time: nodes with the real group machine, two switched segments, a sync link. Everything
 * random comes from one seed, so a failing seed replays exactly. The checker looks at all nodes after every step.
 */

import { createGroup, nextDeadline, step } from '../../../src/carp/machine.ts';
import { peerReport } from '../../../src/carp/report.ts';
import type {
  Action,
  Family,
  GroupConfig,
  GroupEvent,
  GroupState,
  HeardAdvert,
  PeerReport,
} from '../../../src/carp/types.ts';
import { advertIntervalUs, masterDownUs } from '../../../src/contract/carp-timers.ts';
import type { VhidKey } from '../../../src/contract/vhid-key.ts';
import { causeText, tell } from '../../../src/contract/words.ts';

export type Random = () => number;

/** mulberry32: small, fast, the same everywhere. */
export function seeded(seed: number): Random {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Net {
  delayUs: number;
  jitterUs: number;
  loss: number;
}

export interface Node {
  index: number;
  config: GroupConfig;
  state: GroupState;
  alive: boolean;
  pausedUntil: number;
  pausedSince: number;
  inbox: GroupEvent[];
  /** Interfaces whose cable to the switch passes nothing although the carrier is up. */
  cut: Set<string>;
  linkDown: Set<string>;
  /** The tables are not in step: it must not take the lead from a living master. */
  unready: boolean;
  wakeAt: number;
  peerHeardAt: number;
  /** Vhids that were MASTER through a sleep longer than their master-down time: none may advertise again as it is. */
  overslept: Set<string>;
  /** Role of each vhid as the actions told it, in their order. */
  roles: Map<string, string>;
}

/** Called before every step of a node; negative controls break things here. */
export type Sabotage = (node: Node, event: GroupEvent, world: World) => GroupEvent;

export interface Tap {
  reported(to: Node, report: PeerReport): void;
  advertised(from: Node, to: Node, role: string, advert: HeardAdvert): void;
  linked(node: Node): void;
  /** A paused node goes on; called before it reads what waits. */
  resumed(node: Node): void;
}

interface Job {
  at: number;
  seq: number;
  run: () => void;
}

/** Both directions of hearing between two masters of one vhid. */
interface Pair {
  since: number;
  heard: Set<number>;
}

export class World {
  now = 0;
  nodes: Node[] = [];
  net: Net;
  syncUp = false;
  problems: string[] = [];
  log: string[] = [];
  sabotage: Sabotage | null = null;
  /** Called after every step of any node. */
  watch: (() => void) | null = null;
  /** What the probes of early take-over (probe-net.ts) need to see. */
  tap: Tap | null = null;
  readonly random: Random;
  #jobs: Job[] = [];
  #seq = 0;
  #pairs = new Map<string, Pair>();

  constructor(random: Random, net: Net) {
    this.random = random;
    this.net = net;
  }

  addNode(config: GroupConfig): Node {
    const node: Node = {
      index: this.nodes.length,
      config,
      state: createGroup(config),
      alive: false,
      pausedUntil: 0,
      pausedSince: 0,
      inbox: [],
      cut: new Set(),
      linkDown: new Set(),
      unready: false,
      wakeAt: Number.POSITIVE_INFINITY,
      peerHeardAt: 0,
      overslept: new Set(),
      roles: new Map(),
    };
    this.nodes.push(node);
    return node;
  }

  at(time: number, run: () => void): void {
    const job = { at: Math.max(this.now, Math.floor(time)), seq: this.#seq++, run };
    let i = this.#jobs.length;
    while (i > 0 && before(job, this.#jobs[i - 1] as Job)) i--;
    this.#jobs.splice(i, 0, job);
  }

  /** Runs everything due until `time`. Stops early at the first problem. */
  runUntil(time: number): void {
    for (;;) {
      const job = this.#jobs.at(-1);
      if (job === undefined || job.at > time || this.problems.length > 0) break;
      this.#jobs.pop();
      this.now = job.at;
      job.run();
    }
    this.now = Math.max(this.now, Math.floor(time));
  }

  boot(node: Node, unreadyUs: number): void {
    node.state = createGroup(node.config);
    node.alive = true;
    node.inbox = [];
    node.overslept.clear();
    node.roles.clear();
    node.unready = unreadyUs > 0;
    this.feed(node, { type: 'start' });
    if (node.unready) this.feed(node, { type: 'demote', reason: 'sync', weight: 240 });
    for (const role of rolesOf(node)) {
      this.feed(node, { type: 'link', interface: role, up: !node.linkDown.has(role), present: true });
    }
    const { state } = node;
    if (!node.unready) return;
    this.at(this.now + unreadyUs, () => {
      if (node.state !== state) return;
      node.unready = false;
      this.feed(node, { type: 'undemote', reason: 'sync' });
    });
  }

  /** The process is gone at once, and its addresses with it. */
  kill(node: Node): void {
    node.alive = false;
    node.pausedUntil = 0;
    this.note(`node ${node.index} dies`);
  }

  pause(node: Node, us: number): void {
    if (node.pausedUntil > this.now) return;
    node.pausedUntil = this.now + Math.ceil(us);
    node.pausedSince = this.now;
    this.note(`node ${node.index} pauses for ${Math.floor(us / 1000)} ms`);
    const until = node.pausedUntil;
    this.at(until, () => {
      if (node.pausedUntil === until) this.#resume(node);
    });
  }

  setLink(node: Node, role: string, up: boolean): void {
    if (up) node.linkDown.delete(role);
    else node.linkDown.add(role);
    this.tap?.linked(node);
    this.feed(node, { type: 'link', interface: role, up, present: true });
  }

  /** One event for one node; a paused node finds it when it wakes. */
  feed(node: Node, event: GroupEvent): void {
    if (!node.alive) return;
    if (node.pausedUntil > this.now) {
      if (node.inbox.length < 500) node.inbox.push(event);
      return;
    }
    const given = this.sabotage === null ? event : this.sabotage(node, event, this);
    const { actions } = step(node.state, given, this.now);
    for (const action of actions) this.#act(node, action);
    this.#arm(node);
    this.#checkMasters();
    this.watch?.();
  }

  note(text: string): void {
    this.log.push(`${(this.now / 1e6).toFixed(3)} ${text}`);
    if (this.log.length > 400) this.log.shift();
  }

  isUp(node: Node): boolean {
    return node.alive && node.pausedUntil <= this.now;
  }

  canHear(from: Node, to: Node, role: string): boolean {
    const shut = (n: Node) => n.cut.has(role) || n.linkDown.has(role);
    return !shut(from) && !shut(to);
  }

  holders(key: VhidKey): Node[] {
    return this.nodes.filter((n) => n.alive && n.state.vhids[key]?.state === 'MASTER');
  }

  /** Heartbeats of the sync link between the first two nodes, every 100 ms, silence noticed after 400 ms. */
  startSync(): void {
    this.syncUp = true;
    const beat = () => {
      const [a, b] = this.nodes;
      if (a !== undefined && b !== undefined) {
        this.#beat(a, b);
        this.#beat(b, a);
      }
      this.at(this.now + 100_000, beat);
    };
    this.at(this.now + 50_000, beat);
  }

  #beat(from: Node, to: Node): void {
    if (this.syncUp && this.isUp(from)) {
      const report = JSON.parse(JSON.stringify(peerReport(from.state))) as PeerReport;
      this.at(this.now + this.net.delayUs, () => {
        to.peerHeardAt = this.now;
        this.tap?.reported(to, report);
        this.feed(to, { type: 'peer', report });
      });
    } else if (to.state.peer !== null && this.now - to.peerHeardAt > 400_000) {
      this.feed(to, { type: 'peer', report: null });
    }
  }

  #resume(node: Node): void {
    if (!node.alive) return;
    const waiting = node.inbox;
    node.inbox = [];
    const slept = this.now - node.pausedSince;
    for (const [key, v] of Object.entries(node.state.vhids)) {
      // A demoted master may rest for an interval that is longer than its master-down time.
      const { advbase, advskew } = v.config;
      const nap = masterDownUs(advbase, advskew) + advertIntervalUs(advbase, Math.max(240, advskew));
      if (v.state === 'MASTER' && slept > nap) node.overslept.add(key);
    }
    const order = this.random();
    if (order < 0.34) this.feed(node, { type: 'stall', sleptUs: slept });
    else if (order < 0.67) this.feed(node, { type: 'tick' });
    this.tap?.resumed(node);
    for (const event of waiting) this.feed(node, event);
    this.feed(node, { type: 'tick' });
  }

  #arm(node: Node): void {
    const at = nextDeadline(node.state);
    node.wakeAt = at ?? Number.POSITIVE_INFINITY;
    if (at === null) return;
    const { state } = node;
    // Timers fire a little late, as they do on an event loop.
    this.at(at + Math.floor(this.random() * 1500), () => {
      if (node.state !== state || node.wakeAt !== at) return;
      if (node.pausedUntil > this.now) return;
      this.feed(node, { type: 'tick' });
    });
  }

  #act(node: Node, action: Action): void {
    if (action.type === 'role') this.#roleChanged(node, action);
    if (action.type === 'sendAdvert') this.#send(node, action);
    if (action.type === 'stopped') this.note(`node ${node.index} stopped ${causeText(action.cause)}`);
    if (action.type === 'event')
      this.note(`node ${node.index} ${action.event.kind} ${tell(action.event).reason ?? ''}`);
  }

  #roleChanged(node: Node, action: Extract<Action, { type: 'role' }>): void {
    this.note(`node ${node.index} ${action.key} ${action.from} -> ${action.to}: ${causeText(action.cause)}`);
    if ((node.roles.get(action.key) ?? 'INIT') !== action.from)
      this.problems.push(`${action.key} was not ${action.from}`);
    node.roles.set(action.key, action.to);
    if (action.to !== 'MASTER') {
      node.overslept.delete(action.key);
      return;
    }
    const living = this.holders(action.key).some((n) => n !== node && this.isUp(n) && demotionOf(n) === '{}');
    if (node.unready && living && action.cause.why === 'worse_advert') {
      this.problems.push(`node ${node.index} takes the lead of ${action.key} before its tables are in step`);
    }
  }

  #send(node: Node, action: Extract<Action, { type: 'sendAdvert' }>): void {
    const { key, advbase, advskew, demote } = action;
    if (node.roles.get(key) !== 'MASTER') {
      this.problems.push(`node ${node.index} advertises ${key} without being MASTER`);
    }
    if (node.overslept.has(key)) this.problems.push(`node ${node.index} slept and still advertises ${key}`);
    const role = node.state.vhids[key]?.config.interface ?? '';
    for (const to of this.nodes) {
      if (to === node || !to.config.vips.some((v) => v.key === key)) continue;
      for (const family of action.families) {
        this.#deliver(node, to, role, key, family, { advbase, advskew, demote });
      }
    }
  }

  #deliver(from: Node, to: Node, role: string, key: VhidKey, family: Family, advert: HeardAdvert): void {
    if (!this.canHear(from, to, role) || this.random() < this.net.loss) return;
    const sentAt = this.now;
    const delay = this.net.delayUs + Math.floor(this.random() * this.net.jitterUs);
    const { state } = to;
    const source = `${family === 4 ? '10.0.0.' : 'fe80::'}${from.index + 1}`;
    this.at(this.now + delay, () => {
      if (to.state !== state || !this.canHear(from, to, role)) return;
      this.tap?.advertised(from, to, role, advert);
      this.feed(to, { type: 'advert', key, family, advert, from: source });
      if (family === 4) this.#heardBetween(from, to, key, sentAt);
    });
  }

  /** Invariant 1, seen from the wire: two masters that have heard each other cannot both stay. */
  #heardBetween(from: Node, to: Node, key: VhidKey, sentAt: number): void {
    const pair = this.#pairs.get(pairName(key, from, to));
    if (pair === undefined || sentAt <= pair.since || !this.isUp(to)) return;
    pair.heard.add(from.index);
    if (pair.heard.size < 2) return;
    this.problems.push(`nodes ${from.index} and ${to.index} are both MASTER of ${key} and have heard each other`);
  }

  /** Keeps the list of pairs of masters; a change of standing starts the count anew. */
  #checkMasters(): void {
    const seen = new Set<string>();
    for (const key of this.nodes.flatMap((n) => n.config.vips.map((v) => v.key))) {
      const held = this.holders(key);
      for (const a of held) {
        for (const b of held) {
          if (a.index >= b.index) continue;
          const name = pairName(key, a, b);
          seen.add(name);
          const standing = `${demotionOf(a)}/${demotionOf(b)}`;
          const known = this.#pairs.get(`${name}`);
          if (known === undefined || this.#standing.get(name) !== standing) {
            this.#pairs.set(name, { since: this.now, heard: new Set() });
            this.#standing.set(name, standing);
          }
        }
      }
    }
    for (const name of this.#pairs.keys()) if (!seen.has(name)) this.#pairs.delete(name);
  }

  #standing = new Map<string, string>();
}

function before(a: Job, b: Job): boolean {
  // The list is kept with the earliest job at its end.
  return !(a.at < b.at || (a.at === b.at && a.seq < b.seq));
}

const pairName = (key: VhidKey, a: Node, b: Node): string =>
  `${key} ${Math.min(a.index, b.index)} ${Math.max(a.index, b.index)}`;

const demotionOf = (n: Node): string => JSON.stringify(n.state.demotions);

export function rolesOf(node: Node): string[] {
  return [...new Set(node.config.vips.map((v) => v.interface))];
}
