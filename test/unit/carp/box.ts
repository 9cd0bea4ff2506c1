/** One node's group machine on a hand-wound clock, and what it asked for. */

import { createGroup, nextDeadline, step } from '../../../src/carp/machine.ts';
import type {
  Action,
  CarpState,
  GroupConfig,
  GroupEvent,
  GroupState,
  PeerReport,
  VhidConfig,
} from '../../../src/carp/types.ts';
import type { VhidKey } from '../../../src/contract/vhid-key.ts';
import { causeText, tell } from '../../../src/contract/words.ts';

export const SECOND = 1_000_000;

export function vip(role: string, advskew = 0, change: Partial<VhidConfig> = {}): VhidConfig {
  const vhid = change.vhid ?? 1;
  return {
    key: `${role}/${vhid}`,
    vhid,
    interface: role,
    advbase: 1,
    advskew,
    v4: true,
    v6: false,
    ownAddress: '10.0.0.1',
    ...change,
  };
}

export class Box {
  now = SECOND;
  state: GroupState;
  actions: Action[] = [];

  constructor(config: Partial<GroupConfig> = {}) {
    this.state = createGroup({ preempt: true, startHoldUs: 0, vips: [vip('wan'), vip('lan')], ...config });
  }

  /** Started, all links up, listening. */
  static listening(config: Partial<GroupConfig> = {}): Box {
    const box = new Box(config);
    box.feed({ type: 'start' });
    for (const v of box.state.config.vips) box.link(v.interface, true);
    box.take();
    return box;
  }

  /** Master of everything, because nobody else is there. */
  static master(config: Partial<GroupConfig> = {}): Box {
    const box = Box.listening(config);
    box.run(5 * SECOND);
    box.take();
    return box;
  }

  feed(event: GroupEvent): Action[] {
    const { actions } = step(this.state, event, this.now);
    // What a recording holds must be enough to go on from.
    this.state = JSON.parse(JSON.stringify(this.state)) as GroupState;
    this.actions.push(...actions);
    return actions;
  }

  link(role: string, up: boolean, present = true): Action[] {
    return this.feed({ type: 'link', interface: role, up, present });
  }

  advert(key: VhidKey, advbase: number, advskew: number, demote = 0, from = '10.0.0.2', family: 4 | 6 = 4): Action[] {
    return this.feed({ type: 'advert', key, family, advert: { advbase, advskew, demote }, from });
  }

  peer(change: Partial<PeerReport> = {}, states: Record<string, CarpState> = {}): Action[] {
    const vhids = Object.fromEntries(
      Object.entries(states).map(([key, state]) => [key, { state, advbase: 1, advskew: 100, address: '10.0.0.2' }]),
    );
    const report = { vhids, demotion: 0, goingDown: false, linkDown: [], inStep: true, ...change };
    return this.feed({ type: 'peer', report });
  }

  /** Lets time pass, waking the machine at its deadlines. `meanwhile` runs every 100 ms. */
  run(us: number, meanwhile: (() => void) | null = null): void {
    const end = this.now + us;
    let next = this.now;
    while (this.now < end) {
      if (meanwhile !== null && this.now >= next) {
        meanwhile();
        next = this.now + 100_000;
      }
      const deadline = nextDeadline(this.state) ?? end;
      this.now = Math.max(this.now, Math.min(end, deadline, meanwhile === null ? end : next));
      this.feed({ type: 'tick' });
    }
  }

  /** The actions since the last call. */
  take(): Action[] {
    const list = this.actions;
    this.actions = [];
    return list;
  }

  of(key: VhidKey): CarpState | undefined {
    return this.state.vhids[key]?.state;
  }

  /** Why the vhid is what it is, in words. */
  why(key: VhidKey): string {
    const v = this.state.vhids[key];
    return v === undefined ? '' : causeText(v.cause);
  }

  states(): string {
    return Object.values(this.state.vhids)
      .map((v) => v.state)
      .join(' ');
  }
}

export function roles(actions: Action[]): string[] {
  return actions.flatMap((a) => (a.type === 'role' ? [`${a.key} ${a.from}>${a.to}: ${causeText(a.cause)}`] : []));
}

export function adverts(actions: Action[]): string[] {
  return actions.flatMap((a) =>
    a.type === 'sendAdvert' ? [`${a.key} ${a.advbase}/${a.advskew} ${a.demote}${a.bowOut ? ' bow-out' : ''}`] : [],
  );
}

export function kinds(actions: Action[]): string[] {
  return actions.flatMap((a) => (a.type === 'event' ? [a.event.kind] : []));
}

export function reasonOf(actions: Action[], kind: string): string {
  const found = actions.find((a) => a.type === 'event' && a.event.kind === kind);
  return found?.type === 'event' ? String(tell(found.event).reason) : '';
}
