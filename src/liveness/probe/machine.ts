/**
 * Early take-over: is the peer's daemon dead, or only the sync link? Pure, `(state, event, now) -> actions`.
 *
 * Signs of life are what only the peer's control thread can give: its reports over the sync link, its advertisements,
 * its answers to probes. When the sync link loses its carrier, or no sign came for `silenceUs`, every proven path is
 * probed a few times at once, at the pace of its measured round trips. One sign on any path: the peer lives, only the
 * sync link is down. No sign on any: dead. Also the end of the peer channel is a reason to probe: the kernel closes its
 * connection in the moment in which the daemon dies.
 *
 * A verdict on a daemon whose machine may live (silence, the end of the channel) waits until its kernel must have
 * closed its gates (contract/carp-timers.ts).
 *
 * A path is *proven* when a probe on it was answered lately: silence on a path that never worked (a packet filter in
 * between, a switch that keeps the networks apart) says nothing, so an idle probe goes out on each path once a second.
 * A path whose own link is down says nothing either. With no proven path nobody is declared dead, and the protocol's
 * own timers decide, as they would without all this.
 */

import { GATE, PAIRED } from '../../contract/carp-timers.ts';
import type { ProbeCause, Suspicion } from '../../contract/causes.ts';

/** Microseconds. */
export const PROBE_TIMING = {
  /** Two and a half heartbeats of the sync link. */
  silenceUs: PAIRED.silenceUs,
  tries: 5,
  /**
   * Between two tries: twice the longest of the last round trips, within these bounds. The lower one times `tries` is
   * what a busy peer may take to answer; the upper one is for paths whose round trip is not known.
   */
  shortestTryUs: 4_000,
  longestTryUs: 15_000,
  roundTrips: 8,
  /** Idle probes: while the sync link is heard, and while it is not. */
  idleUs: 1_000_000,
  idleQuietUs: 100_000,
  provenUs: 3_500_000,
  /** A look at the clock this late means that this node itself did not run: answers may wait in its sockets. */
  lateUs: 10_000,
  /** Before a question that could not be decided is asked again. */
  againUs: 1_000_000,
} as const;

interface PathState {
  /** The own link is up and the peer's address on this network is known. */
  usable: boolean;
  answeredUs: number | null;
  idleAtUs: number;
  /** The last round trips, us; the newest last. */
  tripsUs: number[];
}

interface ProbeRound {
  sinceUs: number;
  sent: number;
  nextUs: number;
  /** Before this nobody is declared dead: the peer's gates may be open. */
  notBeforeUs: number;
  first: Suspicion;
  /** Proven when the round began. */
  paths: string[];
}

export interface ProbeState {
  paths: Record<string, PathState>;
  /** Carrier of the sync link. */
  carrier: boolean;
  /** The last sign of life over any way, and over the sync link. */
  lifeUs: number | null;
  syncUs: number | null;
  round: ProbeRound | null;
  verdict: 'unknown' | 'alive' | 'dead';
  /** The outage of the sync link has been reported. */
  told: boolean;
  blockedUntil: number;
  /** When a peer that counted as dead was heard again. */
  backUs: number;
}

export type ProbeEvent =
  | { type: 'paths'; usable: Record<string, boolean> }
  | { type: 'carrier'; up: boolean }
  /** A report of the peer came over the sync link. */
  | { type: 'report' }
  /** A valid advertisement from the peer's own address, no bow-out. */
  | { type: 'advert'; path: string }
  /** `tripUs`: since the probe left. */
  | { type: 'answer'; path: string; tripUs: number }
  /** The peer channel's connection has ended. */
  | { type: 'channelEnded' }
  /** The peer says that it stops: what comes now is no failure. */
  | { type: 'leaving' }
  | { type: 'tick' };

export type ProbeVerdict =
  | { type: 'dead'; cause: Extract<ProbeCause, { why: 'peer_dead' }> }
  /** The peer lives, but not for the sync link. */
  | { type: 'alive'; path: string; cause: Extract<ProbeCause, { why: 'peer_lives' }> }
  | { type: 'undecided'; cause: Extract<ProbeCause, { why: 'no_path' }> };

