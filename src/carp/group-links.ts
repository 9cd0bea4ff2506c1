/** What the links of the interfaces do to the group: vhids leave and enter INIT, and a lost link demotes the node. */

import { FULL_WEIGHT } from './demotion.ts';
import { changeLink, firstLink, linkHeld } from './links.ts';
import { settleAll } from './settle.ts';
import { demote } from './standing.ts';
import type { Action, GroupState, LinkState } from './types.ts';
import { emit, ms } from './vhid.ts';

/** What a lost link of this interface weighs. */
function linkWeight(state: GroupState, role: string): number {
  const named = state.config.linkWeights?.[role];
  if (named !== undefined) return named;
  return Object.values(state.vhids).some((v) => v.config.interface === role) ? FULL_WEIGHT : 0;
}

export function weighLink(state: GroupState, role: string, actions: Action[]): void {
  const usable = state.links[role]?.usable ?? true;
  const weight = linkWeight(state, role);
  demote(state, `link:${role}`, usable || weight === 0 ? null : weight, actions);
}

function tellLink(role: string, link: LinkState, now: number, actions: Action[]): void {
  const hold = link.holdUntil === null ? 0 : ms(link.holdUntil - now);
  const { present, up, usable, flaps } = link;
  emit(actions, { kind: 'carp.link', interface: role, present, up, usable, flaps, hold_ms: hold });
}

export function onLink(state: GroupState, role: string, up: boolean, present: boolean, actions: Action[]): void {
  const known = state.links[role];
  if (known === undefined) state.links[role] = firstLink(up, present, state.lastUs);
  else if (changeLink(known, up, present, state.lastUs) === null) return;
  const link = state.links[role];
  if (link !== undefined) tellLink(role, link, state.lastUs, actions);
  // First the vhids that can no longer send, then the word to the others on the links that are left.
  settleAll(state, actions);
  weighLink(state, role, actions);
}

/** Links that came back and have stayed for long enough are used again. */
export function expireLinks(state: GroupState, actions: Action[]): void {
  for (const [role, link] of Object.entries(state.links)) {
    if (!linkHeld(link, state.lastUs)) continue;
    tellLink(role, link, state.lastUs, actions);
    settleAll(state, actions);
    weighLink(state, role, actions);
  }
}
