/**
 * The invariants of docs/architecture, checked in the simulated world after every step that could break them. What is
 * compared here is the truth of the world (kernels, addresses, who hears whom), never what the product believes.
 */

import type { RoleAction, SendAdvertAction } from '../../../src/carp/runner.ts';
import { masterDownUs } from '../../../src/contract/carp-timers.ts';
import type { RoleCause } from '../../../src/contract/causes.ts';
import { roleOfKey, type VhidKey } from '../../../src/contract/vhid-key.ts';
import { LIMITS } from '../../../src/sync/session/state.ts';
import type { Box } from './box.ts';
import type { Entry } from './conntrack.ts';
import type { Daemon } from './daemon.ts';
import { inside } from './inside.ts';
import { LinkBound } from './link-bound.ts';
import { SYNC } from './plan.ts';
import { eligible } from './traffic.ts';
import type { Work } from './work.ts';
import type { World } from './world.ts';

/** Two masters that have heard each other: what is held back for the peer's word, and the way of that word. */
const HEARD_US = 700_000;
/** Two boxes with the same address on a segment that is whole: the protocol's patience and one advertisement. */
const TWO_HOLDERS_US = 7_000_000;
/** How much older than it says the comparison behind "in step" may be: the way of digest and verdict. */
const SLACK_US = 1_000_000;
const LOOK_US = 500_000;
/** How long a master may wait for the peer's gate to close: longer than `PAIRED.deadUs`, on a slow machine. */
const WAITS_US = 1_000_000;
/** The way of a report that says that a gate has opened. */
const TOLD_US = 100_000;
const MOST_MEMORY = 64 << 20;

interface Pair {
  standing: string;
  since: number;
  heard: Set<number>;
  bothAt: number;
}

export class Watch {
  /** How often what was checked. */
  readonly checks = { link: 0, inStep: 0, masters: 0, holders: 0, memory: 0, leads: 0, sleeps: 0, roles: 0, gates: 0 };
  readonly linkBound = new LinkBound();
  private readonly world: World;
  private readonly pairs = new Map<string, Pair>();
  private readonly holding = new Map<string, number>();
  private readonly overslept = new Map<Box, Set<string>>();
  private readonly demotedAt = new Map<Box, number>();
  private readonly notInStepSince = new Map<Box, number>();
  /** The worst age that "in step" turned out to have beyond what it said, us. */
  worstSlackUs = 0;

  constructor(world: World) {
    this.world = world;
    const look = (): void => {
      this.look();
      world.calendar.after(LOOK_US, look);
    };
    world.calendar.after(LOOK_US, look);
  }

  // --- what is reported by the world ---

  woke(box: Box, sleptUs: number): void {
    const keys = new Set<string>();
    const daemon = box.daemon;
    if (daemon === null) return;
    this.checks.sleeps += 1;
    for (const [key, v] of Object.entries(daemon.election.state.vhids)) {
      const { advbase, advskew } = v.config;
      if (v.state === 'MASTER' && sleptUs > masterDownUs(advbase, advskew) + 2_100_000) keys.add(key);
    }
    this.overslept.set(box, keys);
  }

  roleChanged(daemon: Daemon, { key, to, cause }: RoleAction): void {
    const { box } = daemon;
    this.overslept.get(box)?.delete(key);
    if (to === 'MASTER' && cause.why === 'worse_advert') this.leads(daemon, key);
    if (to === 'MASTER') this.booted(daemon, key, cause);
    this.masters();
  }

  advertises(daemon: Daemon, action: SendAdvertAction): void {
    const { box } = daemon;
    const { key } = action;
    if (this.overslept.get(box)?.has(key)) this.world.problem(`${box.name} slept and still advertises ${key}`);
    if (action.bowOut) return;
    if (daemon.roles.get(key) !== 'MASTER') this.world.problem(`${box.name} advertises ${key} without being MASTER`);
    const { now } = this.world.calendar;
    const name = `${box.name} ${key}`;
    if (box.gate.open.has(key) || box.wokeLately()) this.shut.delete(name);
    else if (!this.shut.has(name)) this.shut.set(name, now);
    // A master whose peer has still to close waits for as long as the peer's kernel may need.
    if (now - (this.shut.get(name) ?? now) > WAITS_US) {
      this.world.problem(`${box.name} advertises ${key} behind a closed gate`);
    }
  }

  private readonly shut = new Map<string, number>();

  /**
   * Invariant 1, as strict as the gate makes it: a gate opens only when that of the peer is closed. What a node cannot
   * know excuses it: a peer that no path reaches, a clock that stood still.
   */
  opened(box: Box, key: VhidKey): void {
    this.checks.gates += 1;
    const { daemon } = box;
    if (daemon === null || !this.world.plan.sync || !this.world.wires.calm(roleOfKey(key))) return;
    const other = this.world.boxes.find((one) => one !== box && one.gate.open.has(key));
    if (other === undefined || other.index > 1 || box.index > 1 || this.world.disturbed()) return;
    if (box.clockStoodLately() || other.clockStoodLately()) return;
    const by = daemon.dead?.first.why;
    const told = this.world.wires.calm(SYNC) && other.gate.openForUs(key) > TOLD_US && knowsPeer(daemon);
    if (!told && by !== 'no_sign' && by !== 'channel_ended') return;
    this.world.problem(
      `${box.name} opens the gate of ${key} while that of ${other.name} is open (${by ?? 'reported'})`,
    );
  }

