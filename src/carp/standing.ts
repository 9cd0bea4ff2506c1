/**
 * The node's standing: demotion weighs on all vhids at once, so each change of the sum is advertised at once on all of
 * them.
 */

import { contextOf } from './context.ts';
import { FULL_WEIGHT, refuseReason, setReason } from './demotion.ts';
import type { Action, Family, GroupState } from './types.ts';
import { advertise, emit } from './vhid.ts';

/** A change of the node's standing is told at once. */
function advertiseAll(state: GroupState, actions: Action[]): void {
  const ctx = contextOf(state, actions);
  for (const v of Object.values(state.vhids)) if (v.state === 'MASTER') advertise(v, ctx);
}

export function demote(state: GroupState, reason: string, weight: number | null, actions: Action[]): void {
  if (setReason(state, reason, weight, actions)) advertiseAll(state, actions);
}

/** A role whose device cannot advertise a family of its vhids demotes the node: the peer is the better master. */
export function weighSources(state: GroupState, actions: Action[]): void {
  const vhids = Object.values(state.vhids);
  const reason = (role: string, family: Family): string => `no_ipv${family}:${role}`;
  const wanted = new Set(vhids.flatMap(({ config: c }) => (c.lacking ?? []).map((f) => reason(c.interface, f))));
  const over = Object.keys(state.demotions).filter((name) => /^no_ipv[46]:/.test(name) && !wanted.has(name));
  for (const name of over) demote(state, name, null, actions);
  for (const name of wanted) demote(state, name, FULL_WEIGHT, actions);
}

/** A demotion that another part of the node, or a user, asks for. */
export function demoteFromOutside(state: GroupState, reason: string, weight: number | null, actions: Action[]): void {
  const refused = refuseReason(state, reason, weight);
  if (refused !== null) emit(actions, { kind: 'carp.refused', cause: refused });
  else demote(state, reason, weight, actions);
}
