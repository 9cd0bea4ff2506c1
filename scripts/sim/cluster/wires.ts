/**
 * The networks between the boxes: delay, loss, copies, reordering, cuts of one end or one direction, eaten multicast.
 */
import type { Calendar, Random } from './calendar.ts';
import { SYNC } from './plan.ts';

/** Jitter of a quiet segment, us; more of it is the fault that turns frames round. */
export const QUIET_JITTER = 100;

/** An advertisement counts until the next one. */
const TURNED_US = 2_500_000;

export interface Segment {
  /** Microseconds. */
  delayUs: number;
  jitterUs: number;
  loss: number;
  copies: number;
  /** The switch forwards multicast. */
  multicast: boolean;
  /** Boxes whose cable passes nothing although the carrier is up. */
  cut: Set<number>;
  /** `from>to` that passes nothing. */
  deaf: Set<string>;
  /** Boxes without carrier. */
  down: Set<number>;
  /** When the last frame that was sent from one box to another (`from>to`) arrives. */
  last: Map<string, number>;
  /** When frames were turned round last, us. */
  turnedAt: number;
}

function quietSegment(): Segment {
  return {
    ...{ delayUs: 150, jitterUs: QUIET_JITTER, loss: 0, copies: 0, multicast: true },
    ...{ cut: new Set(), deaf: new Set(), down: new Set(), last: new Map(), turnedAt: Number.NEGATIVE_INFINITY },
  };
}

export class Wires {
  readonly segments = new Map<string, Segment>();
  readonly calendar: Calendar;
  private readonly random: Random;

  constructor(calendar: Calendar, random: Random, roles: readonly string[]) {
    this.calendar = calendar;
    this.random = random;
    for (const role of roles) this.segments.set(role, quietSegment());
  }

  segment(role: string): Segment {
    const found = this.segments.get(role);
    if (found === undefined) throw new Error(`no segment ${role}`);
    return found;
  }

  /** Could a frame pass now, bad luck aside? */
  passes(role: string, from: number, to: number): boolean {
    const { cut, deaf, down } = this.segment(role);
    if (cut.has(from) || cut.has(to) || down.has(from) || down.has(to)) return false;
    return !deaf.has(`${from}>${to}`);
  }

  /** Does a box reach what stands at the switch? */
  reaches(role: string, box: number): boolean {
    const { cut, down } = this.segment(role);
    return !cut.has(box) && !down.has(box);
  }

  /** Nothing is wrong with this segment, and no old word that overtook a newer one still counts. */
  calm(role: string): boolean {
    const one = this.segment(role);
    if (this.calendar.now - one.turnedAt < TURNED_US) return false;
    const whole = one.cut.size + one.deaf.size + one.down.size === 0;
    return whole && one.loss === 0 && one.multicast && one.delayUs < 5000 && one.jitterUs < 5000;
  }

  send(role: string, from: number, to: number, multicast: boolean, deliver: () => void): void {
    const one = this.segment(role);
    if (!this.passes(role, from, to) || (multicast && !one.multicast)) return;
    if (one.loss > 0 && this.random() < one.loss) return;
    const name = `${from}>${to}`;
    const ordered = role !== SYNC;
    this.deliver(one, ordered ? name : null, deliver);
    if (one.copies > 0 && this.random() < one.copies) this.deliver(one, ordered ? name : null, deliver);
  }

  /**
   * `name`: a switch keeps the order of frames between two stations (IEEE 802.1Q, 6.5.3), unless it is the fault that
   * turns them round. On the sync link nothing may depend on it: there they always may.
   */
  private deliver(one: Segment, name: string | null, call: () => void): void {
    let at = this.calendar.now + one.delayUs + this.random() * one.jitterUs;
    if (name !== null) {
      const before = one.last.get(name) ?? 0;
      if (one.jitterUs <= QUIET_JITTER) at = Math.max(at, before);
      else if (at < before) one.turnedAt = before;
      one.last.set(name, Math.max(at, before));
    }
    this.calendar.at(at, call);
  }
}
