/**
 * What a valid advertisement of another host does to a vhid: the decision of rules.ts, the master-down timers, and the
 * watch over a second master that does not go away.
 */

import { advertIntervalUs, demoteByte, effectiveSkew } from '../contract/carp-timers.ts';
import type { Decided, RoleCause, Standing } from '../contract/causes.ts';
import { compareAddresses } from '../net/ip.ts';
import { decide, isBowOut, type Tie, type Verdict } from './rules.ts';
import type { Context, Family, HeardAdvert, VhidState } from './types.ts';
import { downTimeUs, emit, enterBackup, lastHeard, ms, ownIntervalUs, place, takeOver } from './vhid.ts';

/** A node that lost the tie steps down at our first advertisement; one that goes on does not hear us. */
const TIE_PATIENCE = 4;
/** With advbase 0 a master that is not taken over from gets three of its own intervals, but not more than this. */
const FAST_PATIENCE_US = 3_000_000;

/** Who wins equal timers: the numerically lower source address. */
function tieOf(v: VhidState, family: Family, from: string): Tie {
  const alone = family === 4 || !v.config.v4;
  const own = alone ? v.config.ownAddress : v.config.ownAddress6;
  const order = own === undefined ? 0 : compareAddresses(own, from);
  if (order === 0) return null;
  return order < 0 ? 'own' : 'peer';
}

export function judge(v: VhidState, ctx: Context, heard: HeardAdvert, tie: Tie): Verdict {
  const own = { advbase: v.config.advbase, advskew: v.config.advskew, demotion: ctx.demotion };
  return decide({ state: v.state === 'MASTER' ? 'MASTER' : 'BACKUP', preempt: ctx.preempt, own, heard, tie });
}

/** A valid advertisement of another host. */
export function hear(v: VhidState, ctx: Context, family: Family, advert: HeardAdvert, from: string): void {
  if (v.state === 'INIT') return;
  if (v.state === 'MASTER') hearAsMaster(v, ctx, family, advert, from);
  else hearAsBackup(v, ctx, family, advert, from);
}

function hearAsMaster(v: VhidState, ctx: Context, family: Family, advert: HeardAdvert, from: string): void {
  const found = judge(v, ctx, advert, tieOf(v, family, from));
  const undecided = found.why === 'tie' && family === 6 && v.config.v4 && awaitsV4(v, ctx);
  if (found.act === 'stepDown' && !undecided) {
    follow(v, ctx, family, advert, from, {
      why: 'better_advert',
      ...explain(v, ctx, advert, from, found),
    });
    return;
  }
  noteRival(v, ctx, family, advert, from);
  if (undecided || v.rival === null || isBowOut(advert)) return;
  v.rival.ties = found.why === 'tie' ? v.rival.ties + 1 : 0;
  if (v.rival.ties < TIE_PATIENCE) {
    reportRival(v, ctx, advert);
    return;
  }
  follow(v, ctx, family, advert, from, { why: 'equal_adverts', from });
}

/** Becomes BACKUP of the sender, with the patience that its advertisement asks for. */
function follow(v: VhidState, ctx: Context, family: Family, advert: HeardAdvert, from: string, cause: RoleCause): void {
  enterBackup(v, ctx, cause);
  remember(v, ctx, family, advert, from);
  const at = ctx.now + patienceUs(v, advert);
  v.down4At = v.config.v4 ? at : null;
  v.down6At = v.config.v6 ? at : null;
}

/**
 * How long to wait for the next advertisement of this master. With advbase 0 a demoted master promises intervals that
 * are longer than our master-down time; whoever follows it gives it three of them.
 */
function patienceUs(v: VhidState, advert: HeardAdvert): number {
  const promised = Math.min(FAST_PATIENCE_US, 3 * advertIntervalUs(advert.advbase, advert.advskew));
  return v.config.advbase === 0 ? Math.max(downTimeUs(v), promised) : downTimeUs(v);
}

/**
 * The two families may order the hosts differently, and then each would let go for the other: IPv4 decides a tie of a
 * vhid that has both, unless the rival has been there for an interval without being heard over IPv4.
 */
function awaitsV4(v: VhidState, ctx: Context): boolean {
  if (v.heard4 !== null && ctx.now - v.heard4.atUs <= downTimeUs(v)) return true;
  return v.rival === null || ctx.now - v.rival.sinceUs <= ownIntervalUs(v, ctx.demotion);
}

function remember(v: VhidState, ctx: Context, family: Family, advert: HeardAdvert, from: string): void {
  const heard = { advbase: advert.advbase, advskew: advert.advskew, demote: advert.demote, from, atUs: ctx.now };
  if (family === 4) v.heard4 = heard;
  else v.heard6 = heard;
}

