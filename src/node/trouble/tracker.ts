/**
 * The open troubles of this node. Some are opened and ended by events, the others hold for as long as the status says
 * so; both keep the time at which they were noticed first.
 */
import type { NodeEvent } from '../../contract/events.ts';
import type { NodeStatus } from '../../contract/status.ts';
import { byUrgency, type Trouble } from '../../contract/trouble.ts';
import { changeOf, type Opening } from './from-events.ts';
import { conditionsOf } from './from-status.ts';

/** Troubles kept at most; the oldest goes. A flood of strangers must not fill the memory. */
const MOST = 64;
/** One whose end no event tells is over when it was not repeated for so long, ms. */
const FORGOTTEN_MS = 60_000;
const WITHOUT_END: ReadonlySet<string> = new Set(['sync_path_narrow', 'rules_removed', 'setting_changed']);

interface Open {
  trouble: Trouble;
  /** When an event said it last, ms. */
  saidAt: number;
}

export class TroubleTracker {
  private readonly told = new Map<string, Open>();
  private standing = new Map<string, Trouble>();

  onEvent(event: NodeEvent, nowMs: number): void {
    const change = changeOf(event);
    if (change === null) return;
    if ('close' in change) {
      this.told.delete(change.close);
      return;
    }
    const { key } = change.open;
    const known = this.told.get(key);
    const oldest = this.told.keys().next();
    if (known === undefined && this.told.size >= MOST && !oldest.done) this.told.delete(oldest.value);
    this.told.set(key, { trouble: known?.trouble ?? since(change.open, nowMs), saidAt: nowMs });
  }

  /** A reload takes away what was wrong with vhids that are no more. @param vhids `vhid 1 on wan` */
  keepVhids(vhids: ReadonlySet<string>): void {
    for (const [key, { trouble }] of this.told) {
      if (trouble.where.startsWith('vhid ') && !vhids.has(trouble.where)) this.told.delete(key);
    }
  }

  /** All that is wrong now, worst first. */
  look(status: NodeStatus, nowMs: number): Trouble[] {
    const standing = new Map<string, Trouble>();
    for (const opening of conditionsOf(status)) {
      const known = this.standing.get(opening.key);
      standing.set(opening.key, { ...since(opening, nowMs), ...(known ? { since: known.since } : {}) });
    }
    this.standing = standing;
    for (const [key, { trouble, saidAt }] of this.told) {
      if (WITHOUT_END.has(trouble.what) && nowMs - saidAt > FORGOTTEN_MS) this.told.delete(key);
    }
    return [...standing.values(), ...[...this.told.values()].map(({ trouble }) => trouble)].sort(byUrgency);
  }
}

function since({ key: _key, ...rest }: Opening, nowMs: number): Trouble {
  return { ...rest, since: new Date(nowMs).toISOString() };
}