export type ProbeAction = { type: 'probe'; path: string } | ProbeVerdict;

export function createProbe(): ProbeState {
  return {
    paths: {},
    carrier: true,
    lifeUs: null,
    syncUs: null,
    round: null,
    verdict: 'unknown',
    told: false,
    blockedUntil: 0,
    backUs: 0,
  };
}

export function stepProbe(state: ProbeState, event: ProbeEvent, now: number): ProbeAction[] {
  const actions: ProbeAction[] = [];
  handle(state, event, now, actions);
  if (state.round !== null) runRound(state, state.round, now, actions);
  else considerSilence(state, now);
  if (state.round !== null && state.round.sent === 0) runRound(state, state.round, now, actions);
  idle(state, now, actions);
  return actions;
}

/** When `tick` is due; null: there is no path. */
export function probeDeadline(state: ProbeState): number | null {
  const all: number[] = [];
  if (state.round !== null) all.push(state.round.nextUs);
  else if (state.lifeUs !== null && state.verdict !== 'dead') {
    all.push(Math.max(state.blockedUntil, state.lifeUs + PROBE_TIMING.silenceUs + 1));
  }
  for (const path of Object.values(state.paths)) if (path.usable) all.push(path.idleAtUs);
  return all.length === 0 ? null : Math.min(...all);
}

function handle(state: ProbeState, event: ProbeEvent, now: number, actions: ProbeAction[]): void {
  switch (event.type) {
    case 'paths':
      takePaths(state, event.usable, now);
      return;
    case 'carrier':
      if (state.carrier && !event.up && state.lifeUs !== null && state.verdict !== 'dead') {
        begin(state, now, { why: 'carrier_lost' }, now);
      }
      state.carrier = event.up;
      return;
    case 'report':
      comeBack(state, now);
      state.lifeUs = now;
      state.syncUs = now;
      state.round = null;
      state.verdict = 'alive';
      state.told = false;
      return;
    case 'advert':
      lives(state, event.path, 'advert', now, actions);
      return;
    case 'answer': {
      const path = state.paths[event.path];
      if (path !== undefined) {
        path.answeredUs = now;
        path.tripsUs = [...path.tripsUs, event.tripUs].slice(-PROBE_TIMING.roundTrips);
      }
      lives(state, event.path, 'answer', now, actions);
      return;
    }
    case 'channelEnded':
      if (state.round === null && state.lifeUs !== null && state.verdict !== 'dead') {
        begin(state, now, { why: 'channel_ended' }, now + GATE.closedUs);
      }
      return;
    case 'leaving':
      state.lifeUs = null;
      state.round = null;
      state.verdict = 'unknown';
      return;
    case 'tick':
      return;
  }
}

function takePaths(state: ProbeState, usable: Record<string, boolean>, now: number): void {
  for (const [name, ok] of Object.entries(usable)) {
    const path = state.paths[name];
    if (path === undefined) state.paths[name] = { usable: ok, answeredUs: null, idleAtUs: now, tripsUs: [] };
    else {
      if (ok && !path.usable) path.idleAtUs = now;
      path.usable = ok;
    }
  }
  for (const name of Object.keys(state.paths)) if (!(name in usable)) delete state.paths[name];
}

/** A peer that was dead may die again soon: its paths are proven anew at once. */
function comeBack(state: ProbeState, now: number): void {
  if (state.verdict !== 'dead') return;
  state.backUs = now;
  for (const path of Object.values(state.paths)) path.idleAtUs = now;
}

