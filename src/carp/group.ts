/**
 * All vhids of the node, and what makes them act as one: demotion, links, preemption, planned hand-over, the peer's
 * word. Pure and deterministic: `step` changes the state it is given (plain JSON) and returns the same object.
 *
 * Demotion is one sum for the whole node, so a reason on one interface moves every vhid. Taking the lead from a living
 * master waits until all vhids of the node have listened, and then takes all of them in one step.
 */

import { PAIRED } from '../contract/carp-timers.ts';
import type { RoleCause } from '../contract/causes.ts';
import { contextOf } from './context.ts';
import { FULL_WEIGHT, refuseReason, setReason } from './demotion.ts';
import { checkHandover, handoverWaitUs } from './handover.ts';
import { hear, leadCause } from './hear.ts';
import { changeLink, firstLink, linkFault, linkHeld } from './links.ts';
import {
  advertise,
  armDown,
  downTimeUs,
  emit,
  enterBackup,
  enterInit,
  enterMaster,
  expireBackup,
  expireMaster,
  families,
  ms,
  newVhid,
  takeOver,
  vhidDeadline,
} from './machine.ts';
import { hearPeer, peerDied, peerHolds, stayBehindPeer } from './peer.ts';
import { applyConfig } from './reload.ts';
import { retrySending, sendResult } from './senderr.ts';
import { wakeLate, wasPaired } from './sleep.ts';
import type { Action, Context, GroupConfig, GroupEvent, GroupState, LinkState, VhidState } from './types.ts';

export function createGroup(config: GroupConfig): GroupState {
  return {
    config,
    started: false,
    allow: true,
    lastUs: 0,
    vhids: Object.fromEntries(config.vips.map((vip) => [vip.key, newVhid(vip, 0)])),
    links: {},
    demotions: {},
    maintenance: { on: false, deadlineUs: null, done: false },
    stopping: null,
    stopped: false,
    peer: null,
    paired: false,
  };
}

const list = (state: GroupState): VhidState[] => Object.values(state.vhids);

/**
 * Feeds one event to the group.
 * @param nowUs monotonic microseconds; a clock that goes backwards counts as standing still
 */
export function step(state: GroupState, event: GroupEvent, nowUs: number): { state: GroupState; actions: Action[] } {
  const actions: Action[] = [];
  const slept = nowUs - state.lastUs;
  state.lastUs = Math.max(state.lastUs, nowUs);
  if (state.stopped) return { state, actions };
  if (state.started) wakeLate(state, event, actions, slept);
  handle(state, event, actions);
  if (state.started) runTimers(state, actions);
  checkHandover(state, contextOf(state, actions));
  state.paired = wasPaired(state);
  return { state, actions };
}

/** When `step` must be called again at the latest, with `tick` if nothing else; null: no timer runs. */
export function nextDeadline(state: GroupState): number | null {
  if (state.stopped || !state.started) return null;
  const all = [
    ...list(state).map(vhidDeadline),
    ...Object.values(state.links).map((link) => link.holdUntil),
    state.maintenance.deadlineUs,
    state.stopping?.deadlineUs ?? null,
  ].filter((at) => at !== null);
  return all.length === 0 ? null : Math.min(...all);
}

/** A change of the node's standing is told at once. */
function advertiseAll(state: GroupState, actions: Action[]): void {
  const ctx = contextOf(state, actions);
  for (const v of list(state)) if (v.state === 'MASTER') advertise(v, ctx);
}

function demote(state: GroupState, reason: string, weight: number | null, actions: Action[]): void {
  if (setReason(state, reason, weight, actions)) advertiseAll(state, actions);
}

function demoteFromOutside(state: GroupState, reason: string, weight: number | null, actions: Action[]): void {
  const refused = refuseReason(state, reason, weight);
  if (refused !== null) emit(actions, { kind: 'carp.refused', cause: refused });
  else demote(state, reason, weight, actions);
}

function handle(state: GroupState, event: GroupEvent, actions: Action[]): void {
  switch (event.type) {
    case 'tick':
    case 'stall':
      return;
    case 'advert': {
      const v = state.vhids[event.key];
      if (v !== undefined) hear(v, contextOf(state, actions), event.family, event.advert, event.from);
      return;
    }
    case 'link':
      onLink(state, event.interface, event.up, event.present, actions);
      return;
    case 'demote':
      demoteFromOutside(state, event.reason, event.weight, actions);
      return;
    case 'undemote':
      demoteFromOutside(state, event.reason, null, actions);
      return;
    case 'sendResult':
      onSendResult(state, event.key, event.ok, actions);
      return;
    case 'peer':
    case 'peerDead':
      onPeer(state, event, actions);
      return;
    default:
      handleCommand(state, event, actions);
      return;
  }
}

type Command = Extract<GroupEvent, { type: 'start' | 'stop' | 'maintenance' | 'vip' | 'allow' | 'force' | 'config' }>;

