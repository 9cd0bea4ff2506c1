/**
 * One vhid: INIT, BACKUP, MASTER, its state changes and its timers (what an advertisement does stands in hear.ts).
 * Pure: the functions change the state they are given and append to `ctx.actions`; no clock, no randomness, no I/O.
 *
 * Different from the BSDs on purpose: a vhid with both families becomes MASTER when *both* master-down timers have
 * expired, not the first of them. A segment that eats only one family would otherwise make two masters in turn.
 */

import { advertIntervalUs, demoteByte, effectiveSkew, masterDownUs } from '../contract/carp-timers.ts';
import type { RivalEnd, RoleCause } from '../contract/causes.ts';
import type { NodeEvent } from '../contract/events.ts';
import type { VhidKey } from '../contract/vhid-key.ts';
import type { Action, CarpState, Context, Family, Heard, TakeOverKind, VhidConfig, VhidState } from './types.ts';

const SECOND = 1_000_000;
/**
 * Neighbours that missed the first announcement hear one of these. The two early ones are for switches: the last frame
 * of a former master that only just lets go may move the virtual MAC back to its port.
 */
const ANNOUNCE_AGAIN_US = [SECOND / 10, SECOND / 4, SECOND, 5 * SECOND];
/** A timer this late may have overtaken packets that wait in the socket: they get this long to be read, once. */
const LATE_US = 10_000;

export function emit(actions: Action[], event: NodeEvent): void {
  actions.push({ type: 'event', event });
}

export const ms = (us: number): number => Math.floor(us / 1000);

export function newVhid(config: VhidConfig, now: number): VhidState {
  return {
    config,
    state: 'INIT',
    sinceUs: now,
    cause: { why: 'not_started' },
    fault: null,
    advertAt: null,
    down4At: null,
    down6At: null,
    graced: false,
    listenUntil: now,
    pending: null,
    heard4: null,
    heard6: null,
    silent: null,
    announceAt: [],
    rival: null,
    multicastLost: false,
    peerWasMaster: false,
    bothMasterSince: null,
    sendErrors: 0,
    sendOks: 0,
    sendRetryAt: null,
    sendFailures: 0,
  };
}

/** This vhid's own patience with a silent master, in microseconds. */
export function downTimeUs(v: VhidState): number {
  return masterDownUs(v.config.advbase, v.config.advskew);
}

/** Interval between own advertisements, demotion included. */
export function ownIntervalUs(v: VhidState, demotion: number): number {
  return advertIntervalUs(v.config.advbase, effectiveSkew(v.config.advskew, demotion));
}

export function families(config: VhidConfig): Family[] {
  const list: Family[] = [];
  if (config.v4) list.push(4);
  if (config.v6) list.push(6);
  return list;
}

/** The advertisement of the better-known family; null: no master heard since the vhid left MASTER or INIT. */
export function lastHeard(v: VhidState): Heard | null {
  if (v.heard4 === null || v.heard6 === null) return v.heard4 ?? v.heard6;
  return v.heard6.atUs > v.heard4.atUs ? v.heard6 : v.heard4;
}

function change(v: VhidState, ctx: Context, to: CarpState, cause: RoleCause): void {
  ctx.actions.push({ type: 'role', key: v.config.key, from: v.state, to, cause });
  v.state = to;
  v.sinceUs = ctx.now;
  v.cause = cause;
  v.advertAt = null;
  v.down4At = null;
  v.down6At = null;
  v.graced = false;
  v.pending = null;
  v.silent = null;
  v.announceAt = [];
  v.bothMasterSince = null;
}

function endRival(v: VhidState, ctx: Context, cause: RivalEnd): void {
  if (v.rival?.reported) {
    emit(ctx.actions, { kind: 'carp.dual_master_healed', ...place(v), from: v.rival.from, cause });
  }
  v.rival = null;
}

/** The fields that say which vhid an event is about. */
export function place(v: VhidState): { key: VhidKey; vhid: number; interface: string } {
  return { key: v.config.key, vhid: v.config.vhid, interface: v.config.interface };
}

/** Arms the master-down timer of every family that has addresses. */
export function armDown(v: VhidState, ctx: Context): void {
  const at = ctx.now + downTimeUs(v);
  v.down4At = v.config.v4 ? at : null;
  v.down6At = v.config.v6 ? at : null;
  v.graced = false;
}

export function enterInit(v: VhidState, ctx: Context, cause: RoleCause): void {
  if (v.state === 'INIT') return;
  endRival(v, ctx, cause);
  change(v, ctx, 'INIT', cause);
  v.heard4 = null;
  v.heard6 = null;
  v.multicastLost = false;
}

