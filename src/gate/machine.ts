/**
 * When a gate opens and closes: pure, `(state, event, now) -> actions`. Times are microseconds of the election's clock.
 *
 * The gate is the role: MASTER opens it, anything else closes it. One exception makes sure that never two nodes hold an
 * address: while the peer's report says that the peer's own gate is open, this node's opening waits until the peer says
 * otherwise, or until the peer has been silent for so long that its kernel has closed the gate (`PAIRED.deadUs`).
 * Meanwhile the gate lets pass what this node is to forward: the first advertisement has moved the switches, so
 * nothing of it reaches the peer, and a planned move would lose it. It answers for nothing.
 *
 * An open gate must be renewed. `look` is fed by a loop that has just looked at its clock and is MASTER by it: a loop
 * that stood still is told so first, and its gates are closed by the role change before it beats again (invariant 7).
 */
import { PAIRED } from '../contract/carp-timers.ts';
import type { VhidKey } from '../contract/vhid-key.ts';

/** Between two beats at least, us: every event of the loop is a look, and not each needs a beat. */
const BEAT_AGAIN_US = 20_000;

/** `waits`: this node is MASTER, and the peer's gate must close first; it forwards and does not answer. */
export type Gate =
  | { readonly phase: 'closed'; readonly sinceUs: number }
  | { readonly phase: 'waits'; readonly sinceUs: number; untilUs: number }
  | { readonly phase: 'open'; readonly sinceUs: number };

interface GateState {
  gates: Record<VhidKey, Gate>;
  /** The gates that the peer reported as open, and when; null: nobody who can be asked. */
  peer: { open: readonly string[]; atUs: number } | null;
  beatUs: number;
}

export type GateEvent =
  | { type: 'role'; key: VhidKey; master: boolean }
  /** The vhid is gone from the configuration. */
  | { type: 'drop'; key: VhidKey }
  /** A report of the peer: the vhids whose gate is open there. */
  | { type: 'peer'; open: readonly string[] }
  /** The peer is dead, and by the bounds of `PAIRED` its kernel has closed its gates. */
  | { type: 'peerDead' }
  /** The loop has just looked at its clock. */
  | { type: 'look' };

export type GateAction =
  | { type: 'open'; key: VhidKey; waited: boolean }
  /** It waits: what is to be forwarded passes. */
  | { type: 'pass'; key: VhidKey }
  | { type: 'close'; key: VhidKey }
  /** Renews all that are open or wait. */
  | { type: 'beat'; open: VhidKey[]; passing: VhidKey[] };

export function createGates(): GateState {
  return { gates: {}, peer: null, beatUs: 0 };
}

export function stepGates(state: GateState, event: GateEvent, nowUs: number): GateAction[] {
  const actions: GateAction[] = [];
  switch (event.type) {
    case 'role':
      onRole(state, event.key, event.master, nowUs, actions);
      return actions;
    case 'drop':
      close(state, event.key, nowUs, actions);
      delete state.gates[event.key];
      return actions;
    case 'peer':
      state.peer = { open: event.open, atUs: nowUs };
      for (const [key, gate] of waiting(state)) {
        if (event.open.includes(key)) gate.untilUs = nowUs + PAIRED.deadUs;
        else open(state, key, nowUs, actions);
      }
      return actions;
    case 'peerDead':
      state.peer = null;
      for (const [key] of waiting(state)) open(state, key, nowUs, actions);
      return actions;
    case 'look':
      for (const [key, gate] of waiting(state)) if (gate.untilUs <= nowUs) open(state, key, nowUs, actions);
      beat(state, nowUs, actions);
      return actions;
  }
}

/** When `look` must come at the latest for a gate that waits; null: none waits. */
export function gatesDeadline(state: GateState): number | null {
  const all = waiting(state).map(([, gate]) => gate.untilUs);
  return all.length === 0 ? null : Math.min(...all);
}

/** Keys of the open gates. */
export function openGates(state: GateState): VhidKey[] {
  return Object.keys(state.gates).filter((key): key is VhidKey => state.gates[key as VhidKey]?.phase === 'open');
}

function onRole(state: GateState, key: VhidKey, master: boolean, nowUs: number, actions: GateAction[]): void {
  const phase = state.gates[key]?.phase ?? 'closed';
  if (!master) {
    close(state, key, nowUs, actions);
    return;
  }
  if (phase !== 'closed') return;
  const { peer } = state;
  const untilUs = peer?.open.includes(key) ? peer.atUs + PAIRED.deadUs : 0;
  if (untilUs <= nowUs) open(state, key, nowUs, actions);
  else {
    state.gates[key] = { phase: 'waits', sinceUs: nowUs, untilUs };
    actions.push({ type: 'pass', key });
  }
}

function open(state: GateState, key: VhidKey, nowUs: number, actions: GateAction[]): void {
  const waited = state.gates[key]?.phase === 'waits';
  state.gates[key] = { phase: 'open', sinceUs: nowUs };
  actions.push({ type: 'open', key, waited });
}

/** Also one that seems closed: what an earlier table or a lost frame left open is closed by it. */
function close(state: GateState, key: VhidKey, nowUs: number, actions: GateAction[]): void {
  if (state.gates[key]?.phase !== 'closed') state.gates[key] = { phase: 'closed', sinceUs: nowUs };
  actions.push({ type: 'close', key });
}

function beat(state: GateState, nowUs: number, actions: GateAction[]): void {
  if (nowUs - state.beatUs < BEAT_AGAIN_US) return;
  const open = openGates(state);
  const passing = waiting(state).map(([key]) => key);
  if (open.length + passing.length === 0) return;
  state.beatUs = nowUs;
  actions.push({ type: 'beat', open, passing });
}

type Waiting = Extract<Gate, { phase: 'waits' }>;

function waiting(state: GateState): [VhidKey, Waiting][] {
  const all = Object.entries(state.gates) as [VhidKey, Gate][];
  return all.filter((entry): entry is [VhidKey, Waiting] => entry[1].phase === 'waits');
}
