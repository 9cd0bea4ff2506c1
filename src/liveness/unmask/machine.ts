/**
 * Unmasking: CARP has no protection against a recording that is played again, and its timers are not covered by the
 * HMAC. Between two Carpio boxes the sealed sync link has a word in it: an advertisement from the peer's own address
 * that the peer, freshly and steadily, says it does not send is refused. Pure; the caller brings time and reports.
 *
 * Reports and advertisements travel on different ways, so a contradiction alone proves nothing:
 * - what the peer says must have stood for `steadyUs`; just after a change old advertisements may still be on their
 *   way;
 * - the advertisement is held back until a report comes that the peer can only have sent after it (`afterUs` later). If
 *   that one agrees (the peer has just become MASTER), the advertisement counts; if it still denies it, it is refused;
 * - when no report comes, the sync link is silent and has no word any more: the advertisement counts.
 */

import { isBowOut } from '../../carp/rules.ts';
import type { ArrivedAdvert, PeerReport } from '../../carp/types.ts';
import { demoteByte } from '../../contract/carp-timers.ts';
import type { DeniedCause } from '../../contract/causes.ts';
import type { VhidKey } from '../../contract/vhid-key.ts';

/** Microseconds. */
export const UNMASK = {
  /** How old a report may be: six heartbeats. */
  freshUs: 300_000,
  steadyUs: 200_000,
  /** More than two heartbeats and the way through the peer's threads. */
  afterUs: 120_000,
  /** The longest time in the balance. */
  holdUs: 350_000,
  /** A goodbye may come this long after the peer has left MASTER. */
  goodbyeUs: 1_000_000,
} as const;

/**
 * Advertisements in the balance. Who sends more of what the peer denies is no peer: the next ones are refused at once.
 */
const MOST_HELD = 64;

interface Said {
  text: string;
  sinceUs: number;
  /** When it was last MASTER. */
  masterUs: number;
}

export interface MaskState {
  report: PeerReport | null;
  reportUs: number;
  said: Map<string, Said>;
  held: { masked: ArrivedAdvert; atUs: number }[];
}

export interface Judged {
  masked: ArrivedAdvert;
  /** Null: it counts. Else why it was refused. */
  refused: DeniedCause | null;
}

export function createMask(): MaskState {
  return { report: null, reportUs: 0, said: new Map(), held: [] };
}

/** The peer's advertisement (its source is one of the peer's own addresses). What was decided by it, if anything. */
export function maskedAdvert(state: MaskState, masked: ArrivedAdvert, now: number): Judged[] {
  const before = expireMask(state, now);
  const denied = contradiction(state, masked, now);
  if (denied === null || state.held.length >= MOST_HELD) return [...before, { masked, refused: denied }];
  state.held.push({ masked, atUs: now });
  return before;
}

/** A report of the peer came over the sealed sync link; null: it is silent. */
export function maskReport(state: MaskState, report: PeerReport | null, now: number): Judged[] {
  state.report = report;
  state.reportUs = now;
  if (report !== null) note(state, report, now);
  const judged: Judged[] = [];
  state.held = state.held.filter(({ masked, atUs }) => {
    const why = report === null ? null : denial(state, masked, now);
    if (why !== null && now - atUs < UNMASK.afterUs) return true;
    judged.push({ masked, refused: why });
    return false;
  });
  return [...judged, ...expireMask(state, now)];
}

/** When `expireMask` is due; null: nothing is in the balance. */
export function maskDeadline(state: MaskState): number | null {
  const first = state.held[0];
  return first === undefined ? null : first.atUs + UNMASK.holdUs;
}

/** No report has come: what waited counts. */
export function expireMask(state: MaskState, now: number): Judged[] {
  const over = state.held.filter(({ atUs }) => now - atUs >= UNMASK.holdUs);
  if (over.length > 0) state.held = state.held.filter(({ atUs }) => now - atUs < UNMASK.holdUs);
  return over.map(({ masked }) => ({ masked, refused: null }));
}

function note(state: MaskState, report: PeerReport, now: number): void {
  for (const key of state.said.keys()) if (!(key in report.vhids)) state.said.delete(key);
  for (const [key, vhid] of Object.entries(report.vhids)) {
    const text = [vhid.state, vhid.advbase, vhid.advskew, report.demotion, report.goingDown].join(' ');
    const known = state.said.get(key);
    const masterUs = vhid.state === 'MASTER' ? now : (known?.masterUs ?? Number.NEGATIVE_INFINITY);
    state.said.set(key, { text, masterUs, sinceUs: known?.text === text ? known.sinceUs : now });
  }
}

/** What stands against this advertisement now; null: nothing, or nothing that could be relied on. */
function contradiction(state: MaskState, masked: ArrivedAdvert, now: number): DeniedCause | null {
  if (state.report === null || now - state.reportUs > UNMASK.freshUs) return null;
  const said = state.said.get(masked.key);
  if (said === undefined || now - said.sinceUs < UNMASK.steadyUs) return null;
  return denial(state, masked, now);
}

/** What the last report says against it. */
function denial(state: MaskState, { key, advert }: ArrivedAdvert, now: number): DeniedCause | null {
  const vhid = state.report?.vhids[key];
  if (state.report === null || vhid === undefined) return null;
  const { state: is, advbase, advskew } = vhid;
  if (isBowOut(advert)) return goodbye(state, key, now) ? null : { why: 'denied_bow_out', is };
  if (is !== 'MASTER') return { why: 'denied_role', is };
  const said = { advbase, advskew, demote: demoteByte(state.report.demotion) };
  const heard = { advbase: advert.advbase, advskew: advert.advskew, demote: advert.demote };
  const same = said.advbase === heard.advbase && said.advskew === heard.advskew && said.demote === heard.demote;
  return same ? null : { why: 'denied_timers', heard, said };
}

function goodbye(state: MaskState, key: VhidKey, now: number): boolean {
  if (state.report?.goingDown) return true;
  const leads = state.report?.vhids[key]?.state === 'MASTER';
  return !leads && now - (state.said.get(key)?.masterUs ?? 0) <= UNMASK.goodbyeUs;
}
