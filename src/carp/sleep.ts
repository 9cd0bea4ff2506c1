/**
 * Invariant 7: who did not run for its master-down time has lost its role. Two limits: the protocol's, and the shorter
 * one of a pair with early take-over, where the kernel closes the gate and the other node follows sooner. Pure.
 */

import { PAIRED } from '../contract/carp-timers.ts';
import { contextOf } from './context.ts';
import type { Action, Context, GroupEvent, GroupState, VhidState } from './types.ts';
import { armDown, downTimeUs, emit, enterBackup, ms, ownIntervalUs } from './vhid.ts';

/**
 * First thing in each step, whatever the event says. A `stall` is the loop's word that nothing ran, so that the shorter
 * limit of a pair counts as well; for all vhids at once, whatever their own timers are, since all gates closed.
 */
export function wakeLate(state: GroupState, event: GroupEvent, actions: Action[], slept: number): void {
  const ctx = contextOf(state, actions);
  const stalled = event.type === 'stall' ? event.sleptUs : 0;
  const late = (v: VhidState): boolean => {
    if (v.state === 'MASTER')
      return slept > Math.max(longestNap(v, ctx), pairedBefore(state, slept) ? PAIRED.napUs : 0);
    const last = Math.max(v.down4At ?? 0, v.down6At ?? 0);
    return v.state === 'BACKUP' && last > 0 && state.lastUs - last > downTimeUs(v);
  };
  const told = (v: VhidState): boolean => {
    if (v.state === 'INIT') return false;
    return stalled > (v.state === 'MASTER' && pairedBefore(state, stalled) ? PAIRED.napUs : downTimeUs(v));
  };
  const all = Object.values(state.vhids);
  const asleep = all.filter((v) => late(v) || told(v));
  if (asleep.length > 0) fellAsleep(ctx, all.some(late) ? slept : stalled, asleep);
}

/**
 * Whether the peer was heard just before this node fell asleep, and early take-over is in use. Such a peer does not
 * follow the silence of adverts alone, so a short stumble of a fast profile changes no role; and with slow timers it
 * does not wait for them, so neither may this node.
 */
export function wasPaired(state: GroupState, sleptUs = 0): boolean {
  return state.config.early === true && state.peer !== null && state.peer.freshUntil >= state.lastUs - sleptUs;
}

/** `wasPaired`, or this node counted on it when it last did anything. */
function pairedBefore(state: GroupState, sleptUs: number): boolean {
  return state.paired || wasPaired(state, sleptUs);
}

/** A demoted master with advbase 0 has intervals longer than its master-down time: between them it may rest. */
function longestNap(v: VhidState, ctx: Context): number {
  const interval = ownIntervalUs(v, ctx.demotion);
  return interval < downTimeUs(v) ? downTimeUs(v) : interval + downTimeUs(v);
}

function fellAsleep(ctx: Context, slept: number, late: VhidState[]): void {
  for (const v of late) {
    const limit_ms = slept > downTimeUs(v) ? ms(downTimeUs(v)) : null;
    const cause = { why: 'slept', slept_ms: ms(slept), limit_ms } as const;
    v.pending = null;
    // As after a boot: what waited in the socket meanwhile is old, and must not be answered with a take-over.
    v.listenUntil = ctx.now + downTimeUs(v);
    if (v.state === 'MASTER') enterBackup(v, ctx, cause);
    else armDown(v, ctx);
  }
  emit(ctx.actions, { kind: 'carp.stall', slept_ms: ms(slept) });
}
