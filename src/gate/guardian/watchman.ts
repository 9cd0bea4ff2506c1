/**
 * What the guardian decides: pure, `(state, event, now) -> actions`.
 *
 * The daemon is dead when its end of the socket is closed, and hung when its last beat is older than a vhid allows. A
 * beat counts by the time the daemon wrote into it, so that a guardian that did not run itself finds the daemon's fresh
 * beats in the socket and does no harm; when both did not run (the machine slept), the addresses go down, as they must.
 */
import type { GuardedVhid, ToGuard } from './messages.ts';

interface Entry {
  vhid: GuardedVhid;
  /** Taken down because of silence; the next beat makes it stand again. */
  fallen: boolean;
}

export interface GuardState {
  vhids: Map<string, Entry>;
  masters: Set<string>;
  lastBeatUs: number | null;
}

export type GuardEvent = { type: 'message'; message: ToGuard } | { type: 'end' } | { type: 'tick' };

/** In this order. */
export type GuardAction =
  /** All virtual devices of this product at once: with many vhids one by one takes too long. */
  | { type: 'clear' }
  /** Nothing answers for the addresses any more. */
  | { type: 'down'; vhid: GuardedVhid }
  | { type: 'speak'; vhid: GuardedVhid }
  /** The device goes too: a daemon that is dead will make a new one. */
  | { type: 'remove'; vhid: GuardedVhid }
  | { type: 'fell'; keys: string[]; silentUs: number }
  | { type: 'exit'; died: boolean };

/**
 * A vhid that is not MASTER has nothing up that must go in a hurry; it goes all the same, in case the last beat was
 * lost.
 */
const BACKUP_LIMIT_US = 3_000_000;

function limitOf(state: GuardState, { key, limitUs }: GuardedVhid): number {
  return state.masters.has(key) ? limitUs : Math.max(limitUs, BACKUP_LIMIT_US);
}

export function createGuard(): GuardState {
  return { vhids: new Map(), masters: new Set(), lastBeatUs: null };
}

export function stepGuard(state: GuardState, event: GuardEvent, nowUs: number): GuardAction[] {
  switch (event.type) {
    case 'message':
      return onMessage(state, event.message);
    case 'end':
      return onEnd(state);
    case 'tick':
      return onTick(state, nowUs);
  }
}

/** When the next silence would be too long, us; null: nothing is guarded. */
export function guardDeadline(state: GuardState): number | null {
  if (state.lastBeatUs === null) return null;
  let at: number | null = null;
  for (const { vhid, fallen } of state.vhids.values()) {
    if (!fallen) at = Math.min(at ?? Number.POSITIVE_INFINITY, state.lastBeatUs + limitOf(state, vhid));
  }
  return at;
}

function onMessage(state: GuardState, message: ToGuard): GuardAction[] {
  switch (message.type) {
    case 'set':
      state.vhids.set(message.vhid.key, { vhid: message.vhid, fallen: false });
      return [];
    case 'drop':
      state.vhids.delete(message.key);
      state.masters.delete(message.key);
      return [];
    case 'beat':
      onBeat(state, message.atUs, message.masters);
      return [];
    case 'bye':
      return [{ type: 'exit', died: false }];
    default:
      return [];
  }
}

function onBeat(state: GuardState, atUs: number, masters: string[]): void {
  state.lastBeatUs = Math.max(state.lastBeatUs ?? 0, atUs);
  state.masters = new Set(masters);
  for (const entry of state.vhids.values()) entry.fallen = false;
}

// First every address goes down, masters before the others; only then is there time for words and for clearing up.
function onEnd(state: GuardState): GuardAction[] {
  const all = [...state.vhids.values()].map((entry) => entry.vhid);
  const led = all.filter((vhid) => state.masters.has(vhid.key));
  const rest = all.filter((vhid) => !state.masters.has(vhid.key));
  return [
    { type: 'clear' },
    ...[...led, ...rest].map((vhid) => ({ type: 'down' as const, vhid })),
    ...led.map((vhid) => ({ type: 'speak' as const, vhid })),
    ...all.map((vhid) => ({ type: 'remove' as const, vhid })),
    { type: 'exit', died: true },
  ];
}

function onTick(state: GuardState, nowUs: number): GuardAction[] {
  const { lastBeatUs } = state;
  if (lastBeatUs === null) return [];
  const silentUs = nowUs - lastBeatUs;
  const late = [...state.vhids.values()].filter((entry) => !entry.fallen && silentUs > limitOf(state, entry.vhid));
  if (late.length === 0) return [];
  for (const entry of late) entry.fallen = true;
  const vhids = late.map((entry) => entry.vhid);
  const led = vhids.filter((vhid) => state.masters.has(vhid.key));
  return [
    ...vhids.map((vhid) => ({ type: 'down' as const, vhid })),
    ...led.map((vhid) => ({ type: 'speak' as const, vhid })),
    { type: 'fell', keys: vhids.map((vhid) => vhid.key), silentUs },
  ];
}
