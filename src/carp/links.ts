/**
 * Link tracking: a lost link acts at once; one that comes back must stay up first, and longer the more it flaps.
 */

import type { RoleCause } from '../contract/causes.ts';
import type { LinkState } from './types.ts';

const SECOND = 1_000_000;
/** First wait for a returned link; doubles with every flap up to the longest. */
const HOLD_FIRST_US = SECOND;
const HOLD_LONGEST_US = 60 * SECOND;
/** One flap is forgotten for every quiet minute. */
const FORGET_US = 60 * SECOND;

type LinkChange = 'down' | 'returning' | null;

/** The wait before a returned link is believed, by the number of flaps that are not forgotten. */
export function holdUs(flaps: number): number {
  return Math.min(HOLD_LONGEST_US, HOLD_FIRST_US * 2 ** Math.min(16, Math.max(0, flaps - 1)));
}

/** The first word about an interface is believed at once: a boot has nothing to debounce. */
export function firstLink(up: boolean, present: boolean, now: number): LinkState {
  return { present, up, usable: up && present, holdUntil: null, flaps: 0, changedUs: now };
}

/** Takes in what the kernel says. @returns what changed for the vhids: lost at once, or on its way back. */
export function changeLink(link: LinkState, up: boolean, present: boolean, now: number): LinkChange {
  const before = link.up && link.present;
  link.up = up;
  link.present = present;
  const after = up && present;
  if (before === after) return null;
  const quiet = Math.floor((now - link.changedUs) / FORGET_US);
  link.changedUs = now;
  link.flaps = Math.max(0, link.flaps - quiet);
  if (!after) {
    link.flaps += 1;
    link.usable = false;
    link.holdUntil = null;
    return 'down';
  }
  link.holdUntil = now + holdUs(link.flaps);
  return 'returning';
}

/** @returns true when the wait of a returned link is over: it is usable from now on. */
export function linkHeld(link: LinkState, now: number): boolean {
  if (link.holdUntil === null || link.holdUntil > now) return false;
  link.holdUntil = null;
  link.usable = true;
  return true;
}

/** Why the vhids of an interface cannot work; null: they can. */
export function linkFault(link: LinkState | undefined, role: string): RoleCause | null {
  if (link?.usable) return null;
  const lost = (is: 'unknown' | 'gone' | 'down' | 'returning'): RoleCause => ({ why: 'link', interface: role, is });
  if (link === undefined) return lost('unknown');
  if (!link.present) return lost('gone');
  return lost(link.up ? 'returning' : 'down');
}
