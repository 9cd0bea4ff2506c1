/**
 * The node's standing: demotion weighs on all vhids at once, so each change of the sum is advertised at once on all of
 * them.
 */

import { contextOf } from './context.ts';
import { refuseReason, setReason } from './demotion.ts';
import type { Action, GroupState } from './types.ts';
import { advertise, emit } from './vhid.ts';

/** A change of the node's standing is told at once. */
function advertiseAll(state: GroupState, actions: Action[]): void {
  const ctx = contextOf(state, actions);
  for (const v of Object.values(state.vhids)) if (v.state === 'MASTER') advertise(v, ctx);
}

export function demote(state: GroupState, reason: string, weight: number | null, actions: Action[]): void {
  if (setReason(state, reason, weight, actions)) advertiseAll(state, actions);
}

/** A demotion that another part of the node, or a user, asks for. */
export function demoteFromOutside(state: GroupState, reason: string, weight: number | null, actions: Action[]): void {
  const refused = refuseReason(state, reason, weight);
  if (refused !== null) emit(actions, { kind: 'carp.refused', cause: refused });
  else demote(state, reason, weight, actions);
}
