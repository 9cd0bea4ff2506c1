/** Everything the node reports goes through here: to the log, the feed and the hook, once each and in this order. */

import type { DeniedCause } from '../../contract/causes.ts';
import type { NodeEvent } from '../../contract/events.ts';
import { levelOf, tell, toldLine } from '../../contract/words.ts';
import type { Feed } from '../../feed/server.ts';
import { EventHook } from './hooks.ts';
import type { Log } from './log.ts';

/** Refused packets are reported at most this often per cause, ms; the counters miss none. */
const REFUSED_EVERY = 10_000;
/** Different ones in that time; who forges addresses makes as many as he likes, and each would be an event. */
const REFUSED_CAUSES = 64;

export class Journal {
  /** 0: nothing but errors, 1: events, 2: every advert (net.inet.carp.log). */
  level: number;
  /** Set when the feed listens. */
  feed: Feed | null = null;
  /** Hears of every event, before anybody outside does. */
  onEvent: (event: NodeEvent) => void = () => {};
  private readonly node: string;
  private readonly log: Log;
  private readonly hook: EventHook | null;
  private readonly refusedAt = new Map<string, number>();

  constructor(node: string, level: number, hook: string | null, log: Log) {
    this.node = node;
    this.level = level;
    this.log = log;
    this.hook = hook === null ? null : new EventHook(hook, (message) => log.warning(message));
  }

  publish(event: NodeEvent): void {
    const time = new Date().toISOString();
    const told = tell(event);
    this.onEvent(event);
    if (this.level > 0) this.log.event(levelOf(event), toldLine(told), told);
    this.feed?.publish(told);
    this.hook?.push({ time, node: this.node, ...told });
  }

  /** A packet that was refused: the BSD counter's name, and what is known of it. */
  refused(counter: string, role: string, vhid: number | null, from: string | null, cause?: DeniedCause): void {
    const key = `${counter} ${role} ${vhid} ${from}`;
    const now = Date.now();
    if (this.level === 0 || now - (this.refusedAt.get(key) ?? 0) < REFUSED_EVERY) return;
    if (this.refusedAt.size >= REFUSED_CAUSES) this.forgetRefused(now - REFUSED_EVERY);
    if (this.refusedAt.size >= REFUSED_CAUSES) return;
    this.refusedAt.set(key, now);
    this.publish({ kind: 'carp.refused', counter, interface: role, vhid, from, ...(cause ? { cause } : {}) });
  }

  private forgetRefused(before: number): void {
    for (const [key, at] of this.refusedAt) if (at <= before) this.refusedAt.delete(key);
  }
}
