/** The simulated world: boxes, networks, traffic, and everything the invariants (watch.ts) need to know of them. */

import type { RoleAction, SendAdvertAction } from '../../../src/carp/runner.ts';
import type { GroupEvent } from '../../../src/carp/types.ts';
import type { VhidKey } from '../../../src/contract/vhid-key.ts';
import { Box } from './box.ts';
import type { Random } from './calendar.ts';
import { Calendar, seeded } from './calendar.ts';
import type { Daemon } from './daemon.ts';
import type { Plan } from './plan.ts';
import { ROLES, SYNC } from './plan.ts';
import { Traffic } from './traffic.ts';
import { Watch } from './watch.ts';
import { Wires } from './wires.ts';

/** Something broken on purpose (bugs.ts): what the simulator must find. */
export interface Bug {
  name: string;
  what: string;
  /** Changes an event on its way into the election. */
  event?(daemon: Daemon, event: GroupEvent): GroupEvent;
  /** Changes a daemon that has just been made. */
  patch?(daemon: Daemon): void;
  noTimeout?: boolean;
  noAddress?: boolean;
}

export interface Line {
  at: number;
  box: number | null;
  text: string;
}

const MOST_LINES = 20_000;

export class World {
  readonly calendar = new Calendar();
  readonly plan: Plan;
  readonly random: Random;
  readonly wires: Wires;
  readonly boxes: Box[];
  readonly traffic: Traffic;
  readonly watch: Watch;
  readonly bug: Bug | null;
  readonly lines: Line[] = [];
  problems: string[] = [];
  private readonly luck: Random;

  constructor(plan: Plan, bug: Bug | null) {
    this.plan = plan;
    this.bug = bug;
    this.random = seeded(plan.seed ^ 0x5bd1e995);
    this.luck = seeded(plan.seed ^ 0x27d4eb2f);
    this.wires = new Wires(this.calendar, seeded(plan.seed ^ 0x165667b1), [...ROLES, SYNC]);
    this.boxes = Array.from({ length: plan.boxes }, (_, i) => new Box(this, i));
    this.traffic = new Traffic(this);
    this.watch = new Watch(this);
  }

  entropy(bytes: number): Buffer {
    return Buffer.from(Array.from({ length: bytes }, () => Math.floor(this.luck() * 256)));
  }

  note(box: Box | null, text: string): void {
    this.lines.push({ at: this.calendar.now, box: box?.index ?? null, text });
    if (this.lines.length > MOST_LINES) this.lines.splice(0, MOST_LINES / 2);
  }

  problem(text: string): void {
    this.problems.push(text);
    this.note(null, `VIOLATION ${text}`);
  }

  /** Nothing may be thrown across the event loop, and nobody who does ends the world. */
  guarded(box: Box, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.problem(`${box.name} throws: ${error instanceof Error ? error.stack : error}`);
    }
  }

  setCarrier(box: Box, role: string, up: boolean): void {
    const { down } = this.wires.segment(role);
    const back = this.boxes.filter((one) => up && down.has(one.index) && (one === box || role === SYNC));
    for (const one of back) one.carrierIsBack(role);
    if (up) down.delete(box.index);
    else down.add(box.index);
    const changed = this.boxes.filter((one) => one === box || role === SYNC);
    // A direct cable tells both ends.
    if (role === SYNC) for (const one of this.boxes) if (up) down.delete(one.index);
    if (role === SYNC && !up) for (const one of this.boxes) down.add(one.index);
    for (const one of changed) this.calendar.after(200, () => one.bound(() => one.daemon?.onLinks(), 'socket')());
  }

  /** Some box does not run as it should now. */
  disturbed(): boolean {
    return this.boxes.some((box) => box.slowUs > 0 || box.frozen);
  }

  /** Who answers for this vhid, as somebody at the switch sees it. */
  holders(key: VhidKey): Box[] {
    return this.boxes.filter((box) => box.gate.open.has(key));
  }

  announced(box: Box, key: VhidKey): void {
    this.traffic.learned(box, key);
  }

  advertises(daemon: Daemon, action: SendAdvertAction): void {
    this.watch.advertises(daemon, action);
  }

  heard(from: Box, to: Box, key: VhidKey, sentAt: number): void {
    this.watch.heard(from, to, key, sentAt);
  }

  roleChanged(daemon: Daemon, action: RoleAction): void {
    this.watch.roleChanged(daemon, action);
  }

  afterElection(daemon: Daemon): void {
    this.watch.afterElection(daemon);
  }

  woke(box: Box, sleptUs: number): void {
    this.watch.woke(box, sleptUs);
  }

  wiped(box: Box): void {
    this.traffic.wiped(box);
  }
}
