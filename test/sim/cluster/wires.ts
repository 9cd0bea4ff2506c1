/** The networks between the boxes: delay, loss, copies, reordering, cuts of one end or one direction, eaten multicast. */
import type { Calendar, Random } from './calendar.ts';

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
}

export function quietSegment(): Segment {
  return {
    ...{ delayUs: 150, jitterUs: 100, loss: 0, copies: 0, multicast: true },
    ...{ cut: new Set(), deaf: new Set(), down: new Set() },
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

  /** Nothing is wrong with this segment. */
  calm(role: string): boolean {
    const one = this.segment(role);
    const whole = one.cut.size + one.deaf.size + one.down.size === 0;
    return whole && one.loss === 0 && one.multicast && one.delayUs < 5000 && one.jitterUs < 5000;
  }

  send(role: string, from: number, to: number, multicast: boolean, deliver: () => void): void {
    const one = this.segment(role);
    if (!this.passes(role, from, to) || (multicast && !one.multicast)) return;
    if (one.loss > 0 && this.random() < one.loss) return;
    this.deliver(one, deliver);
    if (one.copies > 0 && this.random() < one.copies) this.deliver(one, deliver);
  }

  private deliver({ delayUs, jitterUs }: Segment, call: () => void): void {
    this.calendar.after(delayUs + this.random() * jitterUs, call);
  }
}