function handleCommand(state: GroupState, event: Command, actions: Action[]): void {
  switch (event.type) {
    case 'start':
      state.started = true;
      for (const v of list(state)) v.sinceUs = state.lastUs;
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

function onVip(state: GroupState, key: string, fault: string | null, actions: Action[]): void {
  const v = state.vhids[key];
  if (v === undefined || v.fault === fault) return;
  v.fault = fault;
  settle(state, v, actions);
  demote(state, `vip:${key}`, fault === null ? null : FULL_WEIGHT, actions);
}

function onForce(state: GroupState, key: string, to: 'MASTER' | 'BACKUP', actions: Action[]): void {
  const v = state.vhids[key];
  if (v === undefined || v.state === 'INIT' || v.state === to) return;
  const ctx = contextOf(state, actions);
  if (to === 'MASTER') enterMaster(v, ctx, { why: 'by_hand' });
  else enterBackup(v, ctx, { why: 'by_hand' });
}

function onSendResult(state: GroupState, key: string, ok: boolean, actions: Action[]): void {
  const v = state.vhids[key];
  if (v === undefined) return;
  const weight = sendResult(v, ok);
  if (weight !== undefined) demote(state, `senderr:${key}`, weight, actions);
}

type PeerEvent = Extract<GroupEvent, { type: 'peer' | 'peerDead' }>;

function onPeer(state: GroupState, event: PeerEvent, actions: Action[]): void {
  if (event.type === 'peerDead' || event.report === null) {
    state.peer = null;
    for (const v of list(state)) v.bothMasterSince = null;
    if (event.type === 'peerDead') peerDied(state, contextOf(state, actions), event.cause);
    return;
  }
  state.peer = { report: event.report, freshUntil: state.lastUs + (state.config.peerFreshUs ?? PAIRED.freshUs) };
  for (const v of list(state)) hearPeer(v, contextOf(state, actions), event.report);
}

/** What a lost link of this interface weighs. */
function linkWeight(state: GroupState, role: string): number {
  const named = state.config.linkWeights?.[role];
  if (named !== undefined) return named;
  return list(state).some((v) => v.config.interface === role) ? FULL_WEIGHT : 0;
}

function weighLink(state: GroupState, role: string, actions: Action[]): void {
  const usable = state.links[role]?.usable ?? true;
  const weight = linkWeight(state, role);
  demote(state, `link:${role}`, usable || weight === 0 ? null : weight, actions);
}

function tellLink(role: string, link: LinkState, now: number, actions: Action[]): void {
  const hold = link.holdUntil === null ? 0 : ms(link.holdUntil - now);
  const { present, up, usable, flaps } = link;
  emit(actions, { kind: 'carp.link', interface: role, present, up, usable, flaps, hold_ms: hold });
}

function onLink(state: GroupState, role: string, up: boolean, present: boolean, actions: Action[]): void {
  const known = state.links[role];
  if (known === undefined) state.links[role] = firstLink(up, present, state.lastUs);
  else if (changeLink(known, up, present, state.lastUs) === null) return;
  const link = state.links[role];
  if (link !== undefined) tellLink(role, link, state.lastUs, actions);
  // First the vhids that can no longer send, then the word to the others on the links that are left.
  settleAll(state, actions);
  weighLink(state, role, actions);
}

/** Why a vhid must be in INIT; null: it may run. */
function blocked(state: GroupState, v: VhidState): RoleCause | null {
  if (!state.allow) return { why: 'allow_off' };
  if (families(v.config).length === 0) return { why: 'no_address' };
  const link = linkFault(state.links[v.config.interface], v.config.interface);
  if (link !== null || v.fault === null) return link;
  return { why: 'address_fault', fault: v.fault };
}

/** Moves a vhid into or out of INIT, whatever its link, its addresses and the switch allow. */
function settle(state: GroupState, v: VhidState, actions: Action[]): void {
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

function settleAll(state: GroupState, actions: Action[]): void {
  for (const v of list(state)) settle(state, v, actions);
}

function runTimers(state: GroupState, actions: Action[]): void {
  for (const [role, link] of Object.entries(state.links)) {
    if (!linkHeld(link, state.lastUs)) continue;
    tellLink(role, link, state.lastUs, actions);
    settleAll(state, actions);
    weighLink(state, role, actions);
  }
  for (const v of list(state)) {
    if (retrySending(v, state, state.lastUs)) demote(state, `senderr:${v.config.key}`, null, actions);
    const ctx = contextOf(state, actions);
    if (v.state === 'MASTER') expireMaster(v, ctx);
    if (v.state === 'BACKUP') runBackup(state, v, ctx);
  }
  leadTogether(state, actions);
}

function runBackup(state: GroupState, v: VhidState, ctx: Context): void {
  const silence = expireBackup(v, ctx);
  if (silence !== null && peerHolds(v, ctx)) {
    stayBehindPeer(v, ctx, silence);
  } else if (silence !== null) {
    takeOver(v, ctx, 'rescue', { why: 'silence', silent_ms: silence });
    if (v.state === 'BACKUP') armDown(v, ctx);
  }
  const pending = v.pending;
  if (v.state !== 'BACKUP' || pending === null || pending.atUs > state.lastUs) return;
  v.pending = null;
  // Meanwhile the node may have been demoted.
  if (pending.kind === 'rescue' || leadCause(v, ctx) !== null) takeOver(v, ctx, pending.kind, pending.cause);
}

/** When one vhid took the lead from a living master in this step, the others do so without waiting for an advert. */
function leadTogether(state: GroupState, actions: Action[]): void {
  const led = actions.some((a) => a.type === 'role' && a.to === 'MASTER' && a.cause.why === 'worse_advert');
  if (!led) return;
  const ctx = contextOf(state, actions);
  for (const v of list(state)) {
    const cause = leadCause(v, ctx);
    if (cause !== null) takeOver(v, ctx, 'lead', cause);
  }
}

export { nodeRole } from './report.ts';