function lives(state: ProbeState, path: string, sign: 'advert' | 'answer', now: number, actions: ProbeAction[]): void {
  comeBack(state, now);
  state.lifeUs = now;
  const { round } = state;
  const { silenceUs } = PROBE_TIMING;
  // A peer that comes back is heard by its advertisements first: its sync link gets a moment, too.
  const silent = state.syncUs !== null && now - state.syncUs > silenceUs && now - state.backUs > silenceUs;
  state.round = null;
  state.verdict = 'alive';
  if ((round === null && !silent) || state.told) return;
  state.told = true;
  const first = round?.first ?? { why: 'sync_link_silent' };
  actions.push({ type: 'alive', path, cause: { why: 'peer_lives', first, path, sign } });
}

function provenPaths(state: ProbeState, now: number): string[] {
  return Object.entries(state.paths)
    .filter(([, p]) => p.usable && p.answeredUs !== null && now - p.answeredUs <= PROBE_TIMING.provenUs)
    .map(([name]) => name);
}

function begin(state: ProbeState, now: number, first: Suspicion, notBeforeUs: number): void {
  const paths = provenPaths(state, now);
  state.round = { sinceUs: now, sent: 0, nextUs: now, notBeforeUs, first, paths };
}

/** Time between two tries: the slowest of the asked paths decides. */
function tryUs(state: ProbeState, round: ProbeRound): number {
  const { shortestTryUs, longestTryUs } = PROBE_TIMING;
  const wanted = round.paths.map((name) => {
    const trips = state.paths[name]?.tripsUs ?? [];
    return trips.length === 0 ? longestTryUs : 2 * Math.max(...trips);
  });
  return Math.min(longestTryUs, Math.max(shortestTryUs, ...wanted));
}

function considerSilence(state: ProbeState, now: number): void {
  if (state.lifeUs === null || state.verdict === 'dead' || now < state.blockedUntil) return;
  const silent = now - state.lifeUs;
  if (silent <= PROBE_TIMING.silenceUs) return;
  const cause = { why: 'no_sign', silent_ms: Math.floor(silent / 1000) } as const;
  begin(state, now, cause, state.lifeUs + PAIRED.deadUs);
}

function runRound(state: ProbeState, round: ProbeRound, now: number, actions: ProbeAction[]): void {
  if (now < round.nextUs) return;
  // This node did not run: what the others answered meanwhile must be read first.
  if (round.sent > 0 && now - round.nextUs > PROBE_TIMING.lateUs) round.sent = 0;
  if (round.sent < PROBE_TIMING.tries || now < round.notBeforeUs) {
    for (const path of round.paths) if (state.paths[path]?.usable) actions.push({ type: 'probe', path });
    round.sent += 1;
    const rest = round.sent < PROBE_TIMING.tries ? 0 : round.notBeforeUs - now;
    round.nextUs = now + Math.max(tryUs(state, round), Math.min(rest, PROBE_TIMING.longestTryUs));
    return;
  }
  state.round = null;
  // A path whose own link went down in the meantime was no witness.
  const witnesses = round.paths.filter((path) => state.paths[path]?.usable);
  if (witnesses.length === 0) {
    state.blockedUntil = now + PROBE_TIMING.againUs;
    if (!state.told) actions.push({ type: 'undecided', cause: { why: 'no_path', first: round.first } });
    state.told = true;
    return;
  }
  state.verdict = 'dead';
  state.told = false;
  const asked_ms = Math.floor((now - round.sinceUs) / 1000);
  actions.push({ type: 'dead', cause: { why: 'peer_dead', first: round.first, paths: witnesses, asked_ms } });
}

function idle(state: ProbeState, now: number, actions: ProbeAction[]): void {
  const quiet = state.syncUs === null || now - state.syncUs > PROBE_TIMING.silenceUs;
  // A peer that is dead is looked for at the slow pace.
  const every = quiet && state.verdict !== 'dead' ? PROBE_TIMING.idleQuietUs : PROBE_TIMING.idleUs;
  for (const [name, path] of Object.entries(state.paths)) {
    if (!path.usable || now < path.idleAtUs) continue;
    path.idleAtUs = now + every;
    if (state.round === null) actions.push({ type: 'probe', path: name });
  }
}
