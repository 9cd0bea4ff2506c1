/**
 * Planned hand-over, for maintenance and for a stop: demote, advertise it, wait until the peer *is* master (its
 * advertisement makes this node BACKUP by the ordinary rules), and only then let go.
 */

import { demoteByte } from '../contract/carp-timers.ts';
import { demotionTotal } from './context.ts';
import { FULL_WEIGHT } from './demotion.ts';
import { advertise, emit, enterInit, ownIntervalUs } from './machine.ts';
import type { Context, GroupState, VhidState } from './types.ts';

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
function whyNot(state: GroupState, v: VhidState): string {
  const name = `vhid ${v.config.vhid} on ${v.config.interface}`;
  const report = state.peer?.report;
  if (report === undefined) {
    if (v.rival === null) return `${name}: no other node was heard`;
    return `${name}: ${v.rival.from} is there, but is the worse master`;
  }
  if (report.linkDown.includes(v.config.interface)) return `${name}: the peer's link is down`;
  if (report.goingDown) return `${name}: the peer is going down itself`;
  const there = report.vhids[v.config.key];
  if (there === undefined) return `${name}: the peer does not have this vhid`;
  if (there.state === 'INIT') return `${name}: the peer's vhid is in INIT`;
  if (demoteByte(report.demotion) >= demoteByte(demotionTotal(state))) {
    return `${name}: the peer is demoted by ${report.demotion} itself`;
  }
  if (report.inStep === false) return `${name}: the peer is not in step`;
  return `${name}: the peer is ${there.state} and did not take over; do adverts reach it?`;
}

function whyNobody(state: GroupState): string {
  const list = masters(state).map((v) => whyNot(state, v));
  return `nobody took over ${list.join('; ')}`;
}

function checkMaintenance(state: GroupState, ctx: Context): void {
  const m = state.maintenance;
  if (!m.on || m.done) return;
  if (masters(state).length === 0) {
    m.done = true;
    m.deadlineUs = null;
    emit(ctx.actions, { kind: 'carp.maintenance', on: true, done: true, reason: 'this node is master of nothing' });
  } else if (m.deadlineUs !== null && m.deadlineUs <= ctx.now) {
    m.deadlineUs = null;
    emit(ctx.actions, { kind: 'carp.maintenance', on: true, done: false, reason: whyNobody(state) });
  }
}

function finishStop(state: GroupState, ctx: Context, clean: boolean, reason: string): void {
  for (const v of masters(state)) advertise(v, ctx, true);
  for (const v of Object.values(state.vhids)) enterInit(v, ctx, clean ? 'stopped' : `stopped: ${reason}`);
  state.stopped = true;
  ctx.actions.push({ type: 'stopped', clean, reason });
}

/** Looks whether a hand-over is complete or has waited long enough. */
export function checkHandover(state: GroupState, ctx: Context): void {
  checkMaintenance(state, ctx);
  if (state.stopping === null || state.stopped) return;
  if (masters(state).length === 0) finishStop(state, ctx, true, 'master of nothing');
  else if (state.stopping.deadlineUs <= ctx.now) finishStop(state, ctx, false, whyNobody(state));
}
