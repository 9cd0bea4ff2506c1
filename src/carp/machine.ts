/**
 * All vhids of the node, and what makes them act as one: demotion, links, preemption, planned hand-over, the peer's
 * word. Pure and deterministic: `step` changes the state it is given (plain JSON) and returns the same object.
 *
 * Demotion is one sum for the whole node, so a reason on one interface moves every vhid. Taking the lead from a living
 * master waits until all vhids of the node have listened, and then takes all of them in one step.
 */

import { PAIRED } from '../contract/carp-timers.ts';
import type { VhidKey } from '../contract/vhid-key.ts';
import { handleCommand } from './commands.ts';
import { contextOf } from './context.ts';
import { expireLinks, onLink } from './group-links.ts';
import { checkHandover } from './handover.ts';
import { hear, leadCause } from './hear.ts';
import { hearPeer, peerDied, peerHolds, stayBehindPeer } from './peer.ts';
import { retrySending, sendResult } from './senderr.ts';
import { wakeLate, wasPaired } from './sleep.ts';
import { demote, demoteFromOutside } from './standing.ts';
import type { Action, Context, GroupConfig, GroupEvent, GroupState, VhidState } from './types.ts';
import { armDown, expireBackup, expireMaster, newVhid, takeOver, vhidDeadline } from './vhid.ts';

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

function onSendResult(state: GroupState, key: VhidKey, ok: boolean, actions: Action[]): void {
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

function runTimers(state: GroupState, actions: Action[]): void {
  expireLinks(state, actions);
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
