/**
 * Planned hand-over, for maintenance and for a stop: demote, advertise it, wait until the peer *is* master (its
 * advertisement makes this node BACKUP by the ordinary rules), and only then let go.
 */

import { demoteByte } from '../contract/carp-timers.ts';
import type { HandOverCause, Left, LeftWhy } from '../contract/causes.ts';
import { demotionTotal } from './context.ts';
import { FULL_WEIGHT } from './demotion.ts';
import type { Context, GroupState, VhidState } from './types.ts';
import { advertise, emit, enterInit, ownIntervalUs } from './vhid.ts';

const SECOND = 1_000_000;

export function masters(state: GroupState): VhidState[] {
  return Object.values(state.vhids).filter((v) => v.state === 'MASTER');
}

/** How long to wait for the peer: three of the slowest own intervals as advertised, and a second. */
export function handoverWaitUs(state: GroupState): number {
  const demotion = Math.max(FULL_WEIGHT, demotionTotal(state));
  const slowest = masters(state).reduce((most, v) => Math.max(most, ownIntervalUs(v, demotion)), 0);
  return 3 * slowest + SECOND;
}

/** Why nobody took this vhid, as far as it can be told. */
function whyNot(state: GroupState, v: VhidState): LeftWhy {
  const report = state.peer?.report;
  if (report === undefined) {
    return v.rival === null ? { why: 'nobody_heard' } : { why: 'worse_rival', from: v.rival.from };
  }
  if (report.linkDown.includes(v.config.interface)) return { why: 'peer_link_down' };
  if (report.goingDown) return { why: 'peer_stops' };
  const there = report.vhids[v.config.key];
  if (there === undefined) return { why: 'peer_lacks_vhid' };
  if (there.state === 'INIT') return { why: 'peer_in_init' };
  if (demoteByte(report.demotion) >= demoteByte(demotionTotal(state))) {
    return { why: 'peer_demoted', demotion: report.demotion };
  }
  if (report.inStep === false) return { why: 'peer_not_in_step' };
  return { why: 'peer_did_not', state: there.state };
}

/** The vhids that this node still holds, each with why nobody took it. */
function leftOver(state: GroupState): Left[] {
  return masters(state).map((v) => {
    const { vhid, interface: role } = v.config;
    return { vhid, interface: role, because: whyNot(state, v) };
  });
}

function checkMaintenance(state: GroupState, ctx: Context): void {
  const m = state.maintenance;
  if (!m.on || m.done) return;
  if (masters(state).length === 0) {
    m.done = true;
    m.deadlineUs = null;
    emit(ctx.actions, { kind: 'carp.maintenance', on: true, done: true, cause: { why: 'master_of_nothing' } });
  } else if (m.deadlineUs !== null && m.deadlineUs <= ctx.now) {
    m.deadlineUs = null;
    const cause = { why: 'nobody_took', left: leftOver(state) } as const;
    emit(ctx.actions, { kind: 'carp.maintenance', on: true, done: false, cause });
  }
}

/** @param left the vhids that nobody took over */
function finishStop(state: GroupState, ctx: Context, left: Left[]): void {
  for (const v of masters(state)) advertise(v, ctx, true);
  for (const v of Object.values(state.vhids)) enterInit(v, ctx, { why: 'stopped', left });
  state.stopped = true;
  const clean = left.length === 0;
  const cause: HandOverCause = clean ? { why: 'master_of_nothing' } : { why: 'nobody_took', left };
  ctx.actions.push({ type: 'stopped', clean, cause });
}

/** Looks whether a hand-over is complete or has waited long enough. */
export function checkHandover(state: GroupState, ctx: Context): void {
  checkMaintenance(state, ctx);
  if (state.stopping === null || state.stopped) return;
  if (masters(state).length === 0) finishStop(state, ctx, []);
  else if (state.stopping.deadlineUs <= ctx.now) finishStop(state, ctx, leftOver(state));
}