/** Another master is heard that this one outranks. */
function noteRival(v: VhidState, ctx: Context, family: Family, advert: HeardAdvert, from: string): void {
  remember(v, ctx, family, advert, from);
  const intervalUs = advertIntervalUs(advert.advbase, advert.advskew);
  if (v.rival === null) {
    v.rival = { from, sinceUs: ctx.now, lastUs: ctx.now, intervalUs, ties: 0, reported: false };
    // Whoever listened to the other one must learn at once where the addresses are.
    ctx.actions.push({ type: 'announce', key: v.config.key, cause: { why: 'rival', from } });
  }
  v.rival.lastUs = ctx.now;
  v.rival.intervalUs = intervalUs;
}

/** A rival that hears us stops within one of our intervals; the quarter is for the way. */
function reportRival(v: VhidState, ctx: Context, advert: HeardAdvert): void {
  const rival = v.rival;
  if (rival === null || rival.reported) return;
  const interval = ownIntervalUs(v, ctx.demotion);
  if (ctx.now - rival.sinceUs <= interval + interval / 4) return;
  rival.reported = true;
  emit(ctx.actions, {
    kind: 'carp.dual_master',
    ...place(v),
    from: rival.from,
    for_ms: ms(ctx.now - rival.sinceUs),
    own: { advbase: v.config.advbase, advskew: effectiveSkew(v.config.advskew, ctx.demotion) },
    heard: { advbase: advert.advbase, advskew: advert.advskew, demote: advert.demote },
    cause: { why: 'deaf_rival', from: rival.from, interface: v.config.interface },
  });
}

function hearAsBackup(v: VhidState, ctx: Context, family: Family, advert: HeardAdvert, from: string): void {
  remember(v, ctx, family, advert, from);
  v.pending = null;
  restart(v, ctx, family, advert);
  if (v.multicastLost) {
    v.multicastLost = false;
    emit(ctx.actions, { kind: 'carp.multicast_back', ...place(v), from });
  }
  const found = judge(v, ctx, advert, null);
  if (found.act !== 'takeOver') return;
  if (found.why === 'bowOut') takeOver(v, ctx, 'rescue', { why: 'bow_out', from });
  else takeOver(v, ctx, 'lead', { why: 'worse_advert', ...explain(v, ctx, advert, from, found), together: false });
}

/** Why to take the lead from the master heard last, together with another vhid; null: no cause. */
export function leadCause(v: VhidState, ctx: Context): RoleCause | null {
  const heard = lastHeard(v);
  if (v.state !== 'BACKUP' || heard === null || ctx.now - heard.atUs > downTimeUs(v)) return null;
  const found = judge(v, ctx, heard, null);
  if (found.act !== 'takeOver') return null;
  return { why: 'worse_advert', ...explain(v, ctx, heard, heard.from, found), together: true };
}

/** Restarts the master-down timer of one family and notices when only the other one still gets through. */
function restart(v: VhidState, ctx: Context, family: Family, advert: HeardAdvert): void {
  const patience = patienceUs(v, advert);
  if (family === 4 && v.config.v4) v.down4At = ctx.now + patience;
  if (family === 6 && v.config.v6) v.down6At = ctx.now + patience;
  v.graced = false;
  const other: Family = family === 4 ? 6 : 4;
  const otherConfigured = family === 4 ? v.config.v6 : v.config.v4;
  const otherSilent = (family === 4 ? v.down6At : v.down4At) === null;
  if (v.silent === family) v.silent = null;
  if (!otherConfigured || !otherSilent || v.silent === other) return;
  v.silent = other;
  const cause = { why: 'one_family', heard: family, silent: other, interface: v.config.interface } as const;
  emit(ctx.actions, { kind: 'carp.family_silent', ...place(v), family: other, cause });
}

/** What was compared, for a verdict that acts. */
interface Explained {
  from: string;
  by: Decided;
  own: Standing;
  heard: Standing;
}

function explain(v: VhidState, ctx: Context, heard: HeardAdvert, from: string, { why }: Verdict): Explained {
  const by = why === 'none' || why === 'bowOut' ? 'timers' : why;
  const { advbase, advskew, demote } = heard;
  return { from, by, own: ownStanding(v, ctx), heard: { advbase, advskew, demote } };
}

/** This node's side of a comparison, demotion included. */
export function ownStanding(v: VhidState, ctx: Context): Standing {
  const advskew = effectiveSkew(v.config.advskew, ctx.demotion);
  return { advbase: v.config.advbase, advskew, demote: demoteByte(ctx.demotion) };
}