  /** An advertisement of a box has reached the daemon of another. */
  heard(from: Box, to: Box, key: VhidKey, sentAt: number): void {
    const pair = this.pairs.get(nameOf(key, from, to));
    if (pair === undefined || sentAt <= pair.since || !to.runs || to.slowUs > 0) return;
    pair.heard.add(from.index);
    if (pair.heard.size < 2) return;
    if (pair.bothAt === 0) pair.bothAt = this.world.calendar.now;
    if (this.world.calendar.now - pair.bothAt < HEARD_US) return;
    this.world.problem(`${from.name} and ${to.name} are both MASTER of ${key} and have heard each other`);
  }

  afterElection(daemon: Daemon): void {
    const { box } = daemon;
    const { now } = this.world.calendar;
    if (Object.keys(daemon.election.state.demotions).length > 0) this.demotedAt.set(box, now);
    this.links(daemon);
    if (daemon.inStep === true) this.notInStepSince.delete(box);
    else if (!this.notInStepSince.has(box)) this.notInStepSince.set(box, now);
    this.masters();
  }

  /** Invariant 4, see work.ts. */
  takeOver(work: Work | null, tell: () => void): void {
    this.checks.roles += 1;
    if (work === null) tell();
    else work.role(tell);
  }

  // --- what is looked at ---

  look(): void {
    for (const box of this.world.boxes) {
      this.orphaned(box);
      if (box.daemon === null) this.notInStepSince.delete(box);
      else {
        this.inStep(box);
        this.bounded(box, box.daemon);
        this.link(box, box.daemon);
      }
    }
    this.holders();
  }

  /** Invariant 3. */
  inStep(box: Box): void {
    const { daemon } = box;
    if (daemon === null || !box.runs || daemon.inStep !== true || box.clockStoodLately()) return;
    this.checks.inStep += 1;
    const ago = daemon.checkedAgoUs();
    // The figure is gone already, and the word that follows it is on its way to the control thread.
    if (Number.isNaN(ago)) return;
    const other = this.world.boxes[1 - box.index];
    if (other === undefined || !other.powered || other.wipedLately(ago + SLACK_US)) return;
    const slack = SLACK_US + this.slowness();
    this.world.traffic.promise(ago, slack);
    const until = this.world.calendar.now - ago - slack;
    for (const [one, two] of [
      [box, other],
      [other, box],
    ] as const) {
      const wrong = differs(this.world, one, two, until);
      if (wrong === null) continue;
      const seconds = ((this.world.calendar.now - wrong.changedUs) / 1e6).toFixed(2);
      this.world.problem(
        `${box.name} shows "in step" (compared ${(ago / 1e6).toFixed(2)} s ago), but ${two.name} lacks ${wrong.orig}, ` +
          `which ${one.name} has had for ${seconds} s`,
      );
      return;
    }
  }

  /** A link that came back must stay up for a second before anything is built on it. */
  private links(daemon: Daemon): void {
    const { box } = daemon;
    for (const [role, link] of Object.entries(daemon.election.state.links)) {
      const back = box.carrierBackUs(role);
      if (!link.usable || back === null || daemon.clock.nowUs() - back > 950_000 || link.changedUs < back) continue;
      if (back <= daemon.bornUs) continue;
      this.world.problem(`${box.name} uses ${role} again as soon as its link is back`);
    }
  }

  // A gate without a daemon: the kernel closes it within `GATE.closedUs`.
  private orphaned(box: Box): void {
    if (box.daemon !== null || box.gate.open.size === 0) return;
    const dead = this.world.calendar.now - box.endedAt;
    if (dead > 1_000_000)
      this.world.problem(`${box.name} keeps ${[...box.gate.open].join(', ')} although its daemon is dead`);
  }

  private slowness(): number {
    const { delayUs, jitterUs } = this.world.wires.segment(SYNC);
    const slow = Math.max(...this.world.boxes.map((box) => box.slowUs));
    return 4 * (delayUs + jitterUs + slow);
  }

  private leads(daemon: Daemon, key: VhidKey): void {
    const { box } = daemon;
    this.checks.leads += 1;
    if (!this.world.plan.sync) return;
    const since = this.notInStepSince.get(box);
    const { now } = this.world.calendar;
    if (daemon.inStep === true || since === undefined || now - since < 1_500_000) return;
    const led = [...daemon.roles].some(([other, role]) => other !== key && role === 'MASTER');
    if (led) return;
    const better = this.world.boxes.find(
      (one) => one !== box && one.runs && one.gate.open.has(key) && now - (this.demotedAt.get(one) ?? -1e9) > 3_000_000,
    );
    if (better === undefined || !this.world.wires.calm(roleOfKey(key))) return;
    this.world.problem(`${box.name} takes the lead of ${key} from ${better.name} before its tables are in step`);
  }

