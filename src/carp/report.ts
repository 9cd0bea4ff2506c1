/** What the group shows of itself: the report for the peer, the facts for status and screens. */

import { effectiveSkew } from '../contract/carp-timers.ts';
import type { RoleCause } from '../contract/causes.ts';
import type { DemotionReason } from '../contract/status.ts';
import type { CarpState, NodeRole } from '../contract/values.ts';
import type { VhidKey } from '../contract/vhid-key.ts';
import { demotionTotal } from './context.ts';
import type { GroupState, HeardAdvert, PeerReport } from './types.ts';
import { downTimeUs, lastHeard } from './vhid.ts';

/** The own side of the `peer` event: to be sent with every heartbeat, and at once after any change of role or link. */
export function peerReport(state: GroupState): PeerReport {
  const demotion = demotionTotal(state);
  const report: PeerReport = { vhids: {}, demotion, goingDown: state.stopping !== null, linkDown: [], inStep: null };
  for (const [key, v] of Object.entries(state.vhids)) {
    const advskew = effectiveSkew(v.config.advskew, demotion);
    report.vhids[key] = { state: v.state, advbase: v.config.advbase, advskew, address: v.config.ownAddress };
  }
  for (const [role, link] of Object.entries(state.links)) if (!link.usable) report.linkDown.push(role);
  return report;
}

/** What is known of one vhid. Times are monotonic microseconds. */
export interface VhidStatus {
  key: VhidKey;
  vhid: number;
  interface: string;
  state: CarpState;
  sinceUs: number;
  cause: RoleCause;
  advbase: number;
  advskew: number;
  effectiveAdvskew: number;
  /** Longest silence of the master before this node takes over. */
  takeoverUs: number;
  /** The other host heard last on this vhid, while that is not older than this role. */
  heard: (HeardAdvert & { from: string; usAgo: number }) | null;
}

export function vhidStatus(state: GroupState, nowUs: number): VhidStatus[] {
  const demotion = demotionTotal(state);
  return Object.values(state.vhids).map((v) => {
    const last = lastHeard(v);
    return {
      key: v.config.key,
      vhid: v.config.vhid,
      interface: v.config.interface,
      state: v.state,
      sinceUs: v.sinceUs,
      cause: v.cause,
      advbase: v.config.advbase,
      advskew: v.config.advskew,
      effectiveAdvskew: effectiveSkew(v.config.advskew, demotion),
      takeoverUs: downTimeUs(v),
      heard:
        last === null
          ? null
          : {
              from: last.from,
              advbase: last.advbase,
              advskew: last.advskew,
              demote: last.demote,
              usAgo: Math.max(0, nowUs - last.atUs),
            },
    };
  });
}

export function demotionReasons(state: GroupState): DemotionReason[] {
  return Object.entries(state.demotions).map(([reason, weight]) => ({ reason, weight }));
}

/** Role of the whole node. */
export function nodeRole(state: GroupState): NodeRole {
  const states = new Set(Object.values(state.vhids).map((v) => v.state));
  if (states.size === 0 || (states.size === 1 && states.has('INIT'))) return 'init';
  if (states.size > 1) return 'mixed';
  return states.has('MASTER') ? 'master' : 'backup';
}
