/**
 * Invariant 10: what travels on the sync link stays within a stated multiple of what changed. Looked at twice a second,
 * in updates: own changes (kernel events, states taken over, put back or claimed), each once or twice, and answers to
 * the peer's word, one a state and round of 128 ms (asm/state/answers.ts). Bulks and repairs have limits of their own.
 */

import type { Engine } from '../../../src/sync/table/engine.ts';
import { bench } from '../../reference/bench-exports.ts';
import type { Daemon } from './daemon.ts';

/** Updates for each change of its own: the change, and once more when a role changes under way. */
const EACH_CHANGE = 2;
/** Answers for each state in half a second: four rounds and one that began before. */
const EACH_STATE = 5;
/** Below this nobody counts. */
const FEW = 50;

interface Seen {
  updates: number;
  changes: number;
}

export class LinkBound {
  /** The largest share of its bound that a look has seen. */
  worst = 0;
  private readonly seen = new WeakMap<Engine, Seen>();

  /** @returns what is wrong, or null */
  look(daemon: Daemon): string | null {
    const engine = daemon.io?.engine;
    if (engine === undefined) return null;
    const now = counts(engine);
    const before = this.seen.get(engine);
    this.seen.set(engine, now);
    if (before === undefined) return null;
    const updates = now.updates - before.updates;
    const bound = FEW + EACH_CHANGE * (now.changes - before.changes) + EACH_STATE * bench(engine).liveCount();
    this.worst = Math.max(this.worst, updates / bound);
    if (updates <= bound) return null;
    return `sent ${updates} updates in half a second, ${bound} are the bound of what changed`;
  }
}

function counts(engine: Engine): Seen {
  const sum = (...names: Parameters<Engine['counter']>[0][]): number =>
    names.reduce((total, name) => total + Number(engine.counter(name)), 0);
  return {
    updates: sum('tx_records') - sum('repair_wanted'),
    changes: sum('events_state', 'events_destroy', 'inserts', 'deletes', 'claims', 'mirror_lost', 'corrections'),
  };
}