  // Whoever has just come up listens first, but for what nobody leads.
  private booted(daemon: Daemon, key: VhidKey, cause: RoleCause): void {
    if (cause.why === 'by_hand') return;
    const { since, forUs } = daemon.listening(key);
    const listened = daemon.clock.nowUs() - since;
    if (listened >= forUs - 1000) return;
    this.world.problem(
      `${daemon.box.name} becomes MASTER of ${key} after ${Math.round(listened / 1000)} ms of listening`,
    );
  }

  /** Keeps the list of pairs of running masters; a change of standing starts the count anew. */
  private masters(): void {
    this.checks.masters += 1;
    const seen = new Set<string>();
    for (const { lan, wan } of this.world.plan.couples) {
      for (const key of [lan, wan]) {
        const held = this.world.boxes.filter((box) => box.daemon?.roles.get(key) === 'MASTER');
        if (held.length > 1) this.pair(key, held, seen);
      }
    }
    if (this.pairs.size === seen.size) return;
    for (const name of this.pairs.keys()) if (!seen.has(name)) this.pairs.delete(name);
  }

  private pair(key: VhidKey, held: readonly Box[], seen: Set<string>): void {
    for (const a of held) {
      for (const b of held) {
        if (a.index >= b.index) continue;
        const name = nameOf(key, a, b);
        const standing = `${demotions(a)}/${demotions(b)}`;
        seen.add(name);
        if (this.pairs.get(name)?.standing === standing) continue;
        this.pairs.set(name, { standing, since: this.world.calendar.now, heard: new Set(), bothAt: 0 });
      }
    }
  }

  /** Invariant 1, seen from the segment: who answers for the address. */
  private holders(): void {
    const { now } = this.world.calendar;
    for (const { lan, wan } of this.world.plan.couples) {
      for (const key of [lan, wan]) {
        const role = roleOfKey(key);
        const two = this.world.holders(key).length > 1 && this.world.wires.calm(role) && !this.world.disturbed();
        if (!two) this.holding.delete(key);
        else if (!this.holding.has(key)) this.holding.set(key, now);
        this.checks.holders += 1;
        if (now - (this.holding.get(key) ?? now) <= TWO_HOLDERS_US) continue;
        const names = this.world.holders(key).map((box) => box.name);
        this.world.problem(
          `${names.join(' and ')} have the address of ${key} for ${TWO_HOLDERS_US / 1e6} s on a whole segment`,
        );
        this.holding.delete(key);
      }
    }
  }

  /** Invariant 10, see link-bound.ts. */
  private link(box: Box, daemon: Daemon): void {
    this.checks.link += 1;
    const wrong = this.linkBound.look(daemon);
    if (wrong !== null) this.world.problem(`${box.name} ${wrong}`);
  }

  /** Invariant 5: nothing grows without bound. */
  private bounded(box: Box, daemon: Daemon): void {
    this.checks.memory += 1;
    const { driver } = daemon;
    const sizes: [string, number, number][] = [['calendar', this.world.calendar.waiting, 20_000]];
    if (driver !== null) {
      sizes.push(['datagrams kept', inside<Map<number, unknown>>(driver.outbox, 'kept').size, LIMITS.window]);
      sizes.push(['messages waiting', inside<unknown[]>(driver.outbox, 'waiting').length, 256]);
      sizes.push(['nonces', driver.state.usedNonces.length, LIMITS.nonces]);
      sizes.push(['table memory', daemon.io?.engine.memory.buffer.byteLength ?? 0, MOST_MEMORY]);
    }
    for (const [what, size, most] of sizes) {
      if (size > most) this.world.problem(`${box.name}: ${what} grew to ${size}, ${most} is the limit`);
    }
  }
}

/** The first entry of `one`, unchanged since before `until`, that `two` lacks or maps otherwise. */
export function differs(world: World, one: Box, two: Box, until: number): Entry | null {
  const now = world.calendar.now;
  one.kernel.collect(now);
  two.kernel.collect(now);
  for (const entry of one.kernel.entries.values()) {
    if (entry.changedUs >= until || !eligible(entry.state, world)) continue;
    const there = two.kernel.entries.get(entry.orig);
    if (there?.reply === entry.reply) continue;
    const went = two.kernel.gone.get(entry.orig);
    if (there === undefined && went !== undefined && went >= until) continue;
    if (there !== undefined && there.changedUs >= until) continue;
    return entry;
  }
  return null;
}

const knowsPeer = ({ election, clock }: Daemon): boolean => (election.state.peer?.freshUntil ?? 0) >= clock.nowUs();

const nameOf = (key: VhidKey, a: Box, b: Box): string =>
  `${key} ${Math.min(a.index, b.index)} ${Math.max(a.index, b.index)}`;

const demotions = (box: Box): string => JSON.stringify(box.daemon?.election.state.demotions ?? {});
