/**
 * A new configuration as a difference: what did not change is not touched, and nothing that stays changes its role.
 */

import { contextOf, demotionTotal } from './context.ts';
import { setReason } from './demotion.ts';
import type { Action, GroupConfig, GroupState, VhidConfig, VhidState } from './types.ts';
import { advertise, armDown, enterInit, newVhid } from './vhid.ts';

function removeVhid(state: GroupState, v: VhidState, actions: Action[]): void {
  const ctx = contextOf(state, actions);
  if (v.state === 'MASTER') advertise(v, ctx, true);
  enterInit(v, ctx, { why: 'removed' });
  const { key } = v.config;
  delete state.vhids[key];
  for (const reason of [`senderr:${key}`, `vip:${key}`]) setReason(state, reason, null, actions);
}

const timersOf = (c: VhidConfig): string => [c.advbase, c.advskew, c.v4, c.v6].join('/');

function changeVhid(state: GroupState, v: VhidState, config: VhidConfig, actions: Action[]): void {
  const same = timersOf(v.config) === timersOf(config);
  v.config = config;
  if (same) return;
  const ctx = contextOf(state, actions);
  // A longer interval must be promised before the backups' patience with the old one ends.
  if (v.state === 'MASTER') advertise(v, ctx);
  if (v.state === 'BACKUP') armDown(v, ctx);
}

/** Applies a configuration. Vhids that are new stay in INIT until the caller settles them. */
export function applyConfig(state: GroupState, config: GroupConfig, actions: Action[]): void {
  const wanted = new Map(config.vips.map((vip) => [vip.key, vip]));
  const total = demotionTotal(state);
  for (const v of Object.values(state.vhids)) {
    const next = wanted.get(v.config.key);
    if (next === undefined) removeVhid(state, v, actions);
    else changeVhid(state, v, next, actions);
  }
  state.config = config;
  for (const [key, vip] of wanted) state.vhids[key] ??= newVhid(vip, state.lastUs);
  if (demotionTotal(state) === total) return;
  const ctx = contextOf(state, actions);
  for (const v of Object.values(state.vhids)) if (v.state === 'MASTER') advertise(v, ctx);
}
