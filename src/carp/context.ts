/** What one vhid's functions may know of the whole group. */

import type { Action, Context, GroupState } from './types.ts';

/** Sum of all demotion weights; may be negative or above 255. */
export function demotionTotal(state: GroupState): number {
  let total = 0;
  for (const weight of Object.values(state.demotions)) total += weight;
  return total;
}

/** A snapshot of the group for the functions of one vhid: take a new one after anything about the group changed. */
export function contextOf(state: GroupState, actions: Action[]): Context {
  let groupListenUntil = 0;
  for (const v of Object.values(state.vhids)) {
    if (v.state === 'BACKUP') groupListenUntil = Math.max(groupListenUntil, v.listenUntil);
  }
  return {
    now: state.lastUs,
    preempt: state.config.preempt,
    demotion: demotionTotal(state),
    groupListenUntil,
    frozen: state.stopping !== null,
    peer: state.peer,
    actions,
  };
}
