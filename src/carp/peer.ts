/**
 * The second path: what the peer says over the authenticated sync link. It keeps a backup that hears no
 * advertisements from becoming a second master, and lets it take over at once when the peer says that it cannot go on.
 * A report counts for a short while only (`peerFreshUs`), so the sync layer repeats it with every heartbeat; otherwise
 * the last words of a node that died would hold its backup back for longer than the protocol's own time.
 */

import { demoteByte } from '../contract/carp-timers.ts';
import type { PeerDead, RoleCause } from '../contract/causes.ts';
import { compareAddresses } from '../net/ip.ts';
import { judge, ownStanding } from './hear.ts';
import type { Tie } from './rules.ts';
import type { Context, GroupState, PeerReport, PeerVhid, VhidState } from './types.ts';
import { advertise, downTimeUs, emit, enterBackup, families, place, takeOver } from './vhid.ts';

/** What keeps the peer from going on with this vhid; null: nothing that it has reported. */
function peerFault(v: VhidState, report: PeerReport): RoleCause | null {
  const role = v.config.interface;
  if (report.linkDown.includes(role)) return { why: 'peer_link_down', interface: role };
  if (report.vhids[v.config.key]?.state === 'INIT') return { why: 'peer_gave_up' };
  return report.goingDown ? { why: 'peer_stops' } : null;
}

/** The peer says, freshly, that it is MASTER of this vhid and fit to be. */
export function peerHolds(v: VhidState, ctx: Context): boolean {
  if (ctx.peer === null || ctx.now > ctx.peer.freshUntil) return false;
  const { report } = ctx.peer;
  if (peerFault(v, report) !== null) return false;
  return report.vhids[v.config.key]?.state === 'MASTER';
}

/**
 * A master-down timer expired, but the peer is MASTER over the sync link: advertisements are being eaten. The timer now
 * runs until that word is stale.
 */
export function stayBehindPeer(v: VhidState, ctx: Context, silentMs: number): void {
  const until = (ctx.peer?.freshUntil ?? ctx.now) + 1;
  v.down4At = v.config.v4 ? until : null;
  v.down6At = v.config.v6 ? until : null;
  if (v.multicastLost) return;
  v.multicastLost = true;
  const cause = { why: 'silent_but_master', silent_ms: silentMs, interface: v.config.interface } as const;
  emit(ctx.actions, { kind: 'carp.multicast_lost', ...place(v), cause });
}

/**
 * The peer was the master and says it is backup, and nobody else leads: it slept for too long, but not long enough to
 * be declared dead. Without this the segment would have no master until a timer ends. A demoted backup leaves it to the
 * timers.
 */
function isFree(v: VhidState, ctx: Context, theirs: PeerVhid): boolean {
  if (v.state !== 'BACKUP' || demoteByte(ctx.demotion) > 0) return false;
  return v.heard4 === null || theirs.address === undefined || v.heard4.from === theirs.address;
}

/** A report came in: acts on it for one vhid. */
export function hearPeer(v: VhidState, ctx: Context, report: PeerReport): void {
  const theirs = report.vhids[v.config.key];
  if (theirs?.state === 'MASTER') v.peerWasMaster = true;
  if (theirs?.state === 'BACKUP') {
    if (v.peerWasMaster && isFree(v, ctx, theirs)) takeOver(v, ctx, 'rescue', { why: 'peer_not_master' });
    v.peerWasMaster = false;
  }
  if (v.state === 'MASTER') compareMasters(v, ctx, report, theirs);
  if (v.state !== 'BACKUP' || !v.peerWasMaster) return;
  const fault = peerFault(v, report);
  if (fault === null) return;
  // While it still holds the vhid a demoted backup leaves it the time of an orderly hand-over.
  if (theirs?.state === 'MASTER' && demoteByte(ctx.demotion) >= demoteByte(report.demotion)) return;
  v.peerWasMaster = false;
  takeOver(v, ctx, 'rescue', fault);
}

function tieWith(v: VhidState, theirs: PeerVhid): Tie {
  if (theirs.address === undefined) return null;
  const sameFamily = [v.config.ownAddress, v.config.ownAddress6].map((own) =>
    own === undefined ? 0 : compareAddresses(own, theirs.address ?? ''),
  );
  const order = sameFamily.find((o) => o !== 0) ?? 0;
  if (order === 0) return null;
  return order < 0 ? 'own' : 'peer';
}

/**
 * The other has let go: whatever it sent at the end must not be the last word that switches and neighbours have heard.
 */
function claim(v: VhidState, ctx: Context): void {
  advertise(v, ctx);
  ctx.actions.push({ type: 'announce', key: v.config.key, cause: { why: 'peer_let_go' } });
}

/** Both say MASTER, for longer than a take-over needs: the worse one lets go even if no advertisement gets through. */
function compareMasters(v: VhidState, ctx: Context, report: PeerReport, theirs: PeerVhid | undefined): void {
  if (theirs?.state !== 'MASTER') {
    if (v.bothMasterSince !== null) claim(v, ctx);
    v.bothMasterSince = null;
    return;
  }
  v.bothMasterSince ??= ctx.now;
  if (!ctx.frozen && ctx.now - v.bothMasterSince <= downTimeUs(v)) return;
  const heard = { advbase: theirs.advbase, advskew: theirs.advskew, demote: demoteByte(report.demotion) };
  const tie = tieWith(v, theirs);
  const found = judge(v, ctx, heard, tie);
  if (v.rival === null && !v.multicastLost && !ctx.frozen) {
    v.multicastLost = true;
    const own = ownStanding(v, ctx);
    const cause = { why: 'both_master', own, heard, interface: v.config.interface } as const;
    emit(ctx.actions, { kind: 'carp.multicast_lost', ...place(v), cause });
  }
  if (found.act !== 'stepDown' || (found.why === 'tie' && tie === null)) return;
  enterBackup(v, ctx, { why: 'peer_better_master' });
  v.peerWasMaster = true;
}

/** Every path to the peer was asked and none answered: what it held is free. */
export function peerDied(state: GroupState, ctx: Context, cause: PeerDead): void {
  for (const v of Object.values(state.vhids)) {
    if (!v.peerWasMaster || families(v.config).length === 0) continue;
    v.peerWasMaster = false;
    takeOver(v, ctx, 'rescue', cause);
  }
}
