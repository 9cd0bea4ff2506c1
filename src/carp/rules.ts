/**
 * What a host does after a valid advertisement: the rules of four systems, and Carpio's own, as pure functions.
 *
 * Carpio (mixed-cluster rule): own = advbase + effective skew (demotion included), peer = what the packet says,
 * od/pd = own demotion and byte 4 of the packet, 0..255.
 *
 * | state  | # | condition                                            | result    |
 * |--------|---|------------------------------------------------------|-----------|
 * | MASTER | 1 | pd < od                                              | step down |
 * | MASTER | 2 | pd = od and own > peer                               | step down |
 * | MASTER | 3 | pd = od, own = peer, peer's address lower or unknown | step down |
 * | MASTER | 4 | otherwise                                            | stay      |
 * | BACKUP | 1 | peer says 255/255 (bow-out)                          | take over |
 * | BACKUP | 2 | pd > od                                              | take over |
 * | BACKUP | 3 | preempt, own < peer, pd = od                         | take over |
 * | BACKUP | 4 | own advbase > 0 and 3 * own advbase + skew < peer    | take over |
 * | BACKUP | 5 | otherwise                                            | restart the master-down timer |
 *
 * Against the BSDs and UCarp: they send byte 4 as 0, so a demoted Carpio steps down for them; they see the demotion in
 * the skew. Ties: OpenBSD, FreeBSD and NetBSD always step down (two equal masters both do), UCarp compares the
 * addresses as little-endian words; Carpio compares them in network order, the lower one wins.
 */

import {
  compareUs,
  DEMOTED_SKEW,
  demoteByte,
  effectiveSkew,
  freebsdSkew,
  masterDown,
  suppressedSkew,
} from '../contract/carp-timers.ts';
import type { HeardAdvert } from './types.ts';

/** Own side of a comparison. `demotion`: the sum (Carpio, FreeBSD), byte 4 (OpenBSD) or the suppress count (NetBSD). */
interface OwnTimers {
  advbase: number;
  advskew: number;
  demotion: number;
}

/** Which source address wins a tie, seen from here; null: cannot be told. */
export type Tie = 'own' | 'peer' | null;

type Why = 'demotion' | 'timers' | 'tie' | 'bowOut' | 'slow' | 'none';

export interface Verdict {
  act: 'stepDown' | 'stay' | 'takeOver' | 'restart';
  why: Why;
}

export interface Situation {
  state: 'MASTER' | 'BACKUP';
  preempt: boolean;
  own: OwnTimers;
  heard: HeardAdvert;
  tie: Tie;
}

const verdict = (act: Verdict['act'], why: Why): Verdict => ({ act, why });
const heardUs = (s: Situation): number => compareUs(s.heard.advbase, s.heard.advskew);

/** advbase 255 with advskew 255: the sender lets go. */
export function isBowOut(heard: HeardAdvert): boolean {
  return heard.advbase === 255 && heard.advskew === 255;
}

function carpioMaster(s: Situation): Verdict {
  const od = demoteByte(s.own.demotion);
  const own = compareUs(s.own.advbase, effectiveSkew(s.own.advskew, s.own.demotion));
  const peer = heardUs(s);
  if (s.heard.demote !== od) return verdict(s.heard.demote < od ? 'stepDown' : 'stay', 'demotion');
  if (own !== peer) return verdict(own > peer ? 'stepDown' : 'stay', 'timers');
  return verdict(s.tie === 'own' ? 'stay' : 'stepDown', 'tie');
}

function carpioBackup(s: Situation): Verdict {
  const od = demoteByte(s.own.demotion);
  const skew = effectiveSkew(s.own.advskew, s.own.demotion);
  const peer = heardUs(s);
  if (isBowOut(s.heard)) return verdict('takeOver', 'bowOut');
  if (s.heard.demote > od) return verdict('takeOver', 'demotion');
  if (s.preempt && s.heard.demote === od && compareUs(s.own.advbase, skew) < peer) return verdict('takeOver', 'timers');
  if (s.own.advbase > 0 && masterDown.freebsd(s.own.advbase, skew) < peer) return verdict('takeOver', 'slow');
  return verdict('restart', 'none');
}

/** Carpio's own rule, see the table above. */
export function decide(s: Situation): Verdict {
  return s.state === 'MASTER' ? carpioMaster(s) : carpioBackup(s);
}

/** OpenBSD (current): demotion first, configured timers second. */
export function decideOpenbsd(s: Situation): Verdict {
  const od = demoteByte(s.own.demotion);
  const pd = s.heard.demote;
  const own = compareUs(s.own.advbase, s.own.advskew);
  const peer = heardUs(s);
  if (s.state === 'MASTER') {
    if (pd < od) return verdict('stepDown', 'demotion');
    return own >= peer && pd <= od ? verdict('stepDown', 'timers') : verdict('stay', 'none');
  }
  if (s.preempt && own < peer && pd >= od) return verdict('takeOver', 'timers');
  if (pd > od) return verdict('takeOver', 'demotion');
  const slow = s.own.advbase > 0 && masterDown.freebsd(s.own.advbase, s.own.advskew) < peer;
  return slow ? verdict('takeOver', 'slow') : verdict('restart', 'none');
}

function decideByTimers(s: Situation, skew: number): Verdict {
  const own = compareUs(s.own.advbase, skew);
  const peer = heardUs(s);
  if (s.state === 'MASTER') return own >= peer ? verdict('stepDown', 'timers') : verdict('stay', 'none');
  if (s.preempt && own < peer) return verdict('takeOver', 'timers');
  const slow = masterDown.freebsd(s.own.advbase, skew) < peer;
  return slow ? verdict('takeOver', 'slow') : verdict('restart', 'none');
}

/** FreeBSD 10 to 15. `own.demotion`: net.inet.carp.demotion. */
export function decideFreebsd(s: Situation): Verdict {
  return decideByTimers(s, freebsdSkew(s.own.advskew, s.own.demotion));
}

/** NetBSD and FreeBSD up to 9. `own.demotion`: the suppress counter; compares with 240 only below that skew. */
export function decideNetbsd(s: Situation): Verdict {
  const skew = s.own.advskew < DEMOTED_SKEW ? suppressedSkew(s.own.advskew, s.own.demotion) : s.own.advskew;
  return decideByTimers(s, skew);
}

/** UCarp: as NetBSD, but a tie is decided by the address (the caller compares as UCarp's machine does). */
export function decideUcarp(s: Situation): Verdict {
  const own = compareUs(s.own.advbase, suppressedSkew(s.own.advskew, s.own.demotion));
  if (s.state === 'MASTER' && own === heardUs(s)) return verdict(s.tie === 'peer' ? 'stepDown' : 'stay', 'tie');
  return decideNetbsd(s);
}