export function enterBackup(v: VhidState, ctx: Context, cause: RoleCause): void {
  endRival(v, ctx, cause);
  change(v, ctx, 'BACKUP', cause);
  armDown(v, ctx);
}

/** Gate open, advertisement, announcement: in this order. */
export function enterMaster(v: VhidState, ctx: Context, cause: RoleCause): void {
  change(v, ctx, 'MASTER', cause);
  v.heard4 = null;
  v.heard6 = null;
  v.multicastLost = false;
  v.peerWasMaster = false;
  advertise(v, ctx);
  ctx.actions.push({ type: 'announce', key: v.config.key, cause });
  v.announceAt = ANNOUNCE_AGAIN_US.map((later) => ctx.now + later);
}

/** Sends an advertisement at once and starts the interval anew. */
export function advertise(v: VhidState, ctx: Context, bowOut = false): void {
  ctx.actions.push({
    type: 'sendAdvert',
    key: v.config.key,
    advbase: bowOut ? 255 : v.config.advbase,
    advskew: bowOut ? 255 : effectiveSkew(v.config.advskew, ctx.demotion),
    demote: demoteByte(ctx.demotion),
    families: families(v.config),
    bowOut,
  });
  v.advertAt = bowOut ? null : ctx.now + ownIntervalUs(v, ctx.demotion);
}

/**
 * Becomes MASTER, or waits until the vhid (for `lead`: the whole group) has listened long enough.
 * A stopping node never does.
 */
export function takeOver(v: VhidState, ctx: Context, kind: TakeOverKind, cause: RoleCause): void {
  if (v.state !== 'BACKUP' || ctx.frozen) return;
  const hold = kind === 'lead' ? Math.max(v.listenUntil, ctx.groupListenUntil) : v.listenUntil;
  if (ctx.now < hold) v.pending = { atUs: hold, kind, cause };
  else enterMaster(v, ctx, cause);
}

/** The earliest point in time at which `expire` has something to do; null: none. */
export function vhidDeadline(v: VhidState): number | null {
  const rivalAt = v.rival === null ? null : rivalOver(v, v.rival);
  const all = [v.advertAt, v.down4At, v.down6At, v.pending?.atUs ?? null, v.sendRetryAt, rivalAt, ...v.announceAt];
  return all.reduce<number | null>((least, at) => (at !== null && (least === null || at < least) ? at : least), null);
}

/** Silent for two intervals of the slower side: the rival is gone. */
function rivalOver(v: VhidState, rival: { lastUs: number; intervalUs: number }): number {
  // A bow-out promises 256 s; nobody waits for that.
  const theirs = Math.min(rival.intervalUs, 3 * SECOND);
  return rival.lastUs + 2 * Math.max(theirs, advertIntervalUs(v.config.advbase, v.config.advskew));
}

/** Runs the timers of a MASTER that are due. */
export function expireMaster(v: VhidState, ctx: Context): void {
  if (v.advertAt !== null && v.advertAt <= ctx.now) advertise(v, ctx);
  if (v.announceAt.some((at) => at <= ctx.now)) {
    v.announceAt = v.announceAt.filter((at) => at > ctx.now);
    const cause = { why: 'again' } as const;
    ctx.actions.push({ type: 'announce', key: v.config.key, cause });
    // The early ones are for switches alone; with the later ones whoever has a hook can do its part again, too.
    if (v.announceAt.length < 2) emit(ctx.actions, { kind: 'carp.announced', ...place(v), cause });
  }
  if (v.rival !== null && rivalOver(v, v.rival) <= ctx.now) {
    const { from } = v.rival;
    endRival(v, ctx, { why: 'rival_silent', from });
    ctx.actions.push({ type: 'announce', key: v.config.key, cause: { why: 'split_healed', from } });
  }
}

/**
 * Runs the timers of a BACKUP that are due.
 * @returns how long no family has been heard, ms: long enough to take over; null: the master is heard, or may be.
 */
export function expireBackup(v: VhidState, ctx: Context): number | null {
  const due = (at: number | null): boolean => at !== null && at <= ctx.now;
  const latest = Math.max(v.down4At ?? 0, v.down6At ?? 0);
  if (!due(v.down4At) && !due(v.down6At)) return null;
  if (latest > ctx.now) {
    if (due(v.down4At)) v.down4At = null;
    if (due(v.down6At)) v.down6At = null;
    return null;
  }
  if (!v.graced && ctx.now - latest >= LATE_US) {
    v.graced = true;
    v.down4At = v.config.v4 ? ctx.now + LATE_US : null;
    v.down6At = v.config.v6 ? ctx.now + LATE_US : null;
    return null;
  }
  return ms(ctx.now - Math.max(v.sinceUs, lastHeard(v)?.atUs ?? 0));
}
