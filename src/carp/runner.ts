/**
 * Runs the election machine on the real clock: gives it events, carries its actions out, wakes it at its deadlines, and
 * notices when the loop itself did not run (invariant 7).
 */

import { LOOK_US } from '../contract/carp-timers.ts';
import type { AnnounceCause, HandOverCause } from '../contract/causes.ts';
import type { Clock } from '../contract/clock.ts';
import { REAL_CLOCK } from '../contract/clock.ts';
import type { Tap, TapMaker } from '../contract/tap.ts';
import type { VhidKey } from '../contract/vhid-key.ts';
import { createGroup, nextDeadline, step } from './machine.ts';
import { recordedEvent } from './recorded.ts';
import type { Action, GroupConfig, GroupEvent, GroupState } from './types.ts';

export type RoleAction = Extract<Action, { type: 'role' }>;
export type SendAdvertAction = Extract<Action, { type: 'sendAdvert' }>;

interface ElectionPorts {
  role(action: RoleAction): void;
  sendAdvert(action: SendAdvertAction): void;
  announce(key: VhidKey, cause: AnnounceCause): void;
  event(event: Extract<Action, { type: 'event' }>['event']): void;
  stopped(clean: boolean, cause: HandOverCause): void;
  /** A vhid is about to leave MASTER: its gate closes before anybody hears of it. */
  letGo(key: VhidKey): void;
  /** Roles are about to change; what must be told of it can be told before the work is done. */
  roles(): void;
  /** The loop turns; called at every look, after a stall was noticed. */
  alive(nowUs: number): void;
  /** The state may have changed; called once after each run of the machine. */
  changed(): void;
}

/** The longest time between two looks at the clock, ms: how fine a stall can be seen. */
const LOOK = LOOK_US / 1000;
/** A timer that comes this late, ms: first what waits in the sockets is read. */
const LATE = 20;

/** Standing still for longer than this is told to the election, us; what it means is decided there. */
const STALL_US = 3 * LOOK_US;

export class Election {
  readonly state: GroupState;
  private readonly ports: ElectionPorts;
  private readonly clock: Clock;
  private readonly tap: Tap | null;
  private timer: (() => void) | null = null;
  /** When the loop went on after the last time it had stood still, monotonic us; 0: it never did. */
  wokeUs = 0;
  private lastLook: number;
  private running = false;
  private readonly queue: GroupEvent[] = [];

  /** @param taps records what enters the machine; null: nothing is recorded */
  constructor(config: GroupConfig, ports: ElectionPorts, clock: Clock = REAL_CLOCK, taps: TapMaker | null = null) {
    this.state = createGroup(config);
    this.tap = taps?.tap('group', () => this.state) ?? null;
    this.ports = ports;
    this.clock = clock;
    this.lastLook = clock.nowUs();
  }

  /**
   * Feeds one event; what the actions cause in turn (a failed send) is fed after it, never inside. If the loop has
   * stood still, that is said first: no event of the world may be answered by a master that has overslept.
   */
  feed(event: GroupEvent): void {
    if (!this.running) this.noticeStall();
    this.enqueue(event);
  }

  private enqueue(event: GroupEvent): void {
    this.queue.push(event);
    if (this.running) return;
    this.running = true;
    try {
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) this.run(next);
    } finally {
      this.running = false;
    }
    this.ports.changed();
    this.arm();
  }

  /**
   * Called first thing whenever the loop has been given something to do. A node that slept longer than its master-down
   * time steps down before it reads or sends anything: while it slept, the other may have taken over.
   */
  look(): void {
    this.noticeStall();
    this.ports.alive(this.lastLook);
  }

  private noticeStall(): void {
    const now = this.clock.nowUs();
    const slept = now - this.lastLook;
    this.lastLook = now;
    if (slept <= STALL_US) return;
    this.wokeUs = now;
    this.enqueue({ type: 'stall', sleptUs: slept });
  }

  close(): void {
    this.timer?.();
    this.timer = null;
  }

  private run(event: GroupEvent): void {
    const now = this.clock.nowUs();
    const input = this.tap?.before({ event: recordedEvent(event), now });
    const { actions } = step(this.state, event, now);
    if (input !== undefined) this.tap?.after(input, actions);
    const roles = actions.filter((action) => action.type === 'role');
    for (const { key, from } of roles) if (from === 'MASTER') this.ports.letGo(key);
    if (roles.length > 0) this.ports.roles();
    for (const action of actions) this.perform(action);
  }

  private perform(action: Action): void {
    switch (action.type) {
      case 'role':
        this.ports.role(action);
        break;
      case 'sendAdvert':
        this.ports.sendAdvert(action);
        break;
      case 'announce':
        this.ports.announce(action.key, action.cause);
        break;
      case 'event':
        this.ports.event(action.event);
        break;
      case 'stopped':
        this.ports.stopped(action.clean, action.cause);
        break;
    }
  }

  private arm(): void {
    this.timer?.();
    const deadline = nextDeadline(this.state);
    const wait = deadline === null ? LOOK : Math.max(0, Math.min(LOOK, (deadline - this.clock.nowUs()) / 1000));
    const at = this.clock.nowUs() + wait * 1000;
    this.timer = this.clock.later(wait, () => {
      this.look();
      const late = this.clock.nowUs() - at;
      if (late < LATE * 1000) this.onTimer();
      else this.afterSockets();
    });
  }

  /** The loop stood still for a moment: what others sent meanwhile is heard before this node says anything. */
  private afterSockets(): void {
    this.timer?.();
    this.timer = this.clock.later(0, () => {
      this.look();
      this.onTimer();
    });
  }

  private onTimer(): void {
    const due = nextDeadline(this.state);
    if (due !== null && due <= this.clock.nowUs()) this.feed({ type: 'tick' });
    else this.arm();
  }
}
