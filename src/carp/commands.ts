/**
 * What the node and its user tell the group to do: start, stop, maintenance, a lost address, a role by hand, a
 * configuration.
 */

import type { VhidKey } from '../contract/vhid-key.ts';
import { contextOf } from './context.ts';
import { FULL_WEIGHT } from './demotion.ts';
import { weighLink } from './group-links.ts';
import { handoverWaitUs } from './handover.ts';
import { applyConfig } from './reload.ts';
import { settle, settleAll } from './settle.ts';
import { demote, weighSources } from './standing.ts';
import type { Action, GroupEvent, GroupState } from './types.ts';
import { emit, enterBackup, enterMaster } from './vhid.ts';

type Command = Extract<GroupEvent, { type: 'start' | 'stop' | 'maintenance' | 'vip' | 'allow' | 'force' | 'config' }>;

export function handleCommand(state: GroupState, event: Command, actions: Action[]): void {
  switch (event.type) {
    case 'start':
      state.started = true;
      for (const v of Object.values(state.vhids)) v.sinceUs = state.lastUs;
      weighSources(state, actions);
      settleAll(state, actions);
      return;
    case 'stop':
      if (state.stopping !== null) return;
      state.stopping = { deadlineUs: state.lastUs + handoverWaitUs(state) };
      demote(state, 'shutdown', FULL_WEIGHT, actions);
      return;
    case 'maintenance':
      onMaintenance(state, event.on, actions);
      return;
    case 'vip':
      onVip(state, event.key, event.ok ? null : event.reason, actions);
      return;
    case 'allow':
      state.allow = event.on;
      settleAll(state, actions);
      return;
    case 'force':
      onForce(state, event.key, event.state, actions);
      return;
    case 'config':
      applyConfig(state, event.config, actions);
      for (const role of Object.keys(state.links)) weighLink(state, role, actions);
      weighSources(state, actions);
      settleAll(state, actions);
      return;
  }
}

function onMaintenance(state: GroupState, on: boolean, actions: Action[]): void {
  if (state.maintenance.on === on) return;
  const deadlineUs = on ? state.lastUs + handoverWaitUs(state) : null;
  state.maintenance = { on, deadlineUs, done: false };
  demote(state, 'maintenance', on ? FULL_WEIGHT : null, actions);
  if (!on) emit(actions, { kind: 'carp.maintenance', on: false, done: true, cause: { why: 'switched_off' } });
}

function onVip(state: GroupState, key: VhidKey, fault: string | null, actions: Action[]): void {
  const v = state.vhids[key];
  if (v === undefined || v.fault === fault) return;
  v.fault = fault;
  settle(state, v, actions);
  demote(state, `vip:${key}`, fault === null ? null : FULL_WEIGHT, actions);
}

function onForce(state: GroupState, key: VhidKey, to: 'MASTER' | 'BACKUP', actions: Action[]): void {
  const v = state.vhids[key];
  if (v === undefined || v.state === 'INIT' || v.state === to) return;
  const ctx = contextOf(state, actions);
  if (to === 'MASTER') enterMaster(v, ctx, { why: 'by_hand' });
  else enterBackup(v, ctx, { why: 'by_hand' });
}
