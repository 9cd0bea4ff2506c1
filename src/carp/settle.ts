/** Moves vhids into and out of INIT: only a vhid whose link, addresses and switch allow it may run. */

import type { RoleCause } from '../contract/causes.ts';
import { contextOf } from './context.ts';
import { linkFault } from './links.ts';
import type { Action, GroupState, VhidState } from './types.ts';
import { advertise, downTimeUs, enterBackup, enterInit, families } from './vhid.ts';

/** Why a vhid must be in INIT; null: it may run. */
function blocked(state: GroupState, v: VhidState): RoleCause | null {
  if (!state.allow) return { why: 'allow_off' };
  const link = linkFault(state.links[v.config.interface], v.config.interface);
  if (link !== null) return link;
  if (families(v.config).length === 0) return { why: 'no_address' };
  if (v.fault === null) return null;
  return { why: 'address_fault', fault: v.fault };
}

/** Moves a vhid into or out of INIT, whatever its link, its addresses and the switch allow. */
export function settle(state: GroupState, v: VhidState, actions: Action[]): void {
  if (!state.started || state.stopped) return;
  const why = blocked(state, v);
  const ctx = contextOf(state, actions);
  if (why !== null) {
    const canSay = v.state === 'MASTER' && state.links[v.config.interface]?.usable === true;
    if (canSay) advertise(v, ctx, true);
    if (v.state === 'INIT') v.cause = why;
    enterInit(v, ctx, why);
  } else if (v.state === 'INIT' && state.stopping === null) {
    enterBackup(v, ctx, { why: 'listening' });
    v.listenUntil = ctx.now + (state.config.startHoldUs > 0 ? state.config.startHoldUs : downTimeUs(v));
  }
}

export function settleAll(state: GroupState, actions: Action[]): void {
  for (const v of Object.values(state.vhids)) settle(state, v, actions);
}
